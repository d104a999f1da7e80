import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from torchvision import datasets

from cifar_models.data.cifar import CIFAR10, CIFAR100, Cifar
from cifar_models.data.errors import DataError
from cifar_models.data.readers import BatchesReader, DigitsReader
from tests.cifar_models.data.made_data import write_batches


def test_digits_are_scikit_learns_enlarged() -> None:
    classes, train, test = DigitsReader().read()
    ours = sorted((label, image.tobytes()) for part in (train, test) for label, image in zip(*part[::-1], strict=True))
    theirs = load_digits()
    expected = []
    for label, image_8x8 in zip(theirs.target, theirs.images, strict=True):
        grey = np.floor(image_8x8 * 255 / 16 + 0.5).astype(np.uint8)
        expected.append((label, np.stack([np.kron(grey, np.ones((4, 4), np.uint8))] * 3).tobytes()))
    assert ours == sorted(expected)
    assert classes == tuple("0123456789")


def test_digits_have_the_counts_of_their_description_and_a_fifth_for_testing() -> None:
    _, train, test = DigitsReader().read()
    # Images of each digit in scikit-learn's data set, as its documentation tells.
    counts = np.array([178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    assert train.images.shape == (1437, 3, 32, 32)
    assert test.images.shape == (360, 3, 32, 32)
    assert train.images.dtype == np.uint8
    assert train.labels.dtype == np.int64
    assert (np.bincount(train.labels) + np.bincount(test.labels)).tolist() == counts.tolist()
    assert abs(np.bincount(test.labels) - counts / 5).max() < 1


def test_digits_use_the_whole_range_of_a_byte() -> None:
    images = DigitsReader().read().train.images
    assert (images.min(), images.max()) == (0, 255)


def test_digits_are_the_same_where_scikit_learn_keeps_them_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def table_and_checksum() -> tuple[np.ndarray, list[tuple[str, bytes]]]:
        return DigitsReader().read().train.images, list(DigitsReader().checksums())

    images, checksum = table_and_checksum()
    monkeypatch.setattr(Path, "is_file", lambda self: False)
    other_images, other_checksum = table_and_checksum()
    assert np.array_equal(images, other_images)
    assert checksum == other_checksum


@pytest.mark.parametrize("published", [CIFAR10, CIFAR100])
def test_batches_are_read_as_torchvision_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: Cifar
) -> None:
    cifar = write_batches(tmp_path / published.batches_folder, published)
    theirs = datasets.CIFAR100 if published is CIFAR100 else datasets.CIFAR10
    monkeypatch.setattr(theirs, "train_list", [list(batch) for batch in cifar.train_batches])
    monkeypatch.setattr(theirs, "test_list", [list(batch) for batch in cifar.test_batches])
    monkeypatch.setattr(theirs, "_load_meta", lambda self: None)
    contents = BatchesReader(cifar, tmp_path / cifar.batches_folder).read()
    for is_train, part in ((True, contents.train), (False, contents.test)):
        with warnings.catch_warnings():  # torchvision lets some numpys complain of the old pickles
            warnings.simplefilter("ignore")
            expected = theirs(str(tmp_path), train=is_train)
        assert np.array_equal(part.images.transpose(0, 2, 3, 1), expected.data)
        assert part.labels.tolist() == expected.targets
        assert part.labels.dtype == np.int64
        assert part.images.flags.c_contiguous


class _Malicious:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.trace,)


def test_batch_without_its_published_checksum_is_named_and_never_unpickled(tmp_path: Path) -> None:
    folder, trace = tmp_path / "batches", tmp_path / "it ran"
    cifar = write_batches(folder)
    (folder / "data_batch_3").write_bytes(pickle.dumps(_Malicious(trace)))
    with pytest.raises(DataError, match="data_batch_3 does not have its published checksum: delete the folder batches"):
        BatchesReader(cifar, folder).read()
    assert not trace.exists()
    pickle.loads((folder / "data_batch_3").read_bytes())
    assert trace.exists()  # it would have run


def test_missing_batch_is_named_both_when_planning_and_when_reading(tmp_path: Path) -> None:
    cifar = write_batches(tmp_path / "batches")
    (tmp_path / "batches" / "test_batch").unlink()
    reader = BatchesReader(cifar, tmp_path / "batches")
    for use in (reader.read, lambda: list(reader.checksums())):
        with pytest.raises(DataError, match="test_batch is missing"):
            use()
