"""The batch script for Slurm, from one template: `mai1 launch target=slurm` fills it in, launch/slurm.sbatch is it by itself."""

import shlex
import sys
from pathlib import Path

from mai1.launch.bad_nodes import PREFLIGHT, read
from mai1.launch.config import Device, JobConfig
from mai1.launch.environment import ALWAYS
from mai1.launch.submission import Submission, addressed
from mai1.launch.training import Training, check_path

TEMPLATE = """\
#!/bin/bash{login}
{title}
#
{directives}

{site}
set -euo pipefail
checkout=$SLURM_SUBMIT_DIR    # not dirname "$0": Slurm runs a copy of this file from its own spool folder
{python}
export PATH PYTHONPATH="$checkout${{PYTHONPATH:+:$PYTHONPATH}}"

trap "" USR1    # until Python listens: by default the signal ends what is still starting
exec "$python" -m mai1.launch.slurm_job{options} -- {words}
"""
STANDALONE_TITLE = """\
# A training job on one or many nodes, which saves before its time ends and goes on by itself, also after a failure.
#
#   sbatch --nodes=4 --gpus-per-node=8 launch/slurm.sbatch pretrain model=small run.name=first batch.sequences_per_step=256
#
# Submit from the checkout: runs/ and data/ are relative to the working directory, which all nodes must share.
# Anything below can be overridden on sbatch's command line. `sbatch --test-only ...` checks the request.
# `mai1 launch target=slurm` checks the training command too, and fills in a script like this one. Its template is in
# mai1/launch/slurm.py; a test keeps this file equal to it."""
FOUND_PYTHON = """\
python=python3
if [[ -x $checkout/.venv/bin/python ]]; then
    PATH=$checkout/.venv/bin:$PATH
    python=$checkout/.venv/bin/python
fi"""


def slurm(config: JobConfig, training: Training, *, name: str) -> Submission:
    """A job as configured."""
    check_path(training.run)
    own = config.slurm
    left_out = sorted({*own.exclude, *read(Path(own.bad_nodes)), *read(training.run / PREFLIGHT)})
    directives = {
        "job-name": name,
        "nodes": config.nodes + own.spare_nodes,
        "ntasks-per-node": 1,
        "exclusive": None,
        **({"gpus-per-node": config.devices_per_node} if config.device is Device.gpu else {}),
        "time": _duration(config.time_limit_s),
        **{key: getattr(own, key) for key in ("partition", "account", "qos", "reservation") if getattr(own, key)},
        **own.options,
        **({"exclude": ",".join(left_out)} if left_out else {}),
        **_common(own.notice_s, f"{training.logs}/slurm-%j.out", [*config.environment]),
    }
    options = {
        "run": training.run,
        "nodes": config.nodes,
        "devices": config.devices_per_node,
        "bad-nodes": own.bad_nodes,
        "max-restarts": config.max_restarts,
        "max-futile-restarts": config.max_futile_restarts,
        "stop-within": config.stop_within_s,
        "preflight": config.preflight.value,
        "pass": ",".join([*config.environment, *config.variables]),
    }
    site = [f"umask {config.umask}", *(f"module load {shlex.quote(module)} || exit 1" for module in own.modules)]
    site += [f"export {key}={shlex.quote(value)}" for key, value in config.variables.items()]
    python = own.python or sys.executable
    text = TEMPLATE.format(
        login=" -l" if own.modules else "",  # modules are a login shell's
        title=f"# {name}: {config.nodes} nodes x {config.devices_per_node}, written by `mai1 launch`.",
        directives=_lines(directives),
        site="\n".join(site),
        python=f"python={shlex.quote(python)}\nPATH={shlex.quote(str(Path(python).parent))}:$PATH",
        options="".join(f" \\\n    --{key}={shlex.quote(str(value))}" for key, value in options.items() if value != ""),
        words=" \\\n    " + shlex.join(training.words),
    )
    path = addressed(training.folder, "slurm", ".sbatch", text)
    needs = "start it on a login node of the cluster"
    return Submission(text, path, ["sbatch", str(path)], needs=needs, folders=[training.logs])


def standalone() -> str:
    """launch/slurm.sbatch: the same script for any command, with sbatch's command line for what differs."""
    directives = {
        "job-name": "mai1",
        "nodes": 1,
        "ntasks-per-node": 1,
        "exclusive": None,
        "time": "24:00:00",
        **_common(300, "mai1-%j.out", []),
    }
    return TEMPLATE.format(
        login="",
        title=STANDALONE_TITLE,
        directives=_lines(directives),
        site="# Site-specific lines belong here, for example `module load cuda` or `export NCCL_SOCKET_IFNAME=ib0`.",
        python=FOUND_PYTHON,
        options=" \\\n    --max-restarts=50 --max-futile-restarts=3 --pass=NCCL_SOCKET_IFNAME,NCCL_IB_HCA,GLOO_SOCKET_IFNAME",
        words='"$@"',
    )


COMMENTS = {
    "signal": "The batch script (B:) gets USR1 this many seconds before the time limit: long enough to finish a step and save.",
    "requeue": "Slurm itself may start the job again after a node failed or a job of higher priority took its place.",
    "output": "A restarted job continues the same file. Its folder must exist: Slurm would otherwise end the job in silence.",
    "export": "Only what is named travels from the submitting shell to the job: no tokens, and no surprise from a dotfile.",
}


def _common(notice_s: int, output: str, environment: list[str]) -> dict[str, object]:
    """What every job asks for."""
    return {
        "signal": f"B:USR1@{notice_s}",
        "requeue": None,
        "output": output,
        "open-mode": "append",
        "export": ",".join(dict.fromkeys([*ALWAYS, *environment])),
    }


def _lines(directives: dict[str, object]) -> str:
    lines = []
    for key, value in directives.items():
        lines += [f"# {COMMENTS[key]}"] if key in COMMENTS else []
        lines += [f"#SBATCH --{key}" if value is None else f"#SBATCH --{key}={value}"]
    return "\n".join(lines)


def _duration(seconds: int) -> str:
    """As sbatch reads it, HH:MM:SS."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
