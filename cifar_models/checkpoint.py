"""What training needs to go on, and trained weights, as the bytes of safetensors files; nothing is ever a pickle.

Every file carries a checksum of all that is in it, so that a truncated, altered or foreign one is never used.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

MODEL, OPTIMIZER = "model.", "optimizer."
"""What the names of a state's tensors begin with: `model.<name>`, `optimizer.<number of the parameter>.<name>`."""


class CheckpointError(Exception):
    """A file that can't be used: damaged, or not of this model. Its message is one line."""


@dataclass
class TrainState:
    """A trial between two epochs; with its configuration, all that decides the epochs that follow.

    There is no random generator in it, as each epoch has a random stream of its own.

    Attributes:
        model: The network; what it weighs, and its buffers.
        optimizer: The update rule, and what it gathered of past gradients.
        schedule: The learning rate at each step, and the step it is at.
        statistics: Mean and standard deviation that images are normalised with, two `(3,) float32` in 0 to 255.
        epoch: Epochs that are done.
    """

    model: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    statistics: tuple[Tensor, Tensor]
    epoch: int = 0


def pack_state(state: TrainState, metadata: Mapping[str, str]) -> bytes:
    """A state as the content of a safetensors file, with metadata of the caller's own."""
    optimizer = state.optimizer.state_dict()
    tensors = {MODEL + name: value for name, value in state.model.state_dict().items()}
    for index, values in optimizer["state"].items():
        tensors |= {f"{OPTIMIZER}{index}.{name}": value for name, value in values.items()}
    rest = {
        "epoch": str(state.epoch),
        "optimizer": json.dumps(optimizer["param_groups"]),
        "schedule": json.dumps(state.schedule.state_dict()),
    }
    return _pack(tensors, {**metadata, **rest})


def pack_weights(state: TrainState, classes: Sequence[str], metadata: Mapping[str, str]) -> bytes:
    """The network's weights, under their own names, as the content of a safetensors file.

    Whoever loads them finds in its metadata, as JSON: `classes`, the names of its outputs, and `mean` and `std`, what
    the channels of an image, in 0 to 255, must be normalised with.
    """
    mean_C, std_C = (statistic.tolist() for statistic in state.statistics)
    needed = {"classes": list(classes), "mean": mean_C, "std": std_C}
    return _pack(state.model.state_dict(), {**metadata, **{name: json.dumps(value) for name, value in needed.items()}})


def unpack(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors, on the CPU, and the metadata of a file that was written here.

    Raises:
        CheckpointError: It is not such a file, or not all of it.
    """
    try:
        tensors = load(data)
    except (SafetensorError, LookupError, ValueError) as error:
        raise CheckpointError(f"damaged, or no safetensors file ({error})") from error
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])  # safetensors has none but a file's metadata
    metadata: dict[str, str] = header.get("__metadata__", {})
    if metadata.pop("sha256", None) != _sha256(tensors, metadata):
        raise CheckpointError("damaged, or not written by this program (its checksum is another)")
    return tensors, metadata


def restore(state: TrainState, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Makes a state the one that was packed.

    Args:
        state: One of the same configuration, at any epoch.
        tensors: As `unpack` gives them, and
        metadata: likewise.

    Raises:
        CheckpointError: They are of another model, optimizer or schedule, or can't be; the state is as before.
    """
    model = {name.removeprefix(MODEL): value for name, value in tensors.items() if name.startswith(MODEL)}
    _check_same_model(state.model, model)
    groups = state.optimizer.state_dict()["param_groups"]
    epoch, saved_groups, schedule = (_parsed(metadata, name) for name in ("epoch", "optimizer", "schedule"))
    if not (_is_like(epoch, 0) and epoch >= 0):
        raise CheckpointError("after no epoch that there is")
    if not _is_like(saved_groups, groups) or _constants(saved_groups) != _constants(groups):
        raise CheckpointError("of another optimizer")
    if not _is_like(schedule, state.schedule.state_dict()):
        raise CheckpointError("of another schedule of the learning rate")
    gathered = _gathered(tensors, state.optimizer)

    for group, saved in zip(groups, saved_groups, strict=True):
        group["lr"] = saved["lr"]
    state.model.load_state_dict(model)
    state.optimizer.load_state_dict({"state": gathered, "param_groups": groups})
    state.schedule.load_state_dict(schedule)
    state.epoch = epoch


def _parsed(metadata: Mapping[str, str], name: str) -> Any:
    """A value of the metadata, where a stranger may have written anything."""
    try:
        return json.loads(metadata[name])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"without its {name}, or with one that is no JSON") from error


def _is_like(value: Any, known: Any) -> bool:
    """Whether a value from JSON has the same structure and types as one that is known to be right, and is finite."""
    if isinstance(known, dict):
        return (
            isinstance(value, dict)
            and value.keys() == known.keys()
            and all(_is_like(value[k], known[k]) for k in known)
        )
    if isinstance(known, list | tuple):
        alike = isinstance(value, list) and len(value) == len(known)
        return alike and all(_is_like(mine, theirs) for mine, theirs in zip(value, known, strict=True))
    if isinstance(known, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return type(value) is type(known)


def _gathered(tensors: Mapping[str, Tensor], optimizer: Optimizer) -> dict[int, dict[str, Tensor]]:
    """What a rule gathered, by number of the parameter, laid out in memory as the parameter is.

    Elsewhere in memory the same sums would be made by other instructions, which may round otherwise.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    gathered: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(OPTIMIZER):
            index, _, key = name.removeprefix(OPTIMIZER).partition(".")
            if not (index.isdecimal() and int(index) < len(parameters) and key):
                raise CheckpointError(f"of another optimizer ({name!r:.80})")
            parameter = parameters[int(index)]
            is_step_count = value.shape != parameter.shape
            if value.dtype != (torch.float32 if is_step_count else parameter.dtype) or (
                is_step_count and value.numel() != 1
            ):
                raise CheckpointError(f"of another optimizer ({name} is {value.dtype} of shape {tuple(value.shape)})")
            value = value.clone() if is_step_count else torch.empty_like(parameter).copy_(value)
            gathered.setdefault(int(index), {})[key] = value
    return gathered


def _constants(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a rule never changes while it trains, as JSON holds it."""
    constants: list[dict[str, Any]] = json.loads(json.dumps([group | {"lr": None} for group in groups]))
    return constants


def _check_same_model(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    def layers(tensors: Mapping[str, Tensor]) -> set[tuple[object, ...]]:
        return {(name, value.shape, value.dtype) for name, value in tensors.items()}

    differing = sorted(str(name) for name, *_ in layers(model.state_dict()) ^ layers(tensors))
    if differing:
        raise CheckpointError(f"of another model ({differing[0]} differs)")


def _pack(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> bytes:
    here = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    return save(here, {**metadata, "sha256": _sha256(here, metadata)})


def _sha256(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
