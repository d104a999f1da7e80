"""A Slurm on this machine: a controller, and two nodes with a process, a network and a home of their own each.

Slurm is Debian's; the networks are those of `tests.machine`. Nothing of it is left running afterwards, and no other
Slurm of this machine is seen or touched.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import machine

TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
NODES = {"node1": "192.0.2.10", "node2": "192.0.2.11"}

# what Slurm does with cgroups and accounting is left to real clusters
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}({gateway})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
{nodes}
PartitionName=all Nodes=ALL Default=YES OverSubscribe=NO State=UP
"""

# Slurm resolves no address, not even a number, before the network is there; its sockets are below /run
NODE = """
ip link set lo up
mount -t tmpfs tmpfs /run
echo ready
until ip -4 address show dev eth0 2>/dev/null | grep -q inet; do sleep 0.1; done
slurmd -D -N "$1" -f "$2"
"""


@dataclass(frozen=True)
class Slurm:
    """A Slurm as its user sees it.

    Attributes:
        folder: Where its own files are.
        pid: A process in the network of the controller.
    """

    folder: Path
    pid: int

    def run(self, *command: str, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command where the controller is; its output is one text."""
        return subprocess.run(
            ["nsenter", f"--net=/proc/{self.pid}/ns/net", *command],
            cwd=cwd,
            env=machine.ENVIRONMENT | {"SLURM_CONF": str(self.folder / "slurm.conf")} | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )

    def jobs(self) -> set[str]:
        """Numbers of the jobs that have not ended."""
        return set(self.run("squeue", "--noheader", "--format=%i", cwd=self.folder).stdout.split())

    def wait(self, *jobs: str, seconds: float) -> None:
        """Waits until jobs have ended."""
        deadline = time.monotonic() + seconds
        while left := self.jobs() & set(jobs):
            assert time.monotonic() < deadline, f"jobs {left} have not ended in {seconds} s"
            time.sleep(0.5)


def why_not() -> str | None:
    """Why no Slurm can be had here; None if it can."""
    missing = [tool for tool in TOOLS if not shutil.which(tool, path=machine.PATH)]
    return f"not installed: {', '.join(missing)}" if missing else machine.why_not()


@contextmanager
def running_slurm(folder: Path, num_cpus: int) -> Iterator[Slurm]:
    """A Slurm with two nodes that say they have so many CPUs each."""
    configure(folder, num_cpus)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    munged = ["munged", "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"]
    munged += [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
    configuration = str(folder / "slurm.conf")
    with ExitStack() as stack:

        def start(ready: str, name: str, *command: str) -> int:
            return stack.enter_context(machine.running(command, folder / f"{name}.out", ready)).pid

        start("Starting", *munged)
        bridge = start("ready", "bridge", *machine.UNSHARE, machine.BRIDGE)
        inside = ("nsenter", f"--net=/proc/{bridge}/ns/net")
        start("Running as primary controller", "slurmctld", *inside, "slurmctld", "-D", "-f", configuration)
        for name, address in NODES.items():
            node = start("ready", name, *machine.UNSHARE, NODE, "sh", name, configuration)
            machine.connect(bridge, node, address)
        slurm = Slurm(folder, bridge)
        deadline = time.monotonic() + 30
        while slurm.run("sinfo", "--noheader", "--format=%t %D", cwd=folder).stdout.split() != [
            "idle",
            str(len(NODES)),
        ]:
            assert time.monotonic() < deadline, "the nodes did not register"
            time.sleep(0.2)
        yield slurm


def configure(folder: Path, num_cpus: int) -> None:
    """Writes the configuration, and makes the folders that it names."""
    for name in ("state", *(f"{node}/spool" for node in NODES)):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname()
    nodes = [f"NodeName={n} NodeHostname={host} NodeAddr={a} CPUs={num_cpus}" for n, a in NODES.items()]
    text = CONFIGURATION.format(folder=folder, host=host, gateway=machine.GATEWAY, nodes="\n".join(nodes))
    (folder / "slurm.conf").write_text(text)
