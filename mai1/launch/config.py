"""What `mai1 launch` can be told."""

import re
from dataclasses import dataclass, field
from enum import Enum

from mai1.launch.rules import LABEL, NAME, NODE, PATH_RULE, PLACE, URL, VARIABLE, WORD, at_least, refuse_secret, require

SBATCH_OPTIONS = (
    *("comment", "constraint", "cpus-per-task", "gres", "licenses", "mem", "mem-per-cpu", "mem-per-gpu", "nice"),
    *("nodelist", "prefer", "switches", "tmp", "core-spec", "network", "mail-type", "mail-user"),
)
"""Options of sbatch that a person may add: what is asked for, never what runs, where it writes or what it inherits."""


class Target(Enum):
    """Where the ranks run, and who is asked for them."""

    local = "local"
    slurm = "slurm"
    k8s = "k8s"
    ray = "ray"
    skypilot = "skypilot"
    azureml = "azureml"


class Device(Enum):
    """What a rank computes on."""

    gpu = "gpu"
    cpu = "cpu"


class Look(Enum):
    """How closely the allocated nodes are looked at before the first step."""

    off = "off"
    quick = "quick"
    full = "full"


@dataclass(kw_only=True, slots=True)
class SlurmJobConfig:
    partition: str = ""
    """Partition; empty: the cluster's default."""
    account: str = ""
    """Account that is charged; empty: the default."""
    qos: str = ""
    """Quality of service; empty: the default."""
    reservation: str = ""
    """Reservation to run in; empty: none."""
    options: dict[str, str] = field(default_factory=dict)
    """More options of sbatch, such as {constraint: h100, mem: 0}."""
    modules: list[str] = field(default_factory=list)
    """Environment modules to load first."""
    exclude: list[str] = field(default_factory=list)
    """Nodes to leave out, besides those that bad_nodes lists."""
    bad_nodes: str = "bad_nodes.txt"
    """File of nodes that failed, one a line: left out at submission and at every start, written to by jobs. Shared by runs."""
    spare_nodes: int = 0
    """Nodes to allocate beyond `nodes`, which take the place of those that fail without a new wait in the queue."""
    notice_s: int = 300
    """Seconds before the time limit at which every rank is asked for a checkpoint: longer than a step and a save."""
    python: str = ""
    """Interpreter on the nodes; empty: the path of this one."""

    def __post_init__(self) -> None:
        here = "slurm"
        for key in ("partition", "account", "qos", "reservation"):
            require(WORD, f"{here}.{key}", getattr(self, key), "letters, digits and _.,:/@%+*=|&()[]- without spaces")
        for key, value in self.options.items():
            if key not in SBATCH_OPTIONS:
                raise ValueError(f"{here}.options.{key} must be one of {', '.join(sorted(SBATCH_OPTIONS))}")
            require(WORD, f"{here}.options.{key}", value, "letters, digits and _.,:/@%+*=|&()[]- without spaces")
        for name in self.modules:
            require(PLACE, f"{here}.modules", name, "a module's name, such as cuda/12.8", is_required=True)
        for name in self.exclude:
            require(NODE, f"{here}.exclude", name, "the name of one node", is_required=True)
        require(PLACE, f"{here}.bad_nodes", self.bad_nodes, PATH_RULE, is_required=True)
        require(PLACE, f"{here}.python", self.python, PATH_RULE)
        for key, least in (("spare_nodes", 0), ("notice_s", 30)):
            at_least(f"{here}.{key}", getattr(self, key), least)


@dataclass(kw_only=True, slots=True)
class KubernetesConfig:
    image: str = ""
    """Container image with mai1 installed, such as registry.example/mai1:1; a tag or digest that does not move."""
    namespace: str = "default"
    """Namespace of the JobSet."""
    claim: str = ""
    """Persistent volume claim, ReadWriteMany, that every pod mounts as its working directory: runs/ and data/ lie there."""
    mount: str = "/work"
    """Where the claim is mounted."""
    queue: str = ""
    """Kueue's local queue; empty: none, the pods are scheduled as they come."""
    cpus: int = 0
    """CPUs of a pod; 0: not asked for."""
    memory_gib: int = 0
    """Memory of a pod in GiB; 0: not asked for."""
    shared_memory_gib: int = 64
    """Size of /dev/shm in GiB, which NCCL and data workers use; it counts as memory of the pod."""
    gpu_resource: str = "nvidia.com/gpu"
    """What a GPU is called."""
    resources: dict[str, str] = field(default_factory=dict)
    """More resources of a pod, such as {rdma/ib: 8}."""
    node_selector: dict[str, str] = field(default_factory=dict)
    """Labels that nodes must have."""
    exclude: list[str] = field(default_factory=list)
    """Nodes, by kubernetes.io/hostname, to leave out."""
    tolerations: list[str] = field(default_factory=list)
    """Keys of taints to tolerate, such as nvidia.com/gpu."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Variables from Secrets of the cluster: {WANDB_API_KEY: SECRET/KEY}; the value itself is in no file."""
    uses_host_network: bool = False
    """Use the host's network, which some RDMA set-ups need."""

    def __post_init__(self) -> None:
        here = "k8s"
        require(WORD, f"{here}.image", self.image, "an image's name without spaces")
        for key in ("namespace", "claim", "queue"):
            require(LABEL, f"{here}.{key}", getattr(self, key), "a Kubernetes name", is_required=key == "namespace")
        require(PLACE, f"{here}.mount", self.mount, "an absolute path", is_required=True)
        if not self.mount.startswith("/"):
            raise ValueError(f"{here}.mount={self.mount} must be an absolute path: use /work")
        require(LABEL, f"{here}.gpu_resource", self.gpu_resource, "a resource's name", is_required=True)
        for key in ("resources", "node_selector"):
            for name, value in getattr(self, key).items():
                require(LABEL, f"{here}.{key}", name, "a Kubernetes name", is_required=True)
                require(LABEL, f"{here}.{key}.{name}", value, "letters, digits and ._/-", is_required=True)
        for key in ("tolerations", "exclude"):
            for name in getattr(self, key):
                require(LABEL, f"{here}.{key}", name, "a Kubernetes name", is_required=True)
        for name, place in self.secrets.items():
            require(VARIABLE, f"{here}.secrets", name, "the name of a variable", is_required=True)
            require(
                re.compile(r"[a-z0-9.-]+/[A-Za-z0-9._-]+"),
                f"{here}.secrets.{name}",
                place,
                "SECRET/KEY",
                is_required=True,
            )
        for key in ("cpus", "memory_gib"):
            at_least(f"{here}.{key}", getattr(self, key), 0)
        at_least(f"{here}.shared_memory_gib", self.shared_memory_gib, 1)


@dataclass(kw_only=True, slots=True)
class RayJobConfig:
    address: str = "http://127.0.0.1:8265"
    """The cluster's dashboard, to which the job is submitted; its machines must all see the working directory."""
    cpus: int = 1
    """CPUs that a node's task reserves."""
    python: str = ""
    """Interpreter on the cluster's machines; empty: the path of this one."""

    def __post_init__(self) -> None:
        require(URL, "ray.address", self.address, "a URL such as http://HOST:8265", is_required=True)
        require(PLACE, "ray.python", self.python, PATH_RULE)
        at_least("ray.cpus", self.cpus, 1)


@dataclass(kw_only=True, slots=True)
class SkyPilotConfig:
    accelerator: str = "H100"
    """Name of the GPU; a node has `devices_per_node` of them."""
    infra: str = ""
    """Cloud, region and zone, such as aws/us-east-1; empty: the cheapest that is enabled."""
    uses_spot: bool = False
    """Use machines that may be taken away; the job then recovers by itself."""
    image: str = ""
    """Machine or container image, such as docker:registry.example/mai1:1; empty: SkyPilot's own."""
    setup: str = "pip install ."
    """Shell command that prepares a machine, in a copy of the working directory."""
    mounts: dict[str, str] = field(default_factory=dict)
    """Buckets by where they are mounted: {/outputs: s3://my-bucket/mai1}. run.directory must lie in one, or a lost machine
    takes the checkpoints with it."""

    def __post_init__(self) -> None:
        require(WORD, "skypilot.accelerator", self.accelerator, "the name of a GPU", is_required=True)
        require(WORD, "skypilot.infra", self.infra, "CLOUD, CLOUD/REGION or CLOUD/REGION/ZONE")
        require(WORD, "skypilot.image", self.image, "an image's name without spaces")
        for place, source in self.mounts.items():
            require(PLACE, "skypilot.mounts", place, "an absolute path", is_required=True)
            require(URL, f"skypilot.mounts.{place}", source, "a URL such as s3://bucket/folder", is_required=True)


@dataclass(kw_only=True, slots=True)
class AzureMlConfig:
    compute: str = ""
    """Compute cluster of the workspace."""
    environment: str = ""
    """Environment with what mai1 needs, such as azureml:mai1:3; its version must not move."""
    workspace: str = ""
    """Workspace."""
    resource_group: str = ""
    """Resource group of the workspace."""
    outputs: str = "azureml://datastores/workspaceblobstore/paths/mai1"
    """Folder of a datastore that is mounted and to which run.directory must lead as `${outputs}`: checkpoints last there."""
    shared_memory_gib: int = 64
    """Size of /dev/shm in GiB."""

    def __post_init__(self) -> None:
        for key in ("compute", "environment", "workspace", "resource_group"):
            require(WORD, f"azureml.{key}", getattr(self, key), "a name without spaces")
        require(
            URL,
            "azureml.outputs",
            self.outputs,
            "a URL such as azureml://datastores/NAME/paths/FOLDER",
            is_required=True,
        )
        at_least("azureml.shared_memory_gib", self.shared_memory_gib, 1)


@dataclass(kw_only=True, slots=True)
class JobConfig:
    target: Target = Target.local
    """local | slurm | k8s | ray | skypilot | azureml: who is asked to start the ranks."""
    command: str = ""
    """What each rank runs, as after `mai1`: command='pretrain model=small run.name=first'. Words are split as a shell would,
    and nothing else of a shell happens."""
    submit: bool = False
    """Submit. Without it everything that would be written and run is printed, and nothing is."""
    name: str = ""
    """Name of the job; empty: from run.name."""
    nodes: int = 1
    """Machines."""
    devices_per_node: int = 8
    """Ranks of a machine, each with a device of its own."""
    device: Device = Device.gpu
    """gpu | cpu: what a rank computes on."""
    time_limit_hours: float = 24.0
    """Longest time of one start of the job, in hours. A run goes on in the next start."""
    preflight: Look = Look.quick
    """off | quick | full: how closely the nodes are looked at before the first step of each start in new nodes; nodes found unfit
    are left out from then on. preflight.* of the command say what is asked of them."""
    max_restarts: int = 50
    """Restarts of the job, by whomever, after which a failure ends it."""
    max_futile_restarts: int = 3
    """Starts in a row without a new checkpoint, after the first, at which the job ends: what failed there three times will
    fail again."""
    stop_within_s: int = 600
    """Seconds that ranks have to finish their step and save when they are asked to stop."""
    port: int = 29500
    """Port on which the ranks meet; Slurm's jobs, which may share machines, each take one of their own."""
    environment: list[str] = field(default_factory=list)
    """Names of variables that travel from this shell to the ranks, besides HOME, USER, PATH and LANG; nothing else does.
    Slurm alone can pass what a file must not hold, such as WANDB_API_KEY; for Kubernetes see k8s.secrets."""
    variables: dict[str, str] = field(default_factory=dict)
    """Variables with their values: {NCCL_SOCKET_IFNAME: ib0}. They stand in the submitted file; no secrets."""
    umask: str = "022"
    """Which rights files of the run lack, in octal; 077 keeps them to their owner."""
    slurm: SlurmJobConfig = field(default_factory=SlurmJobConfig)
    """Slurm."""
    k8s: KubernetesConfig = field(default_factory=KubernetesConfig)
    """Kubernetes, with the JobSet controller."""
    ray: RayJobConfig = field(default_factory=RayJobConfig)
    """A running Ray cluster."""
    skypilot: SkyPilotConfig = field(default_factory=SkyPilotConfig)
    """Clouds through SkyPilot's managed jobs."""
    azureml: AzureMlConfig = field(default_factory=AzureMlConfig)
    """Azure Machine Learning."""

    def __post_init__(self) -> None:
        require(NAME, "name", self.name, "at most 40 lower-case letters, digits and -, beginning with a letter")
        for key, least in (("nodes", 1), ("devices_per_node", 1), ("max_restarts", 0), ("max_futile_restarts", 0)):
            at_least(key, getattr(self, key), least)
        at_least("stop_within_s", self.stop_within_s, 1)
        if not 0 < self.time_limit_hours <= 24 * 365:
            raise ValueError(f"time_limit_hours={self.time_limit_hours} must be above 0 and at most a year")
        if not 1024 <= self.port <= 65535:
            raise ValueError(f"port={self.port} must be from 1024 to 65535")
        require(re.compile("0?[0-7]{3}"), "umask", self.umask, "three octal digits, such as 077", is_required=True)
        for name in [*self.environment, *self.variables]:
            require(VARIABLE, "environment, variables", name, "the name of a variable", is_required=True)
        for name, value in self.variables.items():
            refuse_secret(f"variables.{name}", f"{name}={value}")
            if not value.isprintable():
                raise ValueError(f"variables.{name}={value!r} must be printable")
        if self.target in (Target.ray, Target.skypilot, Target.azureml, Target.k8s) and self.environment:
            raise ValueError(
                f"environment={self.environment} cannot travel to target={self.target.value} without standing in a file: use "
                "variables for what is no secret, and the cluster's own store for what is"
            )
        if self.target is Target.local and self.nodes != 1:
            raise ValueError(
                f"nodes={self.nodes} with target=local: this is one machine; name another target, or use 1"
            )

    @property
    def ranks(self) -> int:
        """Of all machines."""
        return self.nodes * self.devices_per_node

    @property
    def time_limit_s(self) -> int:
        """Of one start."""
        return round(self.time_limit_hours * 3600)
