"""Training throughput of the report's final network: one process, one thread, ours beside the tutorials' way.

Each is measured in a process of its own, as it would really run: ours with the environment that Ray workers get. What
the core could do is measured beside it, as the rate of a large product of matrices in the same number format. Seconds
are those of the processor, which are the wall's where nothing else runs.
"""

import statistics
import sys
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from cifar_models.config import TrainConfig
from cifar_models.data import Split
from cifar_models.device import native_precision, prepare_process
from cifar_models.environment import WORKER_ENVIRONMENT
from cifar_models.models import build_model
from cifar_models.optimizers import build_optimizer
from cifar_models.train import train
from tests.benchmarks.commands import last_line, module
from tests.benchmarks.peers.pil_images import PilImages
from tests.benchmarks.rows import Row
from tests.benchmarks.setting import Setting

NUM_STEPS = 4
BATCH_SIZE = 256
MATRIX_SIZE = 4096
NUM_PRODUCTS = 5
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def measure(setting: Setting) -> list[Row]:
    """Images a second, and what share of the core's own rate they are."""
    precision = native_precision(torch.device("cpu"))
    ours, theirs, rates = [], [], []
    for _ in setting.each_round():
        theirs.append(_apart("tutorial", tuned=False))
        ours.append(_apart(precision, tuned=True))
        rates.append(_apart(f"{precision}-matrix", tuned=True))
    flops = flops_an_image()
    shares = tuple(100 * speed * flops / rate for speed, rate in zip(ours, rates, strict=True))
    rate = statistics.median(rates) / 1e9
    return [
        Row(
            name="training",
            what=f"the final network, {precision}, batch {BATCH_SIZE}, one thread",
            unit="images/s",
            ours=tuple(ours),
            peer="tutorials' way, fp32",
            theirs=tuple(theirs),
            others=setting.others,
        ),
        Row(
            name="training",
            what=f"of the core's {precision} matrix rate ({rate:,.0f} GFLOP/s; {flops / 1e9:.2f} GFLOP an image)",
            unit="%",
            ours=shares,
            goal="≥ 72 on AVX512-bf16",
            others=setting.others,
        ),
    ]


def _apart(what: str, *, tuned: bool) -> float:
    """What one process of this file prints; `tuned` gives it the environment of our workers."""
    return float(last_line(module("throughput", what, changes=(WORKER_ENVIRONMENT if tuned else {}) | ONE_THREAD)))


def flops_an_image() -> int:
    """Floating point operations, forward and backward, a multiplication and an addition counted as two."""
    with torch.device("meta"):
        model = build_model(TrainConfig().model, 10)
        images = torch.empty(2, 3, 32, 32)
    with FlopCounterMode(display=False) as counter:
        model(images).sum().backward()
    return int(counter.get_total_flops() // 2)


def random_images(num_images: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise: how fast a step is does not depend on what the images show."""
    generator = np.random.RandomState(0)
    return generator.randint(0, 256, (num_images, 3, 32, 32)).astype(np.uint8), np.arange(num_images) % 10


def tutorial_steps(config: TrainConfig) -> Iterator[int]:
    """Steps as the public tutorials write them; yields the images of each."""
    model = build_model(config.model, 10)
    optimizer = build_optimizer(model.parameters(), config.optimizer)
    images, labels = random_images(BATCH_SIZE * NUM_STEPS)
    loader = DataLoader(PilImages(images.transpose(0, 2, 3, 1), labels), BATCH_SIZE, shuffle=True)
    model.train()
    while True:
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            yield len(y)


def tutorial_speed() -> float:
    """Images a second, after a first step that does not count."""
    steps = tutorial_steps(TrainConfig())
    next(steps)
    start = time.process_time()
    return sum(next(steps) for _ in range(NUM_STEPS)) / (time.process_time() - start)


def our_speed(precision: str) -> float:
    """Images a second of `train`, after a first epoch that does not count."""
    prepare_process(num_threads=1)
    one = random_images(10)
    config = TrainConfig.model_validate({"epochs": 2, "batch_size": BATCH_SIZE, "precision": precision})
    data = Split(*random_images(BATCH_SIZE * NUM_STEPS), *one, *one, num_classes=10)
    epochs = train(config, data, torch.device("cpu"))
    next(epochs)
    start = time.process_time()
    next(epochs)
    return BATCH_SIZE * NUM_STEPS / (time.process_time() - start)


def matrix_rate(precision: str) -> float:
    """Floating point operations a second of the median product, after one that does not count."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(MATRIX_SIZE, MATRIX_SIZE).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(NUM_PRODUCTS + 1):
        start = time.process_time()
        torch.mm(a, b)
        seconds.append(time.process_time() - start)
    return float(2 * MATRIX_SIZE**3 / statistics.median(seconds[1:]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    asked = sys.argv[1]
    if asked == "tutorial":
        print(tutorial_speed())
    elif asked.endswith("-matrix"):
        print(matrix_rate(asked.removesuffix("-matrix")))
    else:
        print(our_speed(asked))
