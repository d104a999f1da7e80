"""The one process that writes the ledger during a run, on the node that has the results folder. It needs no torch."""

from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cifar_models.environment import WARM_WORKERS
from cifar_models.records import TestRecord
from grid.records.ledger import Ledger, TrialRecord
from grid.records.lock import Fence


@dataclass
class Recorder:
    """The only writer of the ledger during a run.

    It goes on while its driver is paused, and so asks itself whether the folder is still theirs.

    Attributes:
        ledger: Where trials are committed.
        fence: Tells whether the folder is still this run's; None if nobody else can write there.
    """

    ledger: Ledger
    fence: Fence | None

    def commit(self, record: TrialRecord, test: TestRecord | None, weights: bytes | None) -> None:
        """Writes a trial, and its final weights if they are to be kept; once this returns, it is finished for good.

        Raises:
            OSError: It can't be written, or another run took over the folder.
        """
        if self.fence is not None:
            self.fence.check()
        self.ledger.commit(record, test)
        if weights is not None:
            self.ledger.add_weights(record.fingerprint, weights)


def start_recorder(ledger: Ledger, fence: Fence | None) -> Any:
    """Starts a `Recorder` as an actor of Ray on this node, and returns its handle."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    # killed, it starts again, and what it was told is told again: to commit a trial twice changes nothing
    options = {"num_cpus": 0, "scheduling_strategy": here, "max_restarts": -1, "max_task_retries": -1}
    # a process of its own kind, which leaves to trials the workers that have imported torch in advance
    options["runtime_env"] = {"env_vars": {WARM_WORKERS: ""}}
    return ray.remote(Recorder).options(**options).remote(Ledger(ledger.files.absolute()), fence)
