import pytest
from torchvision import datasets

from cifar_models.data.cifar import CIFAR10, CIFAR100, Cifar


@pytest.mark.parametrize(("ours", "torchvisions"), [(CIFAR10, datasets.CIFAR10), (CIFAR100, datasets.CIFAR100)])
def test_file_names_and_checksums_are_torchvisions(ours: Cifar, torchvisions: type[datasets.CIFAR10]) -> None:
    assert ours.batches_folder == torchvisions.base_folder
    assert [list(batch) for batch in ours.train_batches] == torchvisions.train_list
    assert [list(batch) for batch in ours.test_batches] == torchvisions.test_list


def test_cifar100_has_a_hundred_classes_in_alphabetical_order() -> None:
    assert len(set(CIFAR100.classes)) == 100
    assert list(CIFAR100.classes) == sorted(CIFAR100.classes)
    # The hub's data card: 19 is cattle, 49 is mountain.
    assert (CIFAR100.classes[19], CIFAR100.classes[49]) == ("cattle", "mountain")


def test_cifar10_has_its_ten_classes_in_alphabetical_order() -> None:
    assert list(CIFAR10.classes) == sorted(CIFAR10.classes)
    assert len(CIFAR10.classes) == 10
