"""The launch files parse, and hand every argument on as it is."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

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


FAKE_SRUN = """#!/bin/bash
attempt=$(ls -d logs/slurm-7/attempt-* | wc -l)
logs=$(ls -d logs/slurm-7/attempt-* | sort -V | tail -1)
printf '%s\\0' "$@" >"srun-$attempt"
what=$(sed -n "${attempt}p" script)
publish() { mkdir -p runs/first/checkpoints; ln -sfn "step_$attempt" runs/first/checkpoints/latest; }
case $what in
    done) publish; exit 0 ;;
    progress) publish; exit 143 ;;
    futile) exit 1 ;;
    mistake) mkdir -p "$logs/node-0/x/attempt_0/0"; echo '{}' >"$logs/node-0/x/attempt_0/0/error.json"; exit 1 ;;
    time) touch "$logs/time-is-up"; publish; exit 85 ;;
    slow) touch "$logs/time-is-up"; exit 143 ;;
esac
"""


def run_job(folder: Path, *script: str, overrides: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """slurm.sbatch with a Slurm whose attempts end as `script` says, one word each."""
    programs = {"srun": FAKE_SRUN, "scontrol": '#!/bin/bash\necho "$@" >>scontrol; [[ $1 != show ]] || echo n0\n'}
    (folder / "bin").mkdir(exist_ok=True)
    for name, content in programs.items():
        (folder / "bin" / name).write_text(content)
        (folder / "bin" / name).chmod(0o755)
    (folder / "script").write_text("".join(f"{word}\n" for word in script))
    variables = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "SLURM_SUBMIT_DIR": str(folder)}
    variables |= {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n0", "SLURM_CPUS_ON_NODE": "2"}
    command = ["bash", str(LAUNCH / "slurm.sbatch"), "pretrain", *overrides]
    return subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, timeout=60)


def attempts(folder: Path) -> int:
    return len(list(folder.glob("srun-*")))


@pytest.mark.parametrize(
    ("script", "code", "num_attempts", "said"),
    [
        (["done"], 0, 1, "done, at checkpoint step_1"),
        (["progress", "progress", "done"], 0, 3, "starting again from step_2"),
        (["futile"] * 9, 1, 4, "3 restarts brought no checkpoint after none"),
        (["futile", "futile", "progress", "futile", "futile", "done"], 0, 6, "done"),
        (["mistake"], 2, 1, "by what another attempt would meet again"),
        (["progress", "mistake"], 2, 2, "by what another attempt would meet again"),
        (["time"], 0, 1, "saved step_1; queueing this job again"),
        (["slow"], 1, 1, "time was up, but no checkpoint came after none"),
        (["progress"] * 60, 1, 51, "50 restarts are enough"),
    ],
)
def test_a_job_starts_again_only_while_that_helps(tmp_path, script, code, num_attempts, said) -> None:
    job = run_job(tmp_path, *script)
    assert (job.returncode, attempts(tmp_path)) == (code, num_attempts), job.stderr
    assert said in job.stderr
    is_requeued = "requeue 7" in (tmp_path / "scontrol").read_text()
    assert is_requeued == (script == ["time"])


def test_a_job_that_was_queued_again_goes_on_counting(tmp_path) -> None:
    for attempt in range(1, 4):
        assert run_job(tmp_path, *["time"] * attempt).returncode == 0
    assert attempts(tmp_path) == 3
    ledger = [json.loads(line) for line in (tmp_path / "runs" / "first" / "restarts.jsonl").read_text().splitlines()]
    assert [(event["restart"], event["from"], event["why"]) for event in ledger] == [
        (n, f"step_{n}", "time limit") for n in (1, 2, 3)
    ]


def test_a_job_hands_on_awkward_arguments_unharmed(tmp_path) -> None:
    assert run_job(tmp_path, "done", overrides=tuple(AWKWARD)).returncode == 0
    handed = (tmp_path / "srun-1").read_text().split("\0")[:-1]
    assert handed[-len(AWKWARD) - 1 :] == ["pretrain", *AWKWARD]
    assert not (tmp_path / "x").exists()
