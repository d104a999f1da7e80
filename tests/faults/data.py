"""Images and published weights with random changes, read as a run reads them."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import torch

from cifar_models.config import PublishedConfig
from cifar_models.data import SOURCES, cifar
from cifar_models.data.sources import find_cifar
from cifar_models.models import build_model
from cifar_models.weights import WeightsError, WeightsFile, load_published_weights
from tests.cifar_models.data.made_data import write_batches, write_cifar10_parquet, write_class_folders
from tests.cifar_models.made_weights import densenet_state
from tests.faults.attempts import Attempt, Case
from tests.faults.mutations import mutate_folder, mutated_bytes
from tests.faults.sound import NAME, Sound, command, in_results

NUM_OF_EACH = 250
ARCHITECTURE = "densenet121"


def attempts(sound: Sound) -> Iterator[Attempt]:
    """A quarter of a thousand of each: Parquet, batches, class folders, weights."""
    folder = sound.question.parent / "data"
    if not folder.exists():
        make(folder)
    for number in range(NUM_OF_EACH):
        for layout, name in (("parquet", "cifar10"), ("batches", "cifar10"), ("classes", "folder")):
            yield Attempt(
                f"images changed at random: {layout}", f"{number:04}", _mutated(folder / layout), _read(name, layout)
            )
        trusted = number % 2 == 0
        how = "with its checksum" if trusted else "without"
        yield Attempt("weights changed at random", f"{number:04} {how}", _weights(folder, trusted), load)


def make(folder: Path) -> None:
    """A sound one of each."""
    write_cifar10_parquet(folder / "parquet")
    published = write_batches(folder / "batches" / cifar.CIFAR10.batches_folder)
    (folder / "checksums").write_text(repr((published.train_batches, published.test_batches)))
    write_class_folders(folder / "classes", {"cat": 40, "dog": 40})
    torch.save(densenet_state(), folder / "weights.pth")


def _mutated(sound: Path) -> Callable[[Case, Random], None]:
    def prepare(case: Case, draw: Random) -> None:
        import shutil

        shutil.copytree(sound, case.here / "data")
        for _ in range(draw.choice((1, 1, 2, 5))):
            mutate_folder(case.here / "data", draw, case.victims)

    return prepare


def _read(name: str, layout: str) -> Callable[[Case], None]:
    def read(case: Case) -> None:
        if layout == "batches":  # those of the tests count as published
            train, test = eval((case.sound.question.parent / "data" / "checksums").read_text())
            published = cifar.CIFAR10.__class__(**{**vars(cifar.CIFAR10), "train_batches": train, "test_batches": test})
            SOURCES["cifar10"] = replace(SOURCES["cifar10"], find=partial(find_cifar, published))
        arguments: tuple[str, ...] = (
            "run",
            f"{NAME}.yaml",
            "--seeds",
            "1",
            "--gpus-per-trial",
            "0",
            "--set",
            "data.train_size=20",
        )
        arguments += ("--set", "data.test_size=5", "--set", "batch_size=10", "--dataset", name, "--data-dir", "data")
        run = command(*in_results(*arguments))

        def stop(*_: object, **__: object) -> bool:
            sys.exit(0)  # the images were read, and that is what is tried

        import tests.faults.sound as sound

        sound.train_all = stop
        run()

    return read


def _weights(folder: Path, trusted: bool) -> Callable[[Case, Random], None]:
    """Weights that were changed; the checksum in their name is that of the changed ones if they shall be trusted."""

    def prepare(case: Case, draw: Random) -> None:
        content = mutated_bytes((folder / "weights.pth").read_bytes(), draw)
        digest = hashlib.sha256(content).hexdigest() if trusted else "0" * 64
        (case.here / f"{ARCHITECTURE}-{digest[:8]}.pth").write_bytes(content)

    return prepare


def load(case: Case) -> None:
    """Loads the weights that are there into a network."""
    (published,) = case.here.glob("*.pth")
    file = WeightsFile(published.name, "http://127.0.0.1:9/")
    config = PublishedConfig(architecture=ARCHITECTURE, weights="imagenet")
    with torch.device("meta"):
        model = build_model(config, 1000, load_weights=False).get_submodule("network")
    try:
        load_published_weights(model, ARCHITECTURE, file, case.here)
    except WeightsError as error:
        print(f"cifar-grid: {error}", file=sys.stderr)
        sys.exit(2)
