"""The Ray cluster of a run: connecting to it, and what is checked there before the first trial starts."""

import contextlib
import ctypes
import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import yaml
from ray._private.services import get_ray_address_from_environment

from cifar_models.environment import WORKER_ENVIRONMENT
from grid.errors import UserError
from grid.execution import own_ray
from grid.execution.resources import Share

AUTOSCALING_CONFIG = Path("~/ray_bootstrap_config.yaml").expanduser()
"""Where `ray up` leaves its configuration on the head; the autoscaler of the cluster reads it."""

AUTOSCALING_PENDING = 200
"""Trials that wait where an autoscaler looks at how many do, to decide how many nodes it starts."""

ANSWER_S = 5.0
"""Seconds in which the head of a cluster has to answer."""

HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a client of gRPC says first, and an empty frame of settings. Source: RFC 9113, 3.4."""


ctypes.pythonapi.PyOS_getsig.restype = ctypes.c_void_p
ctypes.pythonapi.PyOS_getsig.argtypes = (ctypes.c_int,)
ctypes.pythonapi.PyOS_setsig.restype = ctypes.c_void_p
ctypes.pythonapi.PyOS_setsig.argtypes = (ctypes.c_int, ctypes.c_void_p)


@contextmanager
def ray_cluster() -> Iterator[None]:
    """Connects to the cluster of this node or of RAY_ADDRESS, or starts one here that ends with this.

    Inside another of its kind it changes nothing.

    Raises:
        UserError: There is no cluster where it is said to be, or it is of another version, or none can be started.
    """
    if ray.is_initialized():
        yield
        return
    address = cluster_address()
    if address is not None:
        check_address(address)
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # no CSV, JSON and TensorBoard file for each trial
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # it would stop running trials at once
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the new output has a banner even where it is told to be silent
    try:
        _connect(address)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a trial's failure is a row, with its traceback
        yield
    finally:
        ray.shutdown()
        own_ray.forget_workers()


def cluster_address() -> str | None:
    """Returns the address of a cluster, from RAY_ADDRESS or from `ray start` on this node; None to start one here.

    Raises:
        UserError: RAY_ADDRESS is no address, or `auto` while no cluster runs here.
    """
    given = os.environ.get("RAY_ADDRESS", "")
    if given == "local":
        return None
    if given.startswith("ray://"):
        raise UserError(
            f"RAY_ADDRESS={given}: is for Ray's client, which can't write the results here; run on a node of the "
            "cluster with RAY_ADDRESS=HOST:6379, or from here with ray submit"
        )
    if given not in ("", "auto"):
        found = re.fullmatch(r"(?:\[[\w:.%]+\]|[\w.-]+):([0-9]{1,5})", given, re.ASCII)
        if not found or int(found[1]) >= 2**16:
            raise UserError(
                f"RAY_ADDRESS={given.strip()}: is not HOST:PORT, auto or local; ray start --head prints the address, "
                "such as 10.0.0.1:6379; or unset RAY_ADDRESS, to use this machine alone"
            )
        return given
    try:
        noted: str | None = get_ray_address_from_environment(given or None, None)  # type: ignore[arg-type]
    except ConnectionError:
        raise UserError(
            "RAY_ADDRESS=auto: no cluster runs on this machine; start one with ray start --head, or unset RAY_ADDRESS"
        ) from None
    return noted


def check_address(address: str) -> None:
    """Asks whether what answers at HOST:PORT may be Ray; Ray itself would try for a quarter of an hour.

    Raises:
        UserError: Nothing answers, or something else than Ray.
    """
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S) as connection:
            connection.settimeout(ANSWER_S)
            connection.sendall(HTTP2_GREETING)
            answer = connection.recv(4)
    except (OSError, OverflowError, UnicodeError) as error:
        raise UserError(_no_cluster(address, getattr(error, "strerror", None) or str(error))) from error
    if answer[3:] != b"\x04":  # a server of gRPC begins with its settings, too
        raise UserError(_no_cluster(address, "something else than Ray answers there"))


def _no_cluster(address: str, reason: str) -> str:
    if os.environ.get("RAY_ADDRESS", "") in ("", "auto"):
        mend = "if it has ended, make Ray forget it with ray stop, or use this machine alone with RAY_ADDRESS=local"
        return f"no cluster at {address}, where ray start has noted one ({reason}); {mend}"
    mend = "start one there with ray start --head, or unset RAY_ADDRESS, to use this machine alone"
    return f"no cluster at RAY_ADDRESS={address} ({reason}); {mend}"


def _connect(address: str | None) -> None:
    """Connects to a cluster, or starts one; signals are handled as before when this returns.

    Raises:
        UserError: Ray can't be used, with what it says of it.
        KeyboardInterrupt: SIGTERM came, which Ray takes for itself while it starts.
    """
    handler, handler_in_c = signal.getsignal(signal.SIGTERM), ctypes.pythonapi.PyOS_getsig(signal.SIGTERM)
    # the workers of a Ray of one's own have its environment, and so are those that it starts in advance
    environment = {"env_vars": WORKER_ENVIRONMENT} if address is not None else None
    try:
        with own_ray.started_here() if address is None else contextlib.nullcontext():
            ray.init(
                runtime_env=environment,
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=False,
                _system_config=own_ray.SETTINGS if address is None else None,
            )
    except SystemExit:
        raise KeyboardInterrupt from None
    except Exception as error:  # also a plain Exception, where its processes do not come up in time
        raise UserError(_explain(error, address)) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
        else:  # Python sets its own only in the main thread, and Ray's would abort the run
            ctypes.pythonapi.PyOS_setsig(signal.SIGTERM, handler_in_c)


def _explain(error: Exception, address: str | None) -> str:
    """One line of what Ray says when it can't start or connect."""
    said = " ".join(str(error).split())
    if versions := re.search(r"started with: Ray: (\S+) Python: (\S+) This .* Ray: (\S+) Python: (\S+)", said):
        ray_there, python_there, ray_here, python_here = versions.groups()
        return (
            f"the cluster at {address} runs Ray {ray_there} on Python {python_there}, and this is Ray {ray_here} on "
            f"Python {python_here}: install the same on all nodes, or unset RAY_ADDRESS, to use this machine alone"
        )
    where = f"at {address} can't be used" if address else "can't be started here"
    return f"Ray {where} ({said[:300]})"


def alive_nodes() -> list[dict[str, Any]]:
    """The nodes of the cluster, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def offered_by(nodes: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """What each node offers, and each kind of node that the autoscaler could start."""
    offered = [node["Resources"] for node in nodes]
    if AUTOSCALING_CONFIG.exists():
        kinds = yaml.safe_load(AUTOSCALING_CONFIG.read_text(encoding="utf-8")).get("available_node_types", {})
        offered += [kind.get("resources", {}) for kind in kinds.values()]
    return offered


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
