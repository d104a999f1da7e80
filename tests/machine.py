"""Machines of their own on this machine, each reached by a real sshd: enough of a cluster for `ray up` and `ray down`.

Those stop every Ray that they can see, take fixed ports and write into the home folder. So each machine has its own
processes, network, home and `/tmp/ray`, in Linux namespaces, and a bridge that no packet leaves joins them.
"""

import os
import shutil
import subprocess
import sysconfig
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

TOOLS = ("sshd", "ssh", "ssh-keygen", "rsync", "ip", "unshare", "nsenter", "pgrep")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
ENVIRONMENT = os.environ | {"PATH": PATH}
UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec")
GATEWAY = "192.0.2.1"

BRIDGE = f"""
ip link set lo up
ip link add bridge type bridge
ip address add {GATEWAY}/24 dev bridge
ip link set bridge up
echo ready
exec sleep infinity
"""

# sshd and ssh take the home folder from /etc/passwd alone
MACHINE = """
ip link set lo up
mkdir -p /tmp/ray
mount --bind "$1/ray" /tmp/ray
mount --bind "$1/passwd" /etc/passwd
mount -t tmpfs tmpfs /run
mkdir /run/sshd
exec "$2" -D -e -o HostKey="$1/host_key" -o AuthorizedKeysFile="$3" -o StrictModes=no -o UsePAM=no -o PidFile=none
"""

CONNECT = f"""
ip address add "$1/24" dev eth0
ip link set eth0 up
ip route add default via {GATEWAY}
"""


@dataclass(frozen=True)
class Network:
    """Machines that reach one another, and the way to them.

    Attributes:
        folder: Where all their files are; those of a machine are in `folder/<its address>`.
        key: The private key that opens every machine.
        pid: A process in the network that is on none of the machines.
    """

    folder: Path
    key: Path
    pid: int

    def run(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Runs a command as a person would who sits beside the machines; its output is one text."""
        beside = self.folder / "beside"
        beside.mkdir(exist_ok=True)
        return subprocess.run(
            ["nsenter", f"--net=/proc/{self.pid}/ns/net", *command],
            cwd=cwd,
            env=ENVIRONMENT | {"TMPDIR": str(beside), "RAY_USAGE_STATS_ENABLED": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )


def why_not() -> str | None:
    """Why no machines can be had here; None if they can."""
    missing = [tool for tool in TOOLS if not shutil.which(tool, path=PATH)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if os.geteuid() != 0:
        return "only root may start an sshd in namespaces of its own"
    command = [*UNSHARE, "ip link add bridge type bridge"]
    tried = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    return f"no namespaces: {tried.stderr.strip()}" if tried.returncode else None


@contextmanager
def running_machines(folder: Path, addresses: Sequence[str]) -> Iterator[Network]:
    """Machines at these addresses of 192.0.2.0/24, with nothing of them left running afterwards."""
    key = make_key(folder / "key")
    with ExitStack() as stack:
        bridge = stack.enter_context(running([*UNSHARE, BRIDGE], folder / "bridge.log", "ready"))
        for address in addresses:
            command = [*UNSHARE, MACHINE, "sh", *make_machine(folder / address), f"{key}.pub"]
            machine = stack.enter_context(running(command, folder / address / "sshd.log", "Server listening"))
            connect(bridge.pid, machine.pid, address)
        yield Network(folder, key, bridge.pid)


def connect(bridge: int, machine: int, address: str) -> None:
    """Joins the network of a process to that of the bridge's, under an address of 192.0.2.0/24."""
    link = f"ip link add m{machine} type veth peer name eth0 netns {machine} && ip link set m{machine} master bridge up"
    run_in(bridge, link)
    run_in(machine, CONNECT, address)


def run_in(pid: int, script: str, *arguments: str) -> None:
    """Runs a script in the network of a process."""
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", "sh", "-ec", script, "sh", *arguments]
    subprocess.run(command, check=True, env=ENVIRONMENT)


@contextmanager
def running(command: Sequence[str], log: Path, ready: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has said that it is ready, and is killed with all that it started afterwards."""
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=ENVIRONMENT)
    try:
        deadline = time.monotonic() + 10
        while ready not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def make_machine(folder: Path) -> tuple[str, str]:
    """Writes the files of a machine; returns their folder and the sshd to start."""
    home = folder / "home"
    for path in (home, folder / "ray"):
        path.mkdir(parents=True)
    (home / ".bashrc").touch()
    (folder / "passwd").write_text(f"root:x:0:0::{home}:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n")
    make_key(folder / "host_key")
    make_environment(home / "env")
    sshd = shutil.which("sshd", path=PATH)
    assert sshd is not None
    return str(folder), sshd


def make_key(path: Path) -> Path:
    """Makes a private key, and a public one beside it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def make_environment(folder: Path) -> None:
    """What the lock file would install, without its 6 GB: a new environment that borrows the packages of this one."""
    venv.create(folder, symlinks=True)
    site = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    Path(site, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    ray = folder / "bin" / "ray"
    ray.write_text(f"#!{folder}/bin/python\nfrom ray.scripts.scripts import main\nmain()\n")
    ray.chmod(0o755)
    shutil.copy(Path(__file__).parent.parent / "requirements.lock", folder)
