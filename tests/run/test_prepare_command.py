import json
from pathlib import Path

import pytest

from data_prep.engine.ledger import TaskError
from mai1.run.cli import main


def code_of(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(["prepare", *arguments])
    return exit_.value.code


def corpus(tmp_path: Path) -> str:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": f"text {i} " * 30}) + "\n" for i in range(20)))
    return f"sources={{a: {{path: {tmp_path / 'a.jsonl'}}}}}"


def test_the_help_lists_the_keys_of_what_is_named_by_oneself(capsys):
    assert code_of("--help") == 0
    shown = capsys.readouterr().out
    for key in ("text_field=text", "min_quantile=0.0", "max_conversations=0", "question=question", "kind=..."):
        assert f" {key} " in shown
    assert "<" not in shown.partition("keys and their defaults")[2].replace("<|", "") and "data_prep" not in shown


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sources.mine.pth=3", "sources.mine.pth is no key of `mai1 prepare`: did you mean sources.mine.path"),
        ("++contamination.tasks={quiz: {path: x, anser: y}}", "contamination.tasks.quiz.anser"),
    ],
)
def test_a_wrong_key_inside_an_entry_is_named(capsys, override: str, message: str):
    assert code_of("sources={mine: {path: x}}", override) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1


def test_a_task_that_fails_is_one_line_with_its_log(tmp_path: Path, monkeypatch, capsys):
    def fail(config: object) -> None:
        raise TaskError(
            "curate 0123456789ab (x): OSError: no; see /work/logs/curate.log; 3 of 4 tasks are done and kept"
        )

    monkeypatch.setattr("mai1.run.prepare.prepare", fail)
    code = code_of(corpus(tmp_path), f"output={tmp_path / 'out'}")
    assert str(code).startswith("mai1: curate 0123456789ab") and str(code).endswith(
        "the same command goes on from there"
    )
    assert "\n" not in str(code)  # what Python prints, to leave with code 1


def test_names_of_files_cannot_move_the_cursor(tmp_path: Path, capsys):
    path = tmp_path / "texts" / "a\x1b[2Jb.jsonl"
    path.parent.mkdir()
    path.write_text("{broken\n" * 9)
    assert code_of(f"sources={{a: {{path: '{path.parent}'}}}}", f"output={tmp_path / 'out'}", "workers=1") == 2
    shown = capsys.readouterr().err
    assert "input.not_json" in shown and "\x1b" not in shown


def test_a_log_file_has_lines_and_not_a_bar(tmp_path: Path, capsys):
    code_of(
        corpus(tmp_path),
        f"output={tmp_path / 'out'}",
        "workers=1",
        "tokenizer.vocab_size=275",
        "dedup.minhash.is_on=false",
    )
    shown = capsys.readouterr().err
    assert "\r" not in shown and "curate: 100%, " in shown and "encode: 100%, " in shown
    assert len(shown.splitlines()) <= 8
