"""What is submitted to platforms that start one command on every node: this machine, Ray, SkyPilot, Azure ML."""

import json
import shlex
import sys
from pathlib import Path

import yaml

from mai1.launch.config import Device, JobConfig
from mai1.launch.submission import Submission, addressed
from mai1.launch.training import Training, check_path

AZURE_SCHEMA = "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json"


def node_command(config: JobConfig, training: Training, *, python: str, job: str, head: str = "") -> list[str]:
    """What every node runs, as words."""
    options = {
        "nodes": config.nodes,
        "devices": config.devices_per_node,
        "port": config.port,
        "job": job,
        "max-restarts": config.max_restarts,
        "max-futile-restarts": config.max_futile_restarts,
        "stop-within": config.stop_within_s,
        "umask": config.umask,
        "preflight": config.preflight.value,
        **({"head": head} if head else {}),
    }
    return [
        python,
        "-m",
        "mai1.launch.node",
        *(f"--{key}={value}" for key, value in options.items()),
        "--",
        *training.words,
    ]


def local(config: JobConfig, training: Training, *, name: str) -> Submission:
    """This machine: mai1's own supervisor, which starts the ranks and starts them again."""
    limits = [f"launch.max_restarts={config.max_restarts}", f"launch.max_futile_restarts={config.max_futile_restarts}"]
    limits += [f"launch.stop_within_s={config.stop_within_s}"]
    command = [sys.executable, "-m", "mai1", *training.words, f"launch.ranks={config.devices_per_node}", *limits]
    variables = [f"{key}={value}" for key, value in config.variables.items()]
    return Submission("", None, ["env", *variables, *command] if variables else command)


def ray(config: JobConfig, training: Training, *, name: str) -> Submission:
    """A job of a running Ray cluster; Ray hands its entry point to a shell, so every word is quoted."""
    check_path(training.run)
    own = config.ray
    python = own.python or sys.executable
    gpus = config.devices_per_node if config.device is Device.gpu else 0
    options = [
        f"--nodes={config.nodes}",
        f"--cpus={own.cpus}",
        f"--gpus={gpus}",
        f"--max-restarts={config.max_restarts}",
    ]
    node = node_command(config, training, python=python, job=f"ray-{name}")
    entry = [python, "-m", "mai1.launch.ray_job", *options, f"--directory={Path.cwd()}", "--", *node]
    settings = json.dumps({"env_vars": {"PYTHONPATH": str(Path.cwd()), **config.variables}}, sort_keys=True)
    command = ["ray", "job", "submit", f"--address={own.address}", "--no-wait", f"--runtime-env-json={settings}"]
    return Submission("", None, [*command, "--", *entry], needs="pip install 'ray[default]'")


def skypilot(config: JobConfig, training: Training, *, name: str) -> Submission:
    """A managed job of SkyPilot, which finds machines and finds others when they are lost."""
    check_path(training.run)
    own = config.skypilot
    recovery = {"max_restarts_on_errors": config.max_restarts, "strategy": "EAGER_NEXT_REGION"}
    resources = {
        **({"accelerators": f"{own.accelerator}:{config.devices_per_node}"} if config.device is Device.gpu else {}),
        **({"infra": own.infra} if own.infra else {}),
        **({"image_id": own.image} if own.image else {}),
        "use_spot": own.uses_spot,
        "job_recovery": recovery,
    }
    command = node_command(config, training, python="python", job=f"skypilot-{name}")
    lies_in = [place for place in own.mounts if training.run.is_relative_to(place)]
    notes = (
        []
        if lies_in
        else ["run.directory lies in none of skypilot.mounts: a lost machine takes its checkpoints with it"]
    )
    task = {
        "name": name,
        "num_nodes": config.nodes,
        "workdir": ".",
        "resources": resources,
        **(
            {"file_mounts": {place: {"source": url, "mode": "MOUNT"} for place, url in own.mounts.items()}}
            if own.mounts
            else {}
        ),
        **({"envs": dict(config.variables)} if config.variables else {}),
        **({"setup": own.setup} if own.setup else {}),
        "run": "exec " + shlex.join(command) + "\n",
    }
    text = yaml.safe_dump(task, sort_keys=False, width=2**16)
    path = addressed(training.folder_here, "skypilot", ".yaml", text)
    submitting = ["sky", "jobs", "launch", f"--name={name}", "--yes", "--detach-run", str(path)]
    return Submission(text, path, submitting, needs="pip install skypilot, then `sky check`", notes=notes)


def azureml(config: JobConfig, training: Training, *, name: str) -> Submission:
    """A command job of Azure Machine Learning, whose PyTorch distribution starts one process a node: our node's starter."""
    own = config.azureml
    for key in ("compute", "environment", "workspace", "resource_group"):
        if not getattr(own, key):
            raise ValueError(
                f"azureml.{key} is missing: target=azureml needs all of compute, environment, workspace, resource_group"
            )
    for word in [*training.words, *config.variables.values()]:
        if "${{" in word:
            raise ValueError(
                f"command has {word!r}, and Azure ML would replace what stands in ${{{{ }}}}: write it otherwise"
            )
    command = node_command(config, training, python="python", job=f"azureml-{name}")
    folder = '"run.directory=${{outputs.runs}}"'
    text = yaml.safe_dump(
        {
            "$schema": AZURE_SCHEMA,
            "type": "command",
            "display_name": name,
            "experiment_name": "mai1",
            "code": str(Path.cwd()),
            "command": f"{shlex.join(command)} {folder}",
            "environment": own.environment,
            "compute": own.compute,
            "distribution": {"type": "pytorch", "process_count_per_instance": 1},
            "resources": {"instance_count": config.nodes, "shm_size": f"{own.shared_memory_gib}g"},
            "limits": {"timeout": config.time_limit_s},
            **({"environment_variables": dict(config.variables)} if config.variables else {}),
            "outputs": {"runs": {"type": "uri_folder", "mode": "rw_mount", "path": own.outputs}},
        },
        sort_keys=False,
        width=2**16,
    )
    path = addressed(training.folder_here, "azureml", ".yaml", text)
    place = [f"--workspace-name={own.workspace}", f"--resource-group={own.resource_group}"]
    return Submission(
        text,
        path,
        ["az", "ml", "job", "create", f"--file={path}", *place],
        needs="install the az CLI with its ml extension",
    )
