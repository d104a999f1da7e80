"""A private view of the machine in which nothing can be written but a scratch folder, and no other process be seen.

It is made of Linux namespaces, which end with the process: a new mount namespace with every file system read-only, an
empty tmpfs as the scratch folder, one more as /dev/shm, and a process namespace, so that what is killed is ours.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

INSIDE = "CIFAR_GRID_FAULTS_SCRATCH"
"""Environment variable that names the scratch folder, inside."""

SIZE = "6g"
"""Of the scratch folder; what fills it fills no disk and not all memory."""

ENTER = f"""
mount --make-rprivate /
mount -t tmpfs -o size={SIZE} tmpfs "$1"
awk '{{print $5}}' /proc/self/mountinfo | sort -u | while read -r place; do
    place=$(printf '%b' "$place")
    case "$place" in "$1"|/proc) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null || true ;; esac
done
[ ! -d /dev/shm ] || mount -t tmpfs -o size=2g tmpfs /dev/shm
shift
exec "$@"
"""
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec")


def scratch_folder() -> Path | None:
    """The scratch folder of this process, if it is inside; None outside."""
    return Path(os.environ[INSIDE]) if INSIDE in os.environ else None


def why_not() -> str | None:
    """Why nothing can be protected here; None if it can."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return "it takes Linux and its command unshare"
    if os.geteuid() != 0:
        return "only root may make namespaces with file systems of their own"
    with tempfile.TemporaryDirectory() as folder:
        script = 'mount --make-rprivate / && mount -t tmpfs tmpfs "$1"'
        tried = subprocess.run([*UNSHARE, script, "sh", folder], capture_output=True, text=True)
    return f"no namespaces: {tried.stderr.strip()}" if tried.returncode else None


def run_inside(command: Sequence[str]) -> int:
    """Runs a command in which only a new, empty scratch folder can be written; returns its exit code."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        environment = os.environ | {INSIDE: folder}
        return subprocess.run(
            [*UNSHARE, ENTER, "sh", folder, *command], env=environment, preexec_fn=_die_with_parent
        ).returncode


def _die_with_parent() -> None:
    """Asks the system to kill this process, and with it all that is inside, when the one that started it is gone.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))


def writable_elsewhere(scratch: Path) -> list[str]:
    """Folders outside the scratch folder that can be written all the same, of those that matter most."""
    places = {Path("/"), Path.home(), Path.cwd(), Path(__file__).parent, scratch.parent, Path("/tmp"), Path("/var/tmp")}
    found = []
    for place in sorted(places):
        try:
            with tempfile.TemporaryFile(dir=place):
                found.append(str(place))
        except OSError:
            continue
    return found
