"""The environment of workers, in a process of its own: what it does to memory."""

import os
import subprocess
import sys

import pytest

from cifar_models.environment import WORKER_ENVIRONMENT

TRIALS = """
import threading
from pathlib import Path
import numpy as np

def own_mb():
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) // 1024

def trial():
    activations = [np.ones(10 * 2**20, np.uint8) for _ in range(10)]

def other():
    kept.append(np.ones(2**20, np.uint8))
    end.wait()

kept, end, others = [], threading.Event(), []
sizes = []
for _ in range(6):
    thread = threading.Thread(target=trial)
    thread.start()
    thread.join()
    others.append(threading.Thread(target=other))
    others[-1].start()
    while len(kept) < len(others):
        pass
    sizes.append(own_mb())
end.set()
print(sizes[-1] - sizes[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_does_not_grow_with_every_trial_though_each_has_a_thread_of_its_own() -> None:
    """Threads of others, such as Ray's, may take the memory that glibc keeps for the thread of the trial before."""
    done = subprocess.run(
        [sys.executable, "-c", TRIALS], env=os.environ | WORKER_ENVIRONMENT, capture_output=True, text=True
    )
    assert int(done.stdout) < 100, done.stderr
