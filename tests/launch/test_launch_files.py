"""The launch files parse, and hand every argument on as it is."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mai1.launch.slurm import standalone

LAUNCH = Path(__file__).parents[2] / "launch"
SCRIPTS = [LAUNCH / "local.sh", LAUNCH / "slurm.sbatch"]
RECORDER = """#!/bin/bash
printf '%s\\0' "$@" >"$RECORD"
printf '%s' "${OMP_NUM_THREADS:-unset}" >"$RECORD.threads"
exit "${EXIT_WITH:-0}"
"""
AWKWARD = ["data.path=a b", "; touch x", "$(touch x)", "`touch x`", "", "*", 'say "hi"', "it's", "a\nb", "--help"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with local.sh in launch/ and, on PATH, a torchrun that records its arguments."""
    (tmp_path / "launch").mkdir()
    shutil.copy(LAUNCH / "local.sh", tmp_path / "launch")
    _write_recorder(tmp_path / "bin" / "torchrun")
    return tmp_path


def _write_recorder(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(RECORDER)
    path.chmod(0o755)


def start(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": f"{checkout / 'bin'}:{os.environ['PATH']}", "RECORD": str(checkout / "record"), **environment}
    command = [str(checkout / "launch" / "local.sh"), *arguments]
    return subprocess.run(command, env=variables, cwd=checkout, capture_output=True, text=True, timeout=120)


def recorded(checkout: Path) -> list[str]:
    return (checkout / "record").read_text().split("\0")[:-1]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_scripts_pass_shellcheck(script: Path) -> None:
    checked = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_local_starts_torchrun_with_the_command(checkout: Path) -> None:
    assert start(checkout, "2", "pretrain", "model=tiny", "engine.expert_parallel=2").returncode == 0
    expected = [
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "mai1",
        "pretrain",
        "model=tiny",
        "engine.expert_parallel=2",
    ]
    assert recorded(checkout) == expected


def test_local_hands_on_awkward_arguments_unharmed(checkout: Path) -> None:
    assert start(checkout, "1", "pretrain", *AWKWARD).returncode == 0
    assert recorded(checkout)[5:] == ["pretrain", *AWKWARD]
    assert not (checkout / "x").exists()


def test_local_prefers_the_environment_of_the_checkout(checkout: Path) -> None:
    _write_recorder(checkout / ".venv" / "bin" / "torchrun")
    (checkout / "bin" / "torchrun").unlink()
    assert start(checkout, "1", "pretrain").returncode == 0
    assert recorded(checkout)[-1] == "pretrain"


def test_local_shares_the_cores_and_keeps_a_choice(checkout: Path) -> None:
    start(checkout, "1", "pretrain")
    assert int((checkout / "record.threads").read_text()) >= 1
    start(checkout, "9999", "pretrain")
    assert (checkout / "record.threads").read_text() == "1"
    start(checkout, "2", "pretrain", OMP_NUM_THREADS="7")
    assert (checkout / "record.threads").read_text() == "7"


def test_local_returns_the_exit_code_of_the_run(checkout: Path) -> None:
    assert start(checkout, "1", "pretrain", EXIT_WITH="3").returncode == 3


@pytest.mark.parametrize(
    "arguments", [("0", "pretrain"), ("two", "pretrain"), ("-1", "x"), ("2; touch x", "x"), ("2",)]
)
def test_local_refuses_a_mistake_in_one_line(checkout: Path, arguments: tuple[str, ...]) -> None:
    refused = start(checkout, *arguments)
    assert refused.returncode == 2
    assert refused.stderr.startswith("launch/local.sh: ") and refused.stderr.count("\n") == 1
    assert not (checkout / "record").exists() and not (checkout / "x").exists()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_local_explains_itself(checkout: Path, arguments: tuple[str, ...]) -> None:
    explained = start(checkout, *arguments)
    assert explained.returncode == 0
    assert "usage: launch/local.sh N COMMAND" in explained.stdout


def test_the_scripts_are_executable_where_they_must_be() -> None:
    assert os.access(LAUNCH / "local.sh", os.X_OK)


def test_slurm_sbatch_is_what_its_template_makes() -> None:
    assert (LAUNCH / "slurm.sbatch").read_text() == standalone(), (
        "write mai1.launch.slurm.standalone() to launch/slurm.sbatch"
    )
