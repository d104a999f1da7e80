"""The training loop. Read it from top to bottom: it is all that happens to a trial.

Shapes: N images, S samples of an epoch made of them, B of them in a batch, C channels, K classes, P parameters.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_models.augmentation import augment, draw_parameters
from cifar_models.checkpoint import TrainState
from cifar_models.config import PublishedConfig, TrainConfig
from cifar_models.data import DataError, Split
from cifar_models.images import DeviceImages, channel_statistics, moved, shared
from cifar_models.models import build_model
from cifar_models.optimizers import build_optimizer, build_schedule, l1_penalty
from cifar_models.published import input_statistics
from cifar_models.records import EpochRecord, TestRecord

EVAL_BATCH = 1000
"""Images that our own networks evaluate at a time."""

PUBLISHED_EVAL_BATCH = 250
"""Images that published networks, which need several times the memory, evaluate at a time."""


def train(
    config: TrainConfig,
    data: Split,
    device: torch.device | None = None,
    weights_dir: Path | None = None,
    state: TrainState | None = None,
) -> Iterator[EpochRecord | TestRecord]:
    """Trains one trial, from its start or from any epoch on.

    Same configuration, data, hardware and number of threads: the same numbers, to the last bit, also when training
    was interrupted and goes on from a saved state. torch's global generator is seeded anew for every epoch, so
    nothing that the process did before can show.

    Args:
        config: What to train.
        data: The images; they are moved to the device whole.
        device: Where to compute; the CPU if None.
        weights_dir: Where published weights are looked for first.
        state: Where to go on from; what `start` gives if None. It is advanced in place: whenever a record of an
            epoch was yielded, it is the state after that epoch.

    Yields:
        A record an epoch, then the test set's. If a loss is no longer finite, that epoch's record is the last.

    Raises:
        DataError: There are fewer training images than the batch size.
        WeightsError: The configuration starts from published weights that can't be had.
    """
    device = device or torch.device("cpu")
    state = state or start(config, data, device, weights_dir)
    layout = memory_layout(config)
    images = DeviceImages(data.train_images, data.train_labels, device, layout)
    val = DeviceImages(data.val_images, data.val_labels, device, layout)

    for epoch in range(state.epoch + 1, config.epochs + 1):
        clock = time.perf_counter()
        lr, train_loss, train_acc = train_epoch(config, state, images, random_stream(config.seed, epoch))
        val_loss, val_acc = measures(predict(state, val, config), val.labels)
        state.epoch = epoch
        record = EpochRecord(
            epoch=epoch,
            lr=lr,
            train_loss=train_loss,
            train_acc=train_acc,
            val_loss=val_loss,
            val_acc=val_acc,
            wall_s=time.perf_counter() - clock,
        )
        yield record
        if record.diverged:
            return

    test = DeviceImages(data.test_images, data.test_labels, device, layout)
    yield test_record(predict(state, test, config), test.labels)


@contextmanager
def subnormals_flushed() -> Iterator[None]:
    """Takes numbers closer to zero than 1.2e-38 for zero, in this thread and those that torch starts in it.

    The circuits of a processor do not handle them: a step of a network whose activations have died out takes up to
    twenty times as long with them.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@subnormals_flushed()
def start(
    config: TrainConfig, data: Split, device: torch.device | None = None, weights_dir: Path | None = None
) -> TrainState:
    """The state before the first epoch; arguments and errors are those of `train`."""
    num_images = len(data.train_labels)
    num_steps = config.augmentation.num_samples(num_images) // config.batch_size
    if num_steps == 0:
        raise DataError(f"batch_size {config.batch_size} is more than the {num_images} training images; lower it")
    torch.manual_seed(random_stream(config.seed, 0))
    model = build_model(config.model, data.num_classes, weights_dir).to(device).to(memory_format=memory_layout(config))
    optimizer = build_optimizer(trained_parameters(model), config.optimizer)
    schedule = build_schedule(optimizer, config.optimizer, num_steps * config.epochs)
    mean_C, std_C = input_statistics(config.model) or channel_statistics(shared(data.train_images))
    return TrainState(model, optimizer, schedule, (mean_C.to(device), std_C.to(device)))


@subnormals_flushed()
def train_epoch(
    config: TrainConfig, state: TrainState, images: DeviceImages, stream: int
) -> tuple[float, float, float]:
    """One pass over the training samples, in an order and with changes that `stream` decides.

    Returns:
        Learning rate of the last step, mean loss in nats without penalty, share of right answers.
    """
    model, optimizer = state.model, state.optimizer
    device = images.labels.device
    num_train = config.augmentation.num_samples(len(images))
    num_steps = num_train // config.batch_size
    trained = trained_parameters(model)
    torch.manual_seed(stream)
    # drawn on the CPU, so that every device sees the same order and the same changes
    generator = torch.Generator().manual_seed(stream)
    order_S = moved(torch.randperm(num_train, generator=generator), device)
    change_SP = moved(draw_parameters(config.augmentation, len(images), generator), device)
    loss_sum = torch.zeros((), device=device)
    num_correct = torch.zeros((), device=device, dtype=torch.int64)
    model.train()
    for sample_B in torch.split(order_S, config.batch_size)[:num_steps]:
        index_B = sample_B % len(images)
        image_BCHW, y_B = images.images[index_B], images.labels[index_B]
        if config.augmentation.changes_images:
            image_BCHW = augment(image_BCHW, change_SP[sample_B], config.augmentation)
        with autocast(config, device):
            logits_BK = model(images.normalised(image_BCHW, *state.statistics))
        loss = F.cross_entropy(logits_BK.float(), y_B)
        penalised = loss + l1_penalty(trained, config.optimizer.l1) if config.optimizer.l1 else loss
        optimizer.zero_grad(set_to_none=True)
        penalised.backward()  # type: ignore[no-untyped-call]
        lr = float(optimizer.param_groups[0]["lr"])
        optimizer.step()
        state.schedule.step()
        # the sums stay on the device: to read one here would make it wait at every step
        loss_sum += loss.detach()
        num_correct += (logits_BK.argmax(1) == y_B).sum()
    return lr, loss_sum.item() / num_steps, num_correct.item() / (num_steps * config.batch_size)


def trained_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Those that training changes."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def random_stream(seed: int, epoch: int) -> int:
    """Seed of an epoch's own random stream (0 is the initialisation); streams of different epochs are independent."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def memory_layout(config: TrainConfig) -> torch.memory_format:
    """How images and convolutions lie in memory."""
    return torch.channels_last if config.channels_last else torch.contiguous_format


def autocast(config: TrainConfig, device: torch.device) -> torch.autocast:
    """Where a model computes in bf16, if the configuration says so."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")


@subnormals_flushed()
@torch.inference_mode()
def predict(state: TrainState, images: DeviceImages, config: TrainConfig) -> Tensor:
    """Log-probabilities `(N, K) float32` of all images, in evaluation mode."""
    state.model.eval()
    outputs = []
    size = PUBLISHED_EVAL_BATCH if isinstance(config.model, PublishedConfig) else EVAL_BATCH
    for batch in torch.split(images.images, size):
        with autocast(config, batch.device):
            logits_BK = state.model(images.normalised(batch, *state.statistics))
        outputs.append(F.log_softmax(logits_BK.float(), dim=1))
    return torch.cat(outputs)


def measures(log_prob_NK: Tensor, label_N: Tensor) -> tuple[float, float]:
    """Mean cross-entropy in nats, and the share of right answers."""
    return F.nll_loss(log_prob_NK, label_N).item(), (log_prob_NK.argmax(1) == label_N).double().mean().item()


def test_record(log_prob_NK: Tensor, label_N: Tensor) -> TestRecord:
    """The test set's measures, and what the model says of each image."""
    loss, acc = measures(log_prob_NK, label_N)
    predicted_N = log_prob_NK.argmax(1)

    def probability(class_N: Tensor) -> npt.NDArray[np.float16]:
        return log_prob_NK.gather(1, class_N[:, None])[:, 0].exp().cpu().numpy().astype(np.float16)

    return TestRecord(
        loss=loss,
        acc=acc,
        label=label_N.cpu().numpy().astype(np.uint8),
        predicted=predicted_N.cpu().numpy().astype(np.uint8),
        true_prob=probability(label_N),
        predicted_prob=probability(predicted_N),
    )
