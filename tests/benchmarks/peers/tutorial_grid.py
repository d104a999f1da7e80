"""The small grid as the public tutorials of PyTorch and Ray Tune write it. `python -m … DATA_DIR FOLDER` runs it.

Source: pytorch.org/tutorials, "Hyperparameter tuning using Ray Tune", and "Training a Classifier" that it starts from;
docs.ray.io, "Getting Started with Ray Tune". From them: a Dataset of PIL images behind torchvision's transforms, a
DataLoader, float32, `loss.item()` a step, validation each epoch, a function trainable that calls `tune.report`, and
Tune's defaults, so a new actor a trial.

Where a tutorial is slower than it has to be on this grid, this is not: images are read once, by the driver, and shared
through the object store (`tune.with_parameters`), not read by each trial; they are loaded in the trial's own process,
because processes of a DataLoader would take the cores from training (the tutorials start 8 a loader); no checkpoint is
written; a trial has one CPU, so that both cores train. Network, optimizer, batch size, and numbers of images are ours.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from ray import tune
from torch import nn
from torch.utils.data import DataLoader

from cifar_models.config import OptimizerConfig, ResidualCNNConfig
from cifar_models.models import build_model
from cifar_models.optimizers import build_optimizer
from tests.benchmarks.grid_settings import BATCH_SIZE, EPOCHS, NUM_TEST, NUM_TRAIN, NUM_VAL, RATES
from tests.benchmarks.peers.pil_images import PilImages, read_images


def train_cifar(config: dict[str, float], train_set: PilImages, val_set: PilImages, test_set: PilImages) -> None:
    """One trial. It reports when it started and ended, beside its measures."""
    started = time.time()
    model = build_model(ResidualCNNConfig(), 10)
    criterion = nn.CrossEntropyLoss()
    optimizer = build_optimizer(model.parameters(), OptimizerConfig(lr=config["lr"]))
    train_loader = DataLoader(train_set, BATCH_SIZE, shuffle=True, drop_last=True)
    val_loader = DataLoader(val_set, BATCH_SIZE)
    for epoch in range(1, EPOCHS + 1):
        model.train()
        running_loss = 0.0
        for inputs, labels in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs), labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        measures = {
            "epoch": epoch,
            "train_loss": running_loss / len(train_loader),
            "val_acc": accuracy(model, val_loader),
        }
        if epoch == EPOCHS:
            measures["test_acc"] = accuracy(model, DataLoader(test_set, BATCH_SIZE))
        tune.report(measures | {"started": started, "ended": time.time()})


def accuracy(model: nn.Module, loader: "DataLoader[Any]") -> float:
    """Share of right answers."""
    model.eval()
    num_right = num_images = 0
    with torch.no_grad():
        for inputs, labels in loader:
            num_right += int((model(inputs).argmax(1) == labels).sum().item())
            num_images += len(labels)
    return num_right / num_images


def main(data_dir: Path, folder: Path) -> None:
    """Trains the grid; prints when each trial started and ended, as JSON."""
    images, labels = read_images(data_dir, "train", NUM_TRAIN + NUM_VAL)
    train_set = PilImages(images[:NUM_TRAIN], labels[:NUM_TRAIN])
    val_set = PilImages(images[NUM_TRAIN:], labels[NUM_TRAIN:])
    test_set = PilImages(*read_images(data_dir, "test", NUM_TEST))
    trainable = tune.with_parameters(train_cifar, train_set=train_set, val_set=val_set, test_set=test_set)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"lr": tune.grid_search(list(RATES))},
        tune_config=tune.TuneConfig(metric="val_acc", mode="max"),
        run_config=tune.RunConfig(storage_path=str(folder)),
    )
    results = tuner.fit()
    print(f"best: {results.get_best_result().config}")
    print(json.dumps(results.get_dataframe()[["started", "ended"]].to_numpy().tolist()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
