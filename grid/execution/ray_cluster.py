"""The Ray cluster of a run: connecting to it, and what is checked there before the first trial starts."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import yaml

from cifar_models.device import WORKER_ENVIRONMENT
from grid.errors import UserError
from grid.execution.resources import Share

AUTOSCALING_CONFIG = Path("~/ray_bootstrap_config.yaml").expanduser()
"""Where `ray up` leaves its configuration on the head; the autoscaler of the cluster reads it."""

AUTOSCALING_PENDING = 200
"""Trials that wait where an autoscaler looks at how many do, to decide how many nodes it starts."""


@contextmanager
def ray_cluster() -> Iterator[None]:
    """Connects to the cluster of this node or of RAY_ADDRESS, or starts one here for the time being.

    Inside another of its kind it changes nothing.
    """
    if ray.is_initialized():
        yield
        return
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # no CSV, JSON and TensorBoard file for each trial
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # it would stop running trials at once
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the new output has a banner even where it is told to be silent
    ray.init(
        runtime_env={"env_vars": WORKER_ENVIRONMENT},
        log_to_driver=False,
        logging_level=logging.ERROR,
        include_dashboard=False,
    )
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a trial's failure is a row, with its traceback
    try:
        yield
    finally:
        ray.shutdown()


def alive_nodes() -> list[dict[str, Any]]:
    """The nodes of the cluster, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def has_gpus(nodes: Sequence[dict[str, Any]]) -> bool:
    """Whether any node has a GPU, or the autoscaler could start one that has."""
    offered = [node["Resources"] for node in nodes]
    if AUTOSCALING_CONFIG.exists():
        kinds = yaml.safe_load(AUTOSCALING_CONFIG.read_text(encoding="utf-8")).get("available_node_types", {})
        offered += [kind.get("resources", {}) for kind in kinds.values()]
    return any(resources.get("GPU", 0) > 0 for resources in offered)


def num_trials_at_once(nodes: Sequence[dict[str, Any]], share: Share) -> int:
    """How many trials of a share the nodes hold together."""
    asked = {name: amount for name, amount in (("CPU", share.cpus), ("GPU", share.gpus)) if amount > 0}
    # Ray counts in ten-thousandths, and so never loses a trial to rounding
    return sum(min(int(node["Resources"].get(n, 0) / a + 1e-4) for n, a in asked.items()) for node in nodes)


def num_pending_trials(nodes: Sequence[dict[str, Any]], shares: Sequence[Share]) -> int:
    """How many trials should wait for their workers: enough to start on all nodes together, and no more.

    A trial that waits was chosen by what was known then, which matters to a schedule that learns.
    """
    if AUTOSCALING_CONFIG.exists():
        return AUTOSCALING_PENDING
    return max(1, *(num_trials_at_once(nodes, share) for share in shares))


def check_a_trial_fits(nodes: Sequence[dict[str, Any]], share: Share) -> None:
    """Refuses what would otherwise wait forever, unless an autoscaler may still start a larger node.

    Raises:
        UserError: No node has what a trial asks for, or no node can have it.
    """
    if share.gpus > 1 and share.gpus != int(share.gpus):
        raise UserError(f"a trial asks for {share.gpus:g} GPUs; more than one GPU must be a whole number of them")
    if AUTOSCALING_CONFIG.exists() or num_trials_at_once(nodes, share) > 0:
        return
    largest = ", ".join(f"{max(node['Resources'].get(name, 0) for node in nodes):g} {name}s" for name in ("CPU", "GPU"))
    raise UserError(
        f"a trial asks for {share.cpus:g} CPUs and {share.gpus:g} GPUs, and no node has both (at most {largest}); "
        "lower --cpus-per-trial or --gpus-per-trial"
    )


def storage_note(checkpoints: str | None, num_nodes: int) -> str | None:
    """What the plan should say of checkpoints, in one line; None if there is nothing to say.

    Args:
        checkpoints: Where the user wants them; None for the folder beside the ledger.
        num_nodes: Nodes of the cluster.
    """
    if checkpoints is not None or num_nodes <= 1:
        return None
    return (
        f"Checkpoints stay on the node that wrote them: if one of the {num_nodes} nodes is lost, its unfinished trials "
        "start again elsewhere; --checkpoints with a path or URL that all nodes share avoids that"
    )
