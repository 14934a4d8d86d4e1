"""`mai1 prepare` leaves a page and a data card and says where; `mai1 report` writes them again."""

import json
from pathlib import Path

import pytest

from mai1.run import prepare, report


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    lines = [
        json.dumps(
            {"text": f"Chapter {i}. The river runs past {i * 7} houses where people trade bread for stories {i}."}
        )
        for i in range(40)
    ]
    (tmp_path / "books.jsonl").write_text("\n".join(lines))
    return [
        f"sources={{books: {{path: '{tmp_path}/books.jsonl', licence: MIT}}}}",
        "tokenizer.vocab_size=320",
        "workers=1",
    ]


def test_the_page_and_the_card_are_the_last_act_and_can_be_written_again(
    tmp_path: Path, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "corpus"
    prepare.main([f"output={output}", "dedup.minhash.is_on=false", *settings])
    said = capsys.readouterr().out
    assert f"  report        {output}/report.html" in said and f"  data card     {output}/README.md" in said
    assert "  documents     40 kept of 40" in said
    pages = {name: (output / name).read_bytes() for name in ("report.html", "README.md")}
    assert b"could not be drawn" not in pages["report.html"] and b"| books | MIT |" in pages["README.md"]
    for name in pages:
        (output / name).unlink()
    report.main([str(output)])
    assert capsys.readouterr().out == said
    assert {name: (output / name).read_bytes() for name in pages} == pages


def test_a_directory_of_neither_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds neither a run .* nor a corpus"):
        report.main([str(tmp_path)])


def test_a_page_that_cannot_be_written_leaves_the_corpus_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(directory: Path) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "manifest.json").write_text("{}")
    monkeypatch.setattr(report, "build_corpus_report", full)
    report.main([str(tmp_path)])
    assert "No space left on device" in capsys.readouterr().err
