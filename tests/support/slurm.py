"""A real Slurm of two nodes on this machine's loopback, for as long as a test needs it."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel", "scontrol", "sinfo", "setpriv")
NODES = ("n0", "n1")
START_S = 20

CONFIGURATION = """\
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
KillWait=1
MaxArraySize=101
SchedulerParameters=sched_interval=1,sched_min_interval=100000,batch_sched_delay=0,bf_interval=1
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
NodeName=n0 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=500
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=500
PartitionName=main Nodes=n0,n1 Default=YES MaxTime=60 State=UP PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=n0,n1 MaxTime=60 State=UP PriorityTier=2
"""


def why_not() -> str:
    """What is missing for a Slurm of our own; empty when nothing is."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed (apt-get install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "slurmd needs root"


class SlurmCluster:
    """Two nodes of one CPU each; everything in one folder, which goes when the cluster is left."""

    def __enter__(self) -> "SlurmCluster":
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # paths of sockets must be short
        self._processes: dict[str, subprocess.Popen] = {}
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if "slurmctld" in self._processes:
            self.run("scancel", "--user=root")  # what runs would go on trying to tell a controller that is gone
            self._await(lambda: not self.run("squeue", "--noheader"))
        for name in reversed(list(self._processes)):
            self.kill(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """What makes Slurm's commands talk to this cluster."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def _start(self) -> None:
        (self.folder / "state").mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(folder=self.folder, ports=_free_ports(3)))
        files = {"key-file": key.name, "socket": "munge.socket", "pid-file": "munge.pid", "log-file": "munge.log"}
        files["seed-file"] = "munge.seed"
        places = [f"--{option}={self.folder / name}" for option, name in files.items()]
        self._launch("munged", "munged", "--foreground", "--force", *places)
        self._await(lambda: (self.folder / "munge.socket").exists())
        self._launch("slurmctld", "slurmctld", "-D", "-c")
        for node in NODES:
            self.start_node(node)
        self._await(lambda: self.run("sinfo", "--noheader", "--format=%t %D").split() == ["idle", "2"])

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        self._launch(node, "slurmd", "-D", "-N", node)

    def kill(self, name: str) -> None:
        """SIGKILL a daemon: munged, slurmctld or that of a node."""
        process = self._processes.pop(name)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait()

    def lose(self, node: str) -> None:
        """The machine is gone, and what ran on it; Slurm is told so, which otherwise it would find out in minutes."""
        self.kill(node)
        marks = (f"SLURMD_NODENAME={node}\0".encode(), f"SLURM_CONF={self.folder}/".encode())
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                environment = (process / "environ").read_bytes()
                if all(mark in environment for mark in marks):
                    keeper = int((process / "stat").read_text().rpartition(")")[2].split()[1])  # a slurmstepd
                    os.kill(keeper, signal.SIGKILL)
                    os.kill(int(process.name), signal.SIGKILL)
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

    def run(self, *command: str) -> str:
        """The output of one of Slurm's commands."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120).stdout

    def _launch(self, name: str, *command: str) -> None:
        with open(self.folder / f"{name}.out", "ab") as out:
            environment = {**os.environ, **self.environment}
            command = ("setpriv", "--pdeathsig", "KILL", *command)  # a test that is killed leaves nothing running
            self._processes[name] = subprocess.Popen(command, env=environment, stdout=out, stderr=out)

    def _await(self, is_so) -> None:
        deadline = time.monotonic() + START_S
        while not is_so():
            if time.monotonic() > deadline:
                logs = [path.read_text(errors="replace")[-500:] for path in sorted(self.folder.glob("*.out"))]
                raise RuntimeError("Slurm does not start: " + "\n".join(logs))
            time.sleep(0.1)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
