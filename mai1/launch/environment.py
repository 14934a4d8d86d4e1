"""Which of the environment travels: what is named, nothing else."""

import os
from collections.abc import Iterable, Mapping

ALWAYS = ("HOME", "USER", "PATH", "LANG")
"""Without which programs are not found and files not named."""
OURS = ("PYTHONPATH", "OMP_NUM_THREADS", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "PYTHONUNBUFFERED")
"""Set by the launcher itself."""
RECORDED = ("SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_RESTART_COUNT", "CUDA_VISIBLE_DEVICES", "HOSTNAME")
RECORDED_BEGINNINGS = ("NCCL_", "GLOO_", "UCX_", "FI_", "OMP_")
"""Settings of communication, which explain how fast a run was: kept with each attempt."""
MAX_VALUE = 200


def passed(names: Iterable[str], variables: Iterable[str]) -> list[str]:
    """Every name that reaches a rank, each once."""
    return list(dict.fromkeys([*ALWAYS, *names, *variables, *OURS]))


def recorded(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What is kept with an attempt, for whoever asks later why it was slow; values are cut, names are an allow-list."""
    kept = {n: v for n, v in environment.items() if n in RECORDED or n.startswith(RECORDED_BEGINNINGS)}
    return {name: kept[name][:MAX_VALUE] for name in sorted(kept)}
