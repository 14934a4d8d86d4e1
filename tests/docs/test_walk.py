"""The pages for newcomers are walked: their commands run as written, one after the other, with smaller sizes."""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.build import ROOT
from mai1.run.cli import main
from tests.docs.blocks import Block, blocks_of, commands_of
from tests.support.commands import run_command

ROWS = ["data.sequence_length=64", "batch.sequences_per_step=4", "batch.sequences_per_microbatch=2"]
RUN = ["train.steps=8", "train.log_every=4", "samples.count=1", "sampling.max_new_tokens=4"]
SMALL = {
    "prepare": ["max_bytes=400000", "tokenizer.vocab_size=600", "workers=1"],
    "pretrain": [*ROWS, *RUN, "train.heldout_rows=2", "model.d_model=32"],
    "sft": [*ROWS, *RUN, "data.sequence_length=256", "train.heldout_rows=2", "samples.questions=2"]
    + ["samples.persona_probes=0"],
    "generate": ["sampling.max_new_tokens=4"],
    "chat": ["sampling.max_new_tokens=4"],
    "evaluate": ["limit=2"],
    "export": ["prove=false"],
    "inspect": ["sequence_length=64", "max_tokens=320"],
}
"""What is added to each command, so that it takes seconds."""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A directory in which somebody has followed the ten-minute start."""
    directory = tmp_path_factory.mktemp("newcomer")
    with contextlib.chdir(directory):
        walk("docs/start.md")
        yield directory


def walk(page: str) -> list[str]:
    """Write the files of a page and run its commands; returns those that ran."""
    ran = []
    for block in blocks_of(page):
        if "file" in block.marks:
            write(Path(block.marks["file"]), block)
        elif block.language == "bash" and not {"needs", "tested-by", "with"} & set(block.marks):
            for words in commands_of(block):
                run(words, block)
                ran.append(" ".join(words))
    return ran


def write(path: Path, block: Block) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")


def run(words: list[str], block: Block) -> None:
    """One command, in this process where it is mai1's."""
    if words[0] == "mai1":
        ended = run_command(*words[1:], *SMALL.get(words[1], []))
        assert ended.code == 0, f"{block.place}: {shlex.join(words)}\n{ended.err}"
        return
    assert words[0] == "python", f"{block.place}: {shlex.join(words)}"
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True)
    assert done.returncode == 0, f"{block.place}: {done.stderr}"


def test_the_ten_minute_start_ends_with_a_model_that_answers(place: Path):
    written = [
        "data/start/report.html",
        "runs/start/report.html",
        "runs/start/inspect.html",
        "runs/start-sft/report.html",
    ]
    assert not [name for name in written if not (place / name).is_file()]


@pytest.mark.parametrize("page", ["own-text", "fine-tune", "recover", "dashboards"])
def test_a_page_runs_as_written(page: str, place: Path):
    assert len(walk(f"docs/{page}.md")) >= 3


def test_messages_are_what_the_page_of_troubles_says(place: Path, capfd, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    for block in blocks_of("docs/troubleshooting.md"):
        if block.language == "console":
            command, expected = block.lines
            with pytest.raises(SystemExit) as ended:
                main(shlex.split(command.removeprefix("$ mai1 ")))
            said = capfd.readouterr().err.strip().splitlines()[-1]
            pattern = ".*".join(re.escape(part) for part in expected.split("..."))
            assert ended.value.code == 2 and re.fullmatch(pattern, said), f"{block.place}: {said}"


DRIVER = """
import json, sys
from mai1.run.cli import main
for words in json.load(sys.stdin):
    try:
        main(words)
    except SystemExit as ended:
        assert not ended.code, words
"""


def test_the_extensions_work_as_the_page_makes_them(place: Path, tmp_path: Path):
    blocks = blocks_of("docs/extend.md")
    for room in ("mai1", "data_prep"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    for block in blocks:
        name = block.marks.get("file", "")
        if name:
            write((tmp_path if name.startswith("data_prep/") else place) / name, block)
        elif "patch" in block.marks:
            apply_change(tmp_path / block.marks["patch"], block)
    walk_quietly = [words for block in blocks if block.language == "bash" for words in commands_of(block)]
    for words in walk_quietly:
        if words[0] == "python":
            run(words, blocks[0])
    commands = [[*words[1:], *SMALL.get(words[1], [])] for words in walk_quietly if words[0] == "mai1"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps(commands),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    manifest = json.loads((place / "data/calm/manifest.json").read_text())
    assert manifest["changed"]["shouting.max_fraction"] == 0.3
    assert "7" in done.stdout.splitlines()[-6]


def apply_change(path: Path, block: Block) -> None:
    """A block of a diff: its lines without and with a sign must stand in the file, once."""
    before = "\n".join(line[1:] for line in block.lines if not line.startswith("+"))
    after = "\n".join(line[1:] for line in block.lines if not line.startswith("-"))
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{block.place}: {path.name} has these lines {text.count(before)} times"
    path.write_text(text.replace(before, after), encoding="utf-8")
