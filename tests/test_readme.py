"""Every command of the README runs as written; only sizes are added, so that it takes seconds."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import run_command

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
SMALL = {
    "prepare": ["max_bytes=1500000", "tokenizer.vocab_size=600", "questions=300"],
    "pretrain": ["data.sequence_length=64", "batch.sequences_per_step=4", "batch.sequences_per_microbatch=2"]
    + ["train.heldout_rows=2", "model.d_model=32", "sampling.max_new_tokens=4", "train.steps=4"],
    "sft": ["data.sequence_length=256", "batch.sequences_per_step=4", "batch.sequences_per_microbatch=2"]
    + ["train.steps=2", "samples.questions=2", "sampling.max_new_tokens=4", "train.heldout_rows=2"],
    "align": ["data.sequence_length=512", "batch.sequences_per_step=4", "batch.sequences_per_microbatch=2"]
    + ["train.steps=2", "samples.questions=2", "sampling.max_new_tokens=4", "train.heldout_rows=2"],
    "generate": ["sampling.max_new_tokens=4"],
    "chat": ["sampling.max_new_tokens=4"],
    "evaluate": ["sequence_length=64", "rows=1", "limit=4"],
    "grow": ["row_length=64", "measured_rows=4"],
    "inspect": ["sequence_length=64", "max_tokens=640"],
}
AS_WRITTEN = (
    "checkpoint",
    "report",
    "tokenizer",
    "mixture",
    "lint",
    "export",
    "plan",
    "rehearse",
    "preflight",
    "status",
)
AS_WRITTEN += ("launch",)


def test_the_first_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    named = [command.split()[1] for command in COMMANDS if command.startswith("make ")]
    assert named == ["smoke", "test"]
    for target in named + ["install", "check", "docs", "bench"]:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_file_the_readme_links_to_exists():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links and not [link for link in links if not (ROOT / link).exists()]


@pytest.mark.slow
def test_every_command_runs_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("launch", "README.md"):
        (tmp_path / name).symlink_to(ROOT / name)
    ran = []
    for command in COMMANDS:
        if command.startswith("make "):
            continue
        words = shlex.split(command)
        name = next(word for word in words if word in SMALL or word in AS_WRITTEN)
        _run([*words, *SMALL.get(name, [])])
        ran.append(name)
    first_run = ["prepare", "pretrain", "sft", "generate", "evaluate", "inspect", "checkpoint", "report"]
    text = ["prepare", "report", "tokenizer", "mixture"]
    release = ["align", "evaluate", "lint", "chat", "export", "grow"]
    cluster = ["plan", "rehearse", "launch", "preflight", "status"]
    assert ran == [*first_run, *text, *release, "pretrain", *cluster, "pretrain", "checkpoint"]


def _run(words: list[str]) -> None:
    """A command of mai1 in a process that has torch loaded, any other as it stands."""
    if words[0] == "mai1":
        done = run_command(*words[1:], timeout_s=300)
        assert done.code == 0, f"{shlex.join(words)}\n{done.out}\n{done.err}"
        return
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
