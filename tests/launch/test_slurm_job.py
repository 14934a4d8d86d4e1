"""The inside of a Slurm job, with a Slurm whose attempts end as a test says: when it goes on, with which nodes, when it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mai1.launch import bad_nodes, slurm_job
from mai1.launch.attempts import Attempts
from tests.launch.test_launch_files import AWKWARD, LAUNCH

FAKE_SRUN = """#!/bin/bash
attempt=$(ls -d runs/first/logs/slurm-7/attempt-* | wc -l)
logs=$(ls -d runs/first/logs/slurm-7/attempt-* | sort -V | tail -1)
printf '%s\\0' "$@" >"srun-$attempt"
what=$(sed -n "$(ls srun-* | wc -l)p" script)
publish() { mkdir -p runs/first/checkpoints; ln -sfn "step_$attempt" runs/first/checkpoints/latest; }
say() { mkdir -p "$logs/$1/x/attempt_0/0"; printf '%s' "$2" >"$logs/$1/x/attempt_0/0/error.json"; }
case $what in
    done)
        publish
        for node in $(tr '\\0' '\\n' <"srun-$attempt" | sed -n 's/--nodelist=//p' | tr ',' ' '); do
            mkdir -p "$logs/node-0-$node"; touch "$logs/node-0-$node/ended-well"
        done
        exit 143 ;;
    progress) publish; exit 143 ;;
    futile) exit 1 ;;
    mistake) say node-0-n0 '{}'; exit 1 ;;
    time) touch "$logs/time-is-up"; publish; exit 85 ;;
    slow) touch "$logs/time-is-up"; exit 143 ;;
    preempted) publish; echo 'JobState=RUNNING PreemptTime=2026-01-01T00:00:00' >state; exit 143 ;;
    cancelled) echo 'JobState=CANCELLED' >state; exit 143 ;;
    faulty) say node-1-n1 '{"message": "rank 1 on host computed 3 steps wrongly", "timestamp": 1, "code": 5}'; exit 1 ;;
    unfit) echo 'n1.cluster  # slow' >runs/first/excluded_nodes.txt; say node-0-n0 '{"message": "unfit", "code": 6}'; exit 1 ;;
esac
"""
FAKE_SCONTROL = """#!/bin/bash
echo "$@" >>scontrol
case $* in
    "show hostnames"*) echo $NODES | tr ' ' '\\n' | sed 's/.*-//' ;;
    "show job"*) cat state 2>/dev/null ;;
    "show node"*) echo "NodeName=$3 NodeAddr=10.0.0.1" ;;
    requeue*) [[ ! -e refuses ]] || { echo "Requeue is disabled" >&2; exit 1; } ;;
esac
"""


def run_job(
    folder: Path, *script: str, words: tuple[str, ...] = ("pretrain",), nodes: int = 1, options: tuple[str, ...] = ()
):
    """The job on `nodes` nodes n0, n1, ...; its attempts end as `script` says, one word each."""
    (folder / "bin").mkdir(exist_ok=True)
    for name, content in {"srun": FAKE_SRUN, "scontrol": FAKE_SCONTROL, "scancel": "#!/bin/bash\n"}.items():
        (folder / "bin" / name).write_text(content)
        (folder / "bin" / name).chmod(0o755)
    (folder / "script").write_text("".join(f"{word}\n" for word in script))
    environment = {
        "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(LAUNCH.parent),
        "SLURM_SUBMIT_DIR": str(folder),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "n",
        "SLURM_CPUS_ON_NODE": "2",
        "NODES": " ".join(f"{number}-n{number}" for number in range(nodes)),
    }
    job = [str(LAUNCH / "slurm.sbatch"), *words]
    command = ["bash", *job] if not options else [sys.executable, "-m", "mai1.launch.slurm_job", *options, "--", *words]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)


def steps(folder: Path) -> list[list[str]]:
    """The arguments of each srun."""
    paths = sorted(folder.glob("srun-*"), key=lambda path: int(path.name[5:]))
    return [path.read_text().split("\0")[:-1] for path in paths]


def asked(folder: Path) -> list[str]:
    """What scontrol was told to do."""
    lines = (folder / "scontrol").read_text().splitlines()
    return [line for line in lines if not line.startswith("show")]


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
        (["cancelled", "done"], 1, 1, "the job is CANCELLED"),
        (["preempted", "done"], 0, 1, "a job of higher priority takes the nodes; saved step_1"),
    ],
)
def test_a_job_starts_again_only_while_that_helps(tmp_path, script, code, num_attempts, said) -> None:
    job = run_job(tmp_path, *script)
    assert (job.returncode, len(steps(tmp_path))) == (code, num_attempts), job.stderr
    assert said in job.stderr
    assert asked(tmp_path) == (["requeue 7"] if script[0] in ("time", "preempted") else [])


def test_restarts_are_bounded_though_each_brings_a_checkpoint(tmp_path: Path) -> None:
    job = run_job(tmp_path, *["progress"] * 9, options=("--nodes=1", "--devices=1", "--max-restarts=3"))
    assert job.returncode == 1 and len(steps(tmp_path)) == 4
    assert "3 restarts are enough; submit the same command to go on from step_4" in job.stderr


def test_a_code_of_zero_without_every_nodes_word_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_JOB_NODELIST"):
        monkeypatch.setenv(name, "7")
    monkeypatch.setattr(slurm_job, "SETTLE_S", 0)
    job = slurm_job.SlurmJob(slurm_job.settings_of(["--nodes=2", f"--run={tmp_path}", "--", "pretrain"]))
    (tmp_path / "node-0-n0").mkdir()
    (tmp_path / "node-0-n0" / slurm_job.ENDED_WELL).touch()
    assert not job._ended_well(0, tmp_path, 2) and job._ended_well(143, tmp_path, 1)


def test_a_job_that_was_queued_again_goes_on_counting(tmp_path: Path) -> None:
    for attempt in range(1, 4):
        assert run_job(tmp_path, *["time"] * attempt).returncode == 0
    assert len(steps(tmp_path)) == 3
    ledger = [json.loads(line) for line in (tmp_path / "runs" / "first" / "restarts.jsonl").read_text().splitlines()]
    assert [(event["restart"], event["from"], event["why"]) for event in ledger] == [
        (n, f"step_{n}", "time limit") for n in (1, 2, 3)
    ]


def test_a_job_that_slurm_will_not_queue_again_says_so(tmp_path: Path) -> None:
    (tmp_path / "refuses").touch()
    job = run_job(tmp_path, "time")
    assert job.returncode == 1 and "cannot be queued again (Requeue is disabled); submit the same command" in job.stderr


def test_a_job_hands_on_awkward_arguments_unharmed(tmp_path: Path) -> None:
    assert run_job(tmp_path, "done", words=("pretrain", *AWKWARD)).returncode == 0
    [handed] = steps(tmp_path)
    assert handed[-len(AWKWARD) - 2 :] == ["pretrain", *AWKWARD, "preflight.checks=quick"]
    assert not (tmp_path / "x").exists()


def test_new_nodes_are_looked_at_once_and_not_against_the_commands_word(tmp_path: Path) -> None:
    run_job(tmp_path, "progress", "done", words=("pretrain", "run.name=first"))
    first, second = steps(tmp_path)
    assert first[-1] == "preflight.checks=quick" and second[-1] == "run.name=first"
    run_job(tmp_path, "x", "x", "done", words=("pretrain", "preflight.checks=full"))
    assert [word for word in steps(tmp_path)[2] if word.startswith("preflight")] == ["preflight.checks=full"]


@pytest.mark.parametrize("failure", ["faulty", "unfit"])
def test_a_spare_node_takes_the_place_of_a_broken_one(tmp_path: Path, failure: str) -> None:
    job = run_job(tmp_path, failure, "done", nodes=3, options=("--nodes=2", "--devices=1"))
    first, second = (next(word for word in words if word.startswith("--nodelist")) for words in steps(tmp_path))
    assert (first, second) == ("--nodelist=n0,n1", "--nodelist=n0,n2"), job.stderr
    listed = bad_nodes.read(tmp_path / "bad_nodes.txt")
    assert ("computed 3 steps wrongly" in listed.get("n1", "")) == (failure == "faulty")
    assert asked(tmp_path) == []


def test_without_a_spare_the_job_waits_for_other_nodes(tmp_path: Path) -> None:
    job = run_job(tmp_path, "faulty", nodes=2, options=("--nodes=2", "--devices=1"))
    assert job.returncode == 0, job.stderr
    assert asked(tmp_path) == ["requeue 7", "update jobid=7 ExcNodeList=n1"]
    again = run_job(tmp_path, "faulty", nodes=2, options=("--nodes=2", "--devices=1"))  # Slurm gave it the same ones
    assert again.returncode == 0 and len(steps(tmp_path)) == 1 and asked(tmp_path).count("requeue 7") == 2


def test_ranks_meet_where_slurm_says_the_first_node_is(tmp_path: Path) -> None:
    run_job(tmp_path, "done", nodes=2, options=("--nodes=2", "--devices=4"))
    [words] = steps(tmp_path)
    assert words[words.index("--master-addr") + 1] == "10.0.0.1"
    assert words[words.index("--nproc-per-node") + 1] == "4" and words[words.index("--nnodes") + 1] == "2"


def test_only_named_variables_reach_the_ranks(tmp_path: Path) -> None:
    run_job(tmp_path, "done", options=("--nodes=1", "--devices=1", "--pass=NCCL_DEBUG,WANDB_API_KEY"))
    exported = next(word for word in steps(tmp_path)[0] if word.startswith("--export="))
    assert exported == (
        "--export=HOME,USER,PATH,LANG,NCCL_DEBUG,WANDB_API_KEY,PYTHONPATH,OMP_NUM_THREADS,"
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT,PYTHONUNBUFFERED"
    )


# ---- attempts, told from files ----


def attempts(folder: Path, **limits: int) -> Attempts:
    limits = {"max_restarts": 9, "max_futile_restarts": 1, **limits}
    return Attempts(folder / "job", checkpoints=folder / "checkpoints", **limits)


def publish(folder: Path, step: int) -> None:
    link = folder / "checkpoints" / "latest"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(f"step_{step}")


def test_starts_that_began_from_the_newest_checkpoint_are_futile(tmp_path: Path) -> None:
    job = attempts(tmp_path)
    job.begin()
    assert (job.count(), job.futile(), job.reason_to_end()) == (1, 1, "")
    job.begin()
    assert job.reason_to_end() == "1 restarts brought no checkpoint after none: not starting again"
    publish(tmp_path, 5)
    assert (job.futile(), job.reason_to_end()) == (0, "")


def test_an_excused_start_is_not_futile_but_counts(tmp_path: Path) -> None:
    job = attempts(tmp_path, max_restarts=2)
    for _ in range(3):
        job.excuse(job.begin(), "preempted")
    assert (job.count(), job.futile()) == (3, 0)
    assert job.reason_to_end() == "2 restarts are enough; submit the same command to go on from none"


def test_a_start_that_was_killed_at_once_counts_as_one(tmp_path: Path) -> None:
    job = attempts(tmp_path)
    (job.begin() / "start.json").write_text("")
    assert job.futile() == 1


def test_what_a_start_says_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = attempts(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            job.begin()
    assert not (tmp_path / "job" / "attempt-0" / "start.json").exists() and job.futile() == 1
    assert json.loads((job.begin() / "start.json").read_text())["from"] == "none"


def test_what_an_attempt_keeps_of_the_environment_is_on_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NCCL_DEBUG", "WANDB_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, "VALUE")
    kept = json.loads((attempts(tmp_path).begin() / "start.json").read_text())["environment"]
    assert kept["NCCL_DEBUG"] == "VALUE" and list(kept.values()).count("VALUE") == 1


def test_a_list_of_bad_nodes_grows_by_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "bad_nodes.txt"
    path.write_text("n1  # by hand\n")
    bad_nodes.add(path, {"n1": "again", "n2": "ECC\nerror", "x;y": "no node"})
    assert bad_nodes.read(path).keys() == {"n1", "n2"} and path.read_text().count("\n") == 2


def test_a_rank_that_hangs_in_the_kernel_blames_its_node_once(tmp_path: Path) -> None:
    for number, state in enumerate("SD"):
        path = tmp_path / "stuck-1" / f"rank-{number:05d}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"rank": number, "state": state, "waits_in": "nvidia_ioctl"}))
    blamed = bad_nodes.stuck_in_kernel(tmp_path, nodes=["a", "b"], devices=1, since=0)
    assert blamed.keys() == {"b"} and "rank 1 hung in the kernel, in nvidia_ioctl" in blamed["b"]
    assert bad_nodes.stuck_in_kernel(tmp_path, nodes=["a", "b"], devices=1, since=path.stat().st_mtime + 1) == {}
