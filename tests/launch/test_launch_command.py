"""`mai1 launch`: prints what it would do and does nothing; every value arrives as given; mistakes are said before a queue."""

import json
import os
import re
import shlex
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from mai1.launch.config import JobConfig, Target
from mai1.launch.submission import write
from mai1.launch.training import run_path, words_of
from mai1.run.cli import main
from mai1.run.compose import config_directory

COMMAND = "pretrain model=tiny run.name=first batch.sequences_per_step=24 batch.sequences_per_microbatch=1"
GIVEN = {
    "local": [],
    "slurm": ["nodes=2"],
    "k8s": ["nodes=2", "k8s.image=registry.example/mai1:1", "k8s.claim=work"],
    "ray": ["nodes=2"],
    "skypilot": ["nodes=2"],
    "azureml": ["nodes=2", "azureml.compute=gpu", "azureml.environment=azureml:mai1:1"]
    + ["azureml.workspace=w", "azureml.resource_group=g"],
}
AWKWARD = "a b; touch x $(touch x) `touch x` it's * \\ \" ${X} $$"
PROGRAMS = {"slurm": "sbatch", "k8s": "kubectl", "ray": "ray", "skypilot": "sky", "azureml": "az"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def launch(capfd: pytest.CaptureFixture, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["launch", *arguments])
    said = capfd.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def shown(capfd: pytest.CaptureFixture, target: str, *more: str, command: str = COMMAND) -> tuple[str, list[str]]:
    """The file and the words of the command that a dry run prints."""
    code, out, err = launch(
        capfd, f"target={target}", "devices_per_node=1", *GIVEN[target], f"command={command}", *more
    )
    assert code == 0, err
    text, _, words = out.rpartition("# command:\n")
    file = text.partition("# file: ")[2].partition("\n")[2].rpartition("# end of file")[0]
    return file, shlex.split(words)


def words_handed_on(target: str, file: str, command: list[str]) -> list[str]:
    """The words of the training command as a node gets them, read back by the rules of who reads the file."""
    if target == "local":
        return command[command.index("mai1") + 1 : -4]
    if target == "ray":
        entry = shlex.split(shlex.join(command[command.index("--") + 1 :]))  # Ray hands what follows to a shell, quoted
        inner = entry[entry.index("--") + 1 :]
        return inner[inner.index("--") + 1 :]
    if target == "slurm":
        line = file.rpartition("exec ")[2].replace("\\\n", " ")
        words = shlex.split(line)
        return words[words.index("--") + 1 :]
    content = yaml.safe_load(file)
    if target == "k8s":
        pod = content["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
        words = [expand(word) for word in pod["containers"][0]["command"]]
    else:
        words = shlex.split(content["run" if target == "skypilot" else "command"])
        words = words[:-1] if target == "azureml" else words
    return words[words.index("--") + 1 :]


def expand(word: str) -> str:
    """Kubernetes' rule for commands (third_party/forked/golang/expansion): $(NAME) is replaced, $$ is a dollar sign."""
    out, at = "", 0
    while at < len(word):
        if word[at] == "$" and at + 1 < len(word):
            if word[at + 1] == "$":
                out, at = out + "$", at + 2
                continue
            if word[at + 1] == "(" and ")" in word[at:]:
                out, at = out + "REPLACED", word.index(")", at) + 1
                continue
        out, at = out + word[at], at + 1
    return out


@pytest.mark.parametrize("target", GIVEN)
def test_a_dry_run_prints_and_does_nothing(target: str, capfd: pytest.CaptureFixture, folder: Path):
    file, command = shown(capfd, target)
    assert command and (file or target in ("local", "ray"))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("target", GIVEN)
def test_every_word_arrives_as_it_was_given(target: str, capfd: pytest.CaptureFixture, folder: Path):
    words = [
        "pretrain",
        "model=tiny",
        "run.name=first",
        f"data.path='{AWKWARD.replace(chr(92), '').replace(chr(39), '')}'",
    ]
    words[-1] = words[-1].replace("${X}", "$X")  # a configuration reads nothing from outside
    file, command = shown(capfd, target, command=shlex.join(words))
    assert words_handed_on(target, file, command) == words
    if target == "slurm":
        subprocess.run(["bash", "-n"], input=file, text=True, check=True)
    assert not (folder / "x").exists()


@pytest.mark.parametrize("target", PROGRAMS)
def test_submitting_runs_exactly_what_was_printed(target: str, capfd, folder: Path, monkeypatch: pytest.MonkeyPatch):
    (folder / "bin").mkdir()
    program = folder / "bin" / PROGRAMS[target]
    program.write_text('#!/bin/bash\nprintf "%s\\0" "$@" >"$RECORD"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("RECORD", str(folder / "record"))
    file, command = shown(capfd, target)
    arguments = [f"target={target}", "devices_per_node=1", *GIVEN[target], f"command={COMMAND}", "submit=true"]
    assert launch(capfd, *arguments)[0] == 0
    assert (folder / "record").read_text().split("\0")[:-1] == command[1:]
    written = [path for path in folder.rglob("*") if path.is_file() and path.parent.name == "launch"]
    assert [path.read_text() for path in written] == ([file] if file else [])
    assert all(path.stat().st_mode & 0o077 == 0 for path in written)


def test_what_submits_must_be_installed_and_may_fail(capfd, folder: Path, monkeypatch: pytest.MonkeyPatch):
    arguments = ["target=slurm", "devices_per_node=1", f"command={COMMAND}", "submit=true"]
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(folder))
        code, _, err = launch(capfd, *arguments)
    assert (
        code == 2
        and "submit=true needs sbatch on PATH: start it on a login node" in err
        and not (folder / "runs").exists()
    )
    (folder / "sbatch").write_text("#!/bin/bash\necho 'invalid partition' >&2; exit 1\n")
    (folder / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    code, _, err = launch(capfd, *arguments)
    assert code == 2 and "invalid partition" in err and "sbatch ended with code 1" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["command="], "command='' must begin with one of pretrain, sft, align"),
        (["command=rm -rf /"], "must begin with one of pretrain"),
        (["command=pretrain 'x"], "cannot be split into words"),
        (["command=pretrain traim.steps=3"], "command: traim.steps is no key of `mai1 pretrain`"),
        (["command=pretrain engine.expert_parallel=3"], "command: engine.expert_parallel=3 must divide the 8 ranks"),
        (["command=pretrain launch.ranks=2"], "launch.ranks, which starts ranks on one machine"),
        (["command=pretrain wandb.api_key=12345"], "command looks like a secret (api_key)"),
        (["nodes=2"], "nodes=2 with target=local"),
        (["nodes=0"], "nodes=0 must be at least 1"),
        (["name=A_b"], "name='A_b' must be at most 40 lower-case letters"),
        (["variables={WANDB_API_KEY: abc}"], "variables.WANDB_API_KEY looks like a secret"),
        (["variables={X: hf_abcdefghijklmnopqrstuvwxyz}"], "variables.X looks like a secret"),
        (["variables={a.b: c}"], "must be the name of a variable"),
        (["target=ray", "environment=[HOME2]"], "cannot travel to target=ray without standing in a file"),
        (["target=slurm", "slurm.partition='a b'"], "slurm.partition='a b' must be letters"),
        (["target=slurm", "slurm.partition='$(touch x)'"], "slurm.partition='$(touch x)' must be letters"),
        (["target=slurm", "slurm.options={wrap: x}"], "slurm.options.wrap must be one of"),
        (["target=slurm", "slurm.exclude=['n1;x']"], "slurm.exclude='n1;x' must be the name of one node"),
        (["target=slurm", f"command={COMMAND} 'run.name=a b'"], "must be a path of letters, digits"),
        (["target=k8s"], "k8s.image is missing"),
        (["target=k8s", "k8s.image=x"], "k8s.claim is missing"),
        (["target=k8s", "k8s.namespace='a;b'"], "k8s.namespace='a;b' must be a Kubernetes name"),
        (["target=k8s", "k8s.mount=work"], "k8s.mount=work must be an absolute path"),
        (["target=azureml"], "azureml.compute is missing"),
        (["target=ray", "ray.address='x y'"], "ray.address='x y' must be a URL"),
        (["umask=9"], "umask='9' must be three octal digits"),
        (["port=80"], "port=80 must be from 1024"),
        (["time_limit_hours=0"], "time_limit_hours=0"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(arguments: list[str], says: str, capfd, folder: Path):
    command = [] if any(a.startswith("command=") for a in arguments) else [f"command={COMMAND}"]
    code, _, err = launch(capfd, *command, *arguments)
    assert code == 2 and says in err and err.count("\n") == 1, err
    assert list(folder.iterdir()) == []


def test_a_secret_is_not_repeated_in_its_refusal(capfd: pytest.CaptureFixture):
    secret = "hf_abcdefghijklmnopqrstuvwxyz"
    for arguments in ([f"variables={{X: {secret}}}", f"command={COMMAND}"], [f"command=pretrain run.name={secret}"]):
        _, out, err = launch(capfd, *arguments)
        assert secret not in out + err


def test_no_value_of_the_environment_is_in_what_is_submitted(capfd, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_API_KEY", "do-not-print-me")
    monkeypatch.setenv("HF_TOKEN", "do-not-print-me")
    for target in GIVEN:
        more = ["environment=[WANDB_API_KEY]"] if target == "slurm" else []
        file, command = shown(capfd, target, *more)
        assert "do-not-print-me" not in file + " ".join(command)
        assert ("WANDB_API_KEY" in file) == (target == "slurm")


EFFECTS = {
    "slurm": {
        "name=other": "--job-name=other",
        "nodes=3": "    --nodes=3",
        "time_limit_hours=1.5": "--time=01:30:00",
        "max_restarts=7": "--max-restarts=7",
        "max_futile_restarts=2": "--max-futile-restarts=2",
        "stop_within_s=99": "--stop-within=99",
        "environment=[NCCL_DEBUG]": "--pass=NCCL_DEBUG",
        "variables={A_B: 'x y'}": "export A_B='x y'",
        "umask='077'": "umask 077",
        "preflight=full": "--preflight=full",
        "slurm.partition=gpu": "#SBATCH --partition=gpu",
        "slurm.account=text": "#SBATCH --account=text",
        "slurm.qos=low": "#SBATCH --qos=low",
        "slurm.reservation=r1": "#SBATCH --reservation=r1",
        "slurm.options={constraint: h100}": "#SBATCH --constraint=h100",
        "slurm.modules=[cuda/12.8]": "module load cuda/12.8",
        "slurm.exclude=[n7]": "#SBATCH --exclude=n7",
        "slurm.bad_nodes=bad.txt": "--bad-nodes=bad.txt",
        "slurm.spare_nodes=2": "#SBATCH --nodes=5",
        "slurm.notice_s=60": "--signal=B:USR1@60",
        "slurm.python=/opt/bin/python": "python=/opt/bin/python",
        "device=gpu": "--gpus-per-node=1",
    },
    "k8s": {
        "port=30001": "--port=30001",
        "time_limit_hours=2": "activeDeadlineSeconds: 7200",
        "max_restarts=7": "maxRestarts: 7",
        "stop_within_s=99": "terminationGracePeriodSeconds: 99",
        "variables={A: b}": "value: b",
        "umask='077'": "--umask=077",
        "preflight=off": "--preflight=off",
        "k8s.image=other:2": "image: other:2",
        "k8s.namespace=team": "namespace: team",
        "k8s.claim=disk": "claimName: disk",
        "k8s.mount=/data": "mountPath: /data",
        "k8s.queue=q": "kueue.x-k8s.io/queue-name: q",
        "k8s.cpus=9": "cpu: '9'",
        "k8s.memory_gib=8": "memory: 8Gi",
        "k8s.shared_memory_gib=3": "sizeLimit: 3Gi",
        "k8s.gpu_resource=amd.com/gpu": "amd.com/gpu: '1'",
        "k8s.resources={rdma/ib: 8}": "rdma/ib: '8'",
        "k8s.node_selector={gpu: h100}": "gpu: h100",
        "k8s.exclude=[n7]": "NotIn",
        "k8s.tolerations=[nvidia.com/gpu]": "key: nvidia.com/gpu",
        "k8s.secrets={WANDB_API_KEY: wandb/key}": "secretKeyRef",
        "k8s.uses_host_network=true": "hostNetwork: true",
    },
    "ray": {
        "ray.address=http://head:8265": "--address=http://head:8265",
        "ray.cpus=3": "--cpus=3",
        "ray.python=/opt/python": "/opt/python -m mai1.launch.node",
        "device=gpu": "--gpus=1",
        "variables={A: b}": '"A": "b"',
    },
    "skypilot": {
        "skypilot.accelerator=A100": "accelerators: A100:1",
        "skypilot.infra=aws/us-east-1": "infra: aws/us-east-1",
        "skypilot.uses_spot=true": "use_spot: true",
        "skypilot.image=docker:x:1": "image_id: docker:x:1",
        "skypilot.setup='pip install -e .'": "setup: pip install -e .",
        "skypilot.mounts={/outputs: s3://b/x}": "source: s3://b/x",
        "variables={A: b}": "A: b",
    },
    "azureml": {
        "azureml.compute=other": "compute: other",
        "azureml.environment=azureml:e:2": "environment: azureml:e:2",
        "azureml.workspace=other": "--workspace-name=other",
        "azureml.resource_group=other": "--resource-group=other",
        "azureml.outputs=azureml://datastores/d/paths/p": "path: azureml://datastores/d/paths/p",
        "azureml.shared_memory_gib=3": "shm_size: 3g",
        "time_limit_hours=1": "timeout: 3600",
        "variables={A: b}": "A: b",
    },
    "local": {
        "devices_per_node=4": "launch.ranks=4",
        "variables={A: b}": "env A=b",
        "stop_within_s=99": "launch.stop_within_s=99",
    },
}


@pytest.mark.parametrize("target", EFFECTS)
def test_every_key_has_an_effect_on_what_is_submitted(target: str, capfd: pytest.CaptureFixture):
    without, given = (
        f"{file}\n{shlex.join(command)}"
        for file, command in (shown(capfd, target, "device=cpu"), shown(capfd, target, *EFFECTS[target]))
    )
    assert {o: text for o, text in EFFECTS[target].items() if text not in given or text in without} == {}


def test_every_section_has_its_effects_tested():
    sections = {"slurm": "slurm", "k8s": "k8s", "ray": "ray", "skypilot": "skypilot", "azureml": "azureml"}
    for section in sections:
        kind = next(f for f in fields(JobConfig) if f.name == section).type
        tested = {o.partition("=")[0].partition(".")[2] for o in EFFECTS[section] if o.startswith(f"{section}.")}
        assert tested == {f.name for f in fields(kind)}, section
    assert {target.value for target in Target} == set(EFFECTS) == set(GIVEN)


def test_a_note_warns_of_checkpoints_on_a_machine_that_may_go(capfd: pytest.CaptureFixture):
    warned = launch(capfd, "target=skypilot", "devices_per_node=1", f"command={COMMAND}")[1]
    assert "# note: run.directory lies in none of skypilot.mounts" in warned
    kept = [f"command={COMMAND} run.directory=/outputs", "skypilot.mounts={/outputs: s3://b/x}"]
    assert "# note" not in launch(capfd, "target=skypilot", "devices_per_node=1", *kept)[1]


def test_known_bad_nodes_are_left_out_at_submission(capfd: pytest.CaptureFixture, folder: Path):
    (folder / "bad_nodes.txt").write_text("# ours\nn3  # 2026-01-01 ECC\n\nn1\n")
    (folder / "runs" / "first").mkdir(parents=True)
    (folder / "runs" / "first" / "excluded_nodes.txt").write_text("n2  # slow\n")
    assert "#SBATCH --exclude=n1,n2,n3\n" in shown(capfd, "slurm")[0]
    (folder / "bad_nodes.txt").write_text("n1;x\n")
    code, _, err = launch(capfd, "target=slurm", "devices_per_node=1", f"command={COMMAND}")
    assert code == 2 and "bad_nodes.txt:1: 'n1;x' is no node's name" in err


def test_every_command_of_the_page_prints_what_it_would_submit(capfd: pytest.CaptureFixture):
    page = (Path(__file__).parents[2] / "docs" / "launching.md").read_text()
    commands = [line for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert len(commands) >= 6
    for command in commands:
        code, out, err = launch(capfd, *shlex.split(command)[2:])
        assert code == 0 and "# command:" in out, f"{command}\n{err}"


def test_the_run_directory_is_that_of_the_command():
    configs = config_directory()
    assert run_path(words_of("pretrain"), configs) == Path("runs/first")
    assert run_path(words_of("sft checkpoint.init_from=x"), configs) == Path("runs/first-sft")
    assert run_path(words_of("sft run.name=a ++run.directory=/b run.name=c"), configs) == Path("/b/c")


def test_a_file_is_replaced_in_one_step_and_no_link_is_followed(folder: Path):
    (folder / "precious").write_text("keep")
    (folder / "job").symlink_to(folder / "precious")
    (folder / f"job.{os.getpid()}.new").symlink_to(folder / "precious")
    write(folder / "job", "text")
    assert (folder / "precious").read_text() == "keep" and (folder / "job").read_text() == "text"


def test_the_ray_environment_is_json(capfd: pytest.CaptureFixture):
    _, command = shown(capfd, "ray", "variables={A: 'b \" c'}")
    settings = next(word for word in command if word.startswith("--runtime-env-json="))
    assert json.loads(settings.partition("=")[2])["env_vars"]["A"] == 'b " c'
