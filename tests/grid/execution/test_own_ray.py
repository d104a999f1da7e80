"""A Ray of a run's own: trials get the workers that it started in advance, and what it has no use for is not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.grid.test_cli import ROOT

pytestmark = [pytest.mark.ray, pytest.mark.slow]

RUN = """
import json, os, signal, sys
import ray
from grid.execution import own_ray
from grid.execution.ahead import ClusterAhead

told = []
signal.signal(signal.SIGTERM, lambda *_: told.append("SIGTERM"))
environment = dict(os.environ)
with ClusterAhead() as cluster:
    (node,) = cluster.wait()
    assert own_ray.is_own_cluster() and node.cpu and node.num_cpus == os.cpu_count()
    assert dict(os.environ).items() >= environment.items() and "MALLOC_TOP_PAD_" not in os.environ
    os.kill(os.getpid(), signal.SIGTERM)
    assert told == ["SIGTERM"], "Ray's own handler would end the process"
    own_ray.wait_for_workers()
    ready = {int(name) for name in os.listdir(own_ray._Warm.folder.name)}

    class Trial:
        def look(self):
            return os.getpid(), "torch._dynamo" in sys.modules, os.environ["MALLOC_TOP_PAD_"]

    from ray.tune.execution.class_cache import _ActorClassCache
    with own_ray.tune_takes_ready_workers():
        trial = _ActorClassCache().get(Trial).options(num_cpus=1).remote()
        pid, has_torch, padding = ray.get(trial.look.remote())
    assert pid in ready and has_torch and padding, (pid, ready)
    processes = ray._private.worker._global_node.all_processes
    assert sorted(processes) == ["gcs_server", "raylet"], sorted(processes)
assert not ray.is_initialized() and own_ray._Warm.folder is None
assert "torch" not in sys.modules
"""


def test_a_trial_gets_a_worker_that_has_imported_torch_in_advance(tmp_path: Path) -> None:
    environment = os.environ | {"RAY_ADDRESS": "local", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", RUN], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stderr
