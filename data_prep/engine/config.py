"""What the engines can be told."""

import re
from dataclasses import dataclass, field
from enum import Enum

OPTION_VALUE = re.compile(r"[A-Za-z0-9_.,:/@%+*|&()\[\]-]{1,200}")
MODULE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]{0,199}")
CLUSTER_ADDRESS = re.compile(r"auto|[^\s/]+:\d{1,5}")
TIME_LIMIT = re.compile(r"(\d+-)?\d+(:\d+){0,2}")
SLURM_OPTIONS = (
    *("account", "comment", "constraint", "cpus-per-task", "exclude", "gres", "licenses", "mem", "mem-per-cpu", "nice"),
    *("nodelist", "prefer", "qos", "reservation", "tmp"),
)
"""Options of sbatch that a person may add: what is asked for, never what runs, where it writes or what it inherits."""


class EngineKind(Enum):
    """What runs the tasks."""

    local = "local"
    ray = "ray"
    slurm = "slurm"


@dataclass(kw_only=True, slots=True)
class RayConfig:
    """How `engine=ray` finds its cluster."""

    address: str = ""
    """A running cluster, auto or HOST:PORT, whose machines all see the output directory; empty: start one here."""

    num_cpus: int = 0
    """CPUs of the cluster that is started here, one task each; 0: one per CPU that this process may use."""

    def __post_init__(self) -> None:
        if self.num_cpus < 0:
            raise ValueError(f"engine_options.ray.num_cpus={self.num_cpus} must be at least 0")
        if self.address and not CLUSTER_ADDRESS.fullmatch(self.address):
            raise ValueError(f"engine_options.ray.address={self.address} must be auto or HOST:PORT")
        if self.address and self.num_cpus:
            raise ValueError(
                f"engine_options.ray.num_cpus={self.num_cpus} is of a cluster started here, but "
                f"address={self.address} names a running one: remove one of the two"
            )


@dataclass(kw_only=True, slots=True)
class SlurmConfig:
    """How `engine=slurm` submits job arrays."""

    partition: str = ""
    """Partition of the jobs; empty: the cluster's default."""

    time_limit: str = ""
    """Longest time of one array element, as sbatch writes it: minutes, HH:MM:SS or D-HH:MM:SS; empty: the partition's."""

    max_elements: int = 1000
    """Most elements of one array, at most the cluster's MaxArraySize; more tasks than that share elements."""

    max_running: int = 0
    """Most elements running at once; 0: no limit."""

    options: dict[str, str] = field(default_factory=dict)
    """More options of sbatch, such as {account: text, mem: 8G, qos: low}."""

    modules: list[str] = field(default_factory=list)
    """Environment modules to load first."""

    python: str = ""
    """The interpreter on the nodes; empty: the path of this one."""

    poll_s: float = 15.0
    """Seconds between two looks at the job."""

    settle_s: float = 30.0
    """Seconds that the shared file system may take to show, after the job ended, what its tasks wrote."""

    def __post_init__(self) -> None:
        here = "engine_options.slurm"
        for key in self.options:
            if key not in SLURM_OPTIONS:
                raise ValueError(f"{here}.options.{key} must be one of {', '.join(SLURM_OPTIONS)}")
        given = {"partition": self.partition, **{f"options.{key}": value for key, value in self.options.items()}}
        for key, value in given.items():
            if not OPTION_VALUE.fullmatch(str(value)) and (value or key != "partition"):
                raise ValueError(f"{here}.{key}={value!r} must be letters, digits and _.,:/@%+*|&()[]- without spaces")
        for name in self.modules:
            if not MODULE_NAME.fullmatch(name):
                raise ValueError(f"{here}.modules={name!r} must name a module with letters, digits and _.+/-")
        if self.time_limit and not TIME_LIMIT.fullmatch(self.time_limit):
            raise ValueError(f"{here}.time_limit={self.time_limit!r} must be minutes, HH:MM:SS or D-HH:MM:SS")
        for key, least in (("max_elements", 1), ("max_running", 0), ("poll_s", 0.1), ("settle_s", 0.0)):
            if getattr(self, key) < least:
                raise ValueError(f"{here}.{key}={getattr(self, key)} must be at least {least}")


@dataclass(kw_only=True, slots=True)
class EngineOptions:
    """Details of the engines."""

    ray: RayConfig = field(default_factory=RayConfig)
    """How `engine=ray` finds its cluster."""

    slurm: SlurmConfig = field(default_factory=SlurmConfig)
    """How `engine=slurm` submits job arrays."""
