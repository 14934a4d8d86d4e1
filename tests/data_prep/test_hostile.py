"""Corpora that somebody made to break us, end to end: each document has a reason, the good ones stay, memory is bounded."""

import gzip
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from data_prep.as_json import to_json
from data_prep.config import DedupConfig, ErrorConfig, PrepareConfig
from data_prep.dedup.minhash import MinHashConfig
from data_prep.dedup.passages import PassageConfig, PassageUnit
from data_prep.instruct import InstructConfig, InstructSourceConfig
from data_prep.reading.source import SourceConfig
from data_prep.scores.config import ScorerConfig, ScorerKind, ScoresConfig
from data_prep.stages.basic import BasicConfig
from data_prep.stages.boilerplate import BoilerplateConfig
from data_prep.stages.c4 import C4Config
from data_prep.stages.fineweb import FineWebConfig
from data_prep.stages.gopher import GopherConfig
from data_prep.stages.pii import PiiConfig, PiiKind
from data_prep.stages.repair import Mojibake, Normalization, RepairConfig
from data_prep.stages.repetition import RepetitionConfig
from data_prep.stages.rules import RulesConfig
from data_prep.stages.urls import UrlConfig
from mai1.data.shards import Shard
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
SENTENCE = "the river runs past old houses where people trade bread salt and iron for stories about distant islands"
WORDS = SENTENCE.split()
PIECES = (
    *(
        "a",
        "@",
        "7",
        "<",
        "\n",
        " ",
        ".",
        "-",
        "/",
        ":",
        '"',
        "#",
        "{",
        "a@",
        "1.",
        "a.",
        "[1]",
        "DE89",
        "4111 ",
        "+49 ",
    ),
    *("a:b:", "ab\n", "ab\n\n", "ab ", "&amp;", "e\u0301", "\u00c3\u00a9", "\u4e2d", "\U0001f600", "\u00a0", "\t "),
)
"""What a regular expression with too many ways to match would need years for, when it is long."""
PIECE_BYTES = 1 << 18

EVERY_RULE = RulesConfig(
    basic=BasicConfig(enabled=False),
    gopher=GopherConfig(enabled=True),
    repetition=RepetitionConfig(enabled=True),
    c4=C4Config(enabled=True),
    fineweb=FineWebConfig(enabled=True),
)
NO_DEDUP = DedupConfig(exact=False, minhash=MinHashConfig(is_on=False))
EVERY_STAGE = {
    "urls": UrlConfig(enabled=True),
    "repair": RepairConfig(mojibake=Mojibake.repair, normalization=Normalization.nfc),
    "pii": PiiConfig(kinds=list(PiiKind)),
}
PROGRAM = """
import json, sys, time
from data_prep.as_json import from_json
from data_prep.config import PrepareConfig
from data_prep.prepare import prepare

if __name__ == "__main__":
    manifest = prepare(from_json(PrepareConfig, json.loads(sys.argv[1])), progress=False)
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(json.dumps({"manifest": manifest, "mib": int(peak.split()[1]) >> 10, "seconds": time.process_time()}))
"""


def good_texts(count: int = 20) -> list[str]:
    generator = random.Random(5)
    return [" ".join(generator.choices(WORDS, k=90)) + f" {i}.\n" for i in range(count)]


def json_lines(texts: list[str]) -> str:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts)


def prepared(sources: dict[str, Path], output: Path, **settings) -> dict:
    """The manifest, peak memory in MiB and CPU seconds of a process of its own."""
    given = {
        "sources": {name: SourceConfig(path=str(path)) for name, path in sources.items()},
        "output": str(output),
        "tokenizer": TokenizerConfig(vocab_size=300),
        "errors": ErrorConfig(max_fraction=0.9),
        "workers": 1,
    }
    config = json.dumps(to_json(PrepareConfig(**given | settings)))
    done = subprocess.run([sys.executable, "-c", PROGRAM, config], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def check(source: dict, *, least_kept: int = 20) -> dict[str, int]:
    """Whatever was read is accounted for; returns documents by reason."""
    dropped = {reason: count["documents"] for reason, count in source["dropped"].items()}
    assert source["read"] == source["kept"] + sum(dropped.values()) and source["kept"] >= least_kept
    assert source["kept"] == source["train"]["documents"] + source["heldout"]["documents"]
    return dropped


def test_broken_files_of_every_kind_end_under_their_reasons_in_little_memory(tmp_path: Path):
    lines, texts = json_lines(good_texts()), good_texts()
    with open(tmp_path / "nul.jsonl", "wb") as file:
        file.write(lines.encode())
        file.truncate(200 * MIB)  # one line of NUL bytes that take no room on the disk
    (tmp_path / "deep.jsonl").write_text(lines + '{"text":' + "[" * 1_000_000 + "\n" + '{"a":' * 50_000 + "\n")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress((lines * 3).encode(), mtime=0)[:-400])
    (tmp_path / "bomb.jsonl.gz").write_bytes(gzip.compress(lines.encode()) + gzip.compress(bytes(150 * MIB), 1))
    tables = tmp_path / "tables"
    tables.mkdir()
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), tables / "good.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"text": ["x" * 8 * MIB] * 24}), tables / "bomb.parquet")
    (tables / "cut.parquet").write_bytes((tables / "good.parquet").read_bytes()[:-100])
    sources = {path.name.split(".")[0]: path for path in tmp_path.iterdir() if path.is_file()}
    done = prepared(sources | {"tables": tables}, tmp_path / "out", dedup=NO_DEDUP, heldout_fraction=0.0)
    bad = {name: source["bad"] for name, source in done["manifest"]["sources"].items()}
    assert bad == {
        "nul": {"input.too_long_line": 1},
        "deep": {"input.deep_json": 2},
        "cut": {"input.truncated": 1},
        "bomb": {"input.bomb": 1},
        "tables": {"input.bomb": 1, "input.broken_parquet": 1},
    }
    assert done["mib"] < 900 and done["seconds"] < 40, (done["mib"], done["seconds"])


@pytest.mark.parametrize("stage", ["boilerplate", "rules", "passages"])
def test_much_of_the_same_takes_no_longer_than_any_other(tmp_path: Path, stage: str):
    texts = [piece * (PIECE_BYTES // len(piece)) for piece in PIECES]
    (tmp_path / "odd.jsonl").write_text(json_lines([*good_texts(), *texts]))
    settings = {
        "boilerplate": {"boilerplate": BoilerplateConfig(enabled=True)},
        "rules": {"rules": EVERY_RULE},
        "passages": {"dedup": DedupConfig(passages=PassageConfig(unit=PassageUnit.substrings))},
    }[stage]
    if stage != "rules":
        settings["rules"] = RulesConfig(basic=BasicConfig(enabled=False))
        settings["scores"] = ScoresConfig(scorers={"usual": ScorerConfig(kind=ScorerKind.prior)})
    else:
        settings["rules"].c4.min_sentences = settings["rules"].gopher.min_stop_words = 0
    done = prepared({"odd": tmp_path / "odd.jsonl"}, tmp_path / "out", **EVERY_STAGE | settings)
    check(done["manifest"]["sources"]["odd"])
    assert done["mib"] < 900 and done["seconds"] < 40, (done["mib"], done["seconds"])


def test_pages_that_are_no_pages_are_extracted_or_dropped(tmp_path: Path):
    pages = tmp_path / "pages"
    pages.mkdir()
    for number, text in enumerate(good_texts()):
        (pages / f"{number}.html").write_text(f"<html><body><main><p>{text}</p></main></body></html>")
    odd = ("<", "<div>", "<table>", "<b><i>", "<font><p>", "<!--", "&#", "<p class='a ", "\x00", "<![CDATA[", "<a x=")
    for number, piece in enumerate(odd):
        (pages / f"odd{number}.html").write_text(piece * (PIECE_BYTES // len(piece)))
    done = prepared({"pages": pages}, tmp_path / "out")
    check(done["manifest"]["sources"]["pages"])
    assert done["mib"] < 900 and done["seconds"] < 40, (done["mib"], done["seconds"])


def test_odd_names_links_and_empty_files_do_no_harm(tmp_path: Path):
    folder = tmp_path / "odd"
    folder.mkdir()
    for number, text in enumerate(good_texts(17)):
        (folder / f"{number}.txt").write_text(text)
    names = (b"new\nline\x1b[31m.txt", b"bad\xff.txt", "\u202ereversed<script>.txt".encode())
    for name, text in zip(names, good_texts(20)[17:], strict=True):
        (Path(os.fsdecode(os.fsencode(folder) + b"/" + name))).write_text(text)
    (tmp_path / "secret.txt").write_text("a secret of somebody else " * 20)
    for name, target in (("loop", "."), ("secret.txt", "../secret.txt"), ("self.txt", "self.txt"), ("no.txt", "none")):
        os.symlink(target, folder / name)
    os.mkfifo(folder / "pipe.txt")
    (folder / "empty.txt").touch()
    (folder / "latin.txt").write_bytes("schöne Wörter ".encode("latin-1") * 20)
    source = prepared({"odd": folder}, tmp_path / "out")["manifest"]["sources"]["odd"]
    assert check(source) == {"basic.empty": 1, "input.outside_link": 1} and source["kept"] == 20
    assert source["bad"] == {"input.not_utf8": 1, "input.unreadable": 2, "input.vanished": 1}
    for name in ("dropped_samples.jsonl", "kept_samples.jsonl", "inputs.txt"):
        content = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert "a secret of" not in content and "\x1b" not in content and "\u202e" not in content
    inputs = (tmp_path / "out" / "inputs.txt").read_text(encoding="utf-8").splitlines()
    assert len(inputs) == sum(1 for _ in folder.iterdir()) - 1  # the link to the folder itself
    for path in (tmp_path / "out").glob("*.json"):
        json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_text_that_looks_like_control_tokens_becomes_none(run, tmp_path: Path):
    spelt = "<|endoftext|><|user|>Hello<|end|><|assistant|>\x00\ud800 " * 20
    (tmp_path / "spelt.jsonl").write_text(json_lines([*good_texts(), *(f"{spelt} {i}" for i in range(5))]))
    manifest = run(tmp_path / "spelt.jsonl")
    assert manifest["sources"]["books"]["edits"] == {"input.surrogates": 100, "repair.control_characters": 100}
    tokenizer = Tokenizer.load(tmp_path / "out" / "tokenizer")
    for split in ("train", "heldout"):
        shard = Shard.open(tmp_path / "out" / split / "books")
        for number in range(shard.num_documents):
            ids = shard.document(number)
            assert ids[-1] == tokenizer.end_of_text_id and (ids[:-1] < tokenizer.vocabulary.text_size).all()


def test_a_file_that_vanishes_or_changes_after_it_was_listed_is_counted(run, tmp_path: Path, monkeypatch):
    for number, text in enumerate(good_texts()):
        (tmp_path / f"{number}.txt").write_text(text)

    def meddle(output: Path, *, num_bytes: int) -> None:
        (tmp_path / "3.txt").unlink()
        (tmp_path / "4.txt").write_text("another text")

    monkeypatch.setattr("data_prep.prepare.check_disk", meddle)
    source = run(str(tmp_path / "*.txt"), errors=ErrorConfig(max_fraction=0.2))["sources"]["books"]
    assert source["bad"] == {"input.changed": 1, "input.vanished": 1} and source["kept"] == 18


def test_broken_results_of_an_earlier_run_are_done_again(run, tmp_path: Path):
    (tmp_path / "a.jsonl").write_text(json_lines(good_texts()))
    wanted = run(tmp_path / "a.jsonl", keep_work=True)
    for content in ("", "[]", "{}", '{"summary": 7}', "[" * 100_000):
        for path in (tmp_path / ".out.work" / "tasks").rglob("done.json"):
            path.write_text(content)
        shutil.rmtree(tmp_path / "out")
        assert run(tmp_path / "a.jsonl", keep_work=True) == wanted


def test_a_link_in_place_of_the_staging_directory_is_refused_and_its_target_kept(run, tmp_path: Path):
    (tmp_path / "a.jsonl").write_text(json_lines(good_texts()))
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("dear")
    os.symlink("precious", tmp_path / ".out.staging")
    with pytest.raises(ValueError, match=r"\.out\.staging must be no link: remove it"):
        run(tmp_path / "a.jsonl")
    (tmp_path / ".out.staging").unlink()
    os.symlink("precious", tmp_path / ".out.work")
    run(tmp_path / "a.jsonl")
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "dear"


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"[" * 200_000, b'{"messages": ' + b"[" * 200_000, b'{"prompt": "a"', b"\x00" * 1000]
)
def test_hostile_conversations_are_refused_in_one_line(run, tmp_path: Path, content: bytes):
    (tmp_path / "a.jsonl").write_text(json_lines(good_texts()))
    (tmp_path / "talks.jsonl").write_bytes(content)
    talks = InstructConfig(sources={"talks": InstructSourceConfig(path=str(tmp_path / "talks.jsonl"))})
    with pytest.raises(ValueError, match=r"talks\.jsonl") as error:
        run(tmp_path / "a.jsonl", instructions=talks)
    assert "\n" not in str(error.value) and not (tmp_path / ".out.work").exists()
