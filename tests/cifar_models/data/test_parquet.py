import io
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cifar_models.data.cifar import CIFAR10, CIFAR100
from cifar_models.data.errors import DataError
from cifar_models.data.parquet import ParquetReader
from cifar_models.data.readers import Part
from tests.cifar_models.data.made_data import encoded, noise, write_cifar10_parquet, write_parquet


def write_test_shard(folder: Path) -> None:
    write_parquet(folder / "test-00000-of-00001.parquet", map(encoded, noise(2, seed=9)), [0, 1])


def read_train_shard(folder: Path, images: Iterable[bytes | None], labels: Sequence[object], **columns: str) -> Part:
    write_parquet(folder / "train-00000-of-00001.parquet", images, labels, **columns)
    write_test_shard(folder)
    return ParquetReader(CIFAR10, folder).read().train


def test_lossless_images_come_back_to_the_byte_in_their_order(tmp_path: Path) -> None:
    images, labels = noise(600), [i * 7 % 10 for i in range(600)]
    train = read_train_shard(tmp_path, map(encoded, images), labels)
    assert np.array_equal(train.images, images)
    assert train.labels.tolist() == labels
    assert train.images.dtype == np.uint8
    assert train.labels.dtype == np.int64
    assert train.images.flags.c_contiguous


def test_jpeg_images_are_decoded_as_pillow_does(tmp_path: Path) -> None:
    content = encoded(noise(1)[0], "JPEG")
    train = read_train_shard(tmp_path, [content], [0])
    assert np.array_equal(train.images[0].transpose(1, 2, 0), np.asarray(Image.open(io.BytesIO(content))))


def test_grey_images_become_three_equal_channels(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("L", (32, 32), 77).save(file, "PNG")
    assert (read_train_shard(tmp_path, [file.getvalue()], [0]).images == 77).all()


def test_the_column_may_be_named_image_or_hold_the_bytes_themselves(tmp_path: Path) -> None:
    images = noise(3)
    named = read_train_shard(tmp_path / "named", map(encoded, images), [0, 1, 2], image="image")
    assert np.array_equal(named.images, images)
    (tmp_path / "plain").mkdir()
    table = pa.table({"img": [encoded(image) for image in images], "label": [0, 1, 2]})
    pq.write_table(table, tmp_path / "plain" / "train-0.parquet")
    write_test_shard(tmp_path / "plain")
    assert np.array_equal(ParquetReader(CIFAR10, tmp_path / "plain").read().train.images, images)


def test_shards_are_joined_in_the_order_of_their_names(tmp_path: Path) -> None:
    images = noise(4)
    write_parquet(tmp_path / "train-00001-of-00002.parquet", map(encoded, images[2:]), [2, 3])
    write_parquet(tmp_path / "train-00000-of-00002.parquet", map(encoded, images[:2]), [0, 1])
    write_test_shard(tmp_path)
    train = ParquetReader(CIFAR10, tmp_path).read().train
    assert train.labels.tolist() == [0, 1, 2, 3]
    assert np.array_equal(train.images, images)


def test_cifar100_is_labelled_by_its_fine_labels(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_parquet(tmp_path / f"{part}-0.parquet", map(encoded, noise(2)), [99, 5], label="fine_label")
        table = pq.read_table(tmp_path / f"{part}-0.parquet").append_column("coarse_label", [[19, 1]])
        pq.write_table(table, tmp_path / f"{part}-0.parquet")
    assert ParquetReader(CIFAR100, tmp_path).read().train.labels.tolist() == [99, 5]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train-00000-of-00002.parquet"], "train-00000-of-00002.parquet is one of 2 files, but 1 train-"),
        (["train-00000-of-00001-b4229.parquet", "train-00000-of-00001.parquet"], "is one of 1 files, but 2 train-"),
        ([], "there is no train-"),
    ],
)
def test_missing_and_doubled_shards_are_noticed(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        write_parquet(tmp_path / name, map(encoded, noise(2)), [0, 1])
    write_test_shard(tmp_path)
    with pytest.raises(DataError, match=message):
        ParquetReader(CIFAR10, tmp_path).read()


def test_columns_that_are_found_and_wanted_are_named(tmp_path: Path) -> None:
    write_cifar10_parquet(tmp_path)
    with pytest.raises(DataError, match=r"found the columns img, label, but CIFAR-100 needs img .* and fine_label"):
        ParquetReader(CIFAR100, tmp_path).read()


@pytest.mark.parametrize("label", [-1, 10])
def test_label_out_of_range_is_named_with_its_row(tmp_path: Path, label: int) -> None:
    with pytest.raises(DataError, match=f"row 1: the label is {label}, but CIFAR-10 has 0 to 9"):
        read_train_shard(tmp_path, map(encoded, noise(3)), [0, label, 1])


@pytest.mark.parametrize("labels", [[0, None], ["cat", "dog"], [0.5, 1.0]])
def test_labels_that_are_no_whole_numbers_are_refused(tmp_path: Path, labels: list[object]) -> None:
    with pytest.raises(DataError, match="label must hold whole numbers"):
        read_train_shard(tmp_path, map(encoded, noise(2)), labels)


def test_image_of_another_size_is_named_with_its_row_and_size(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 1: the image is 28x30 pixels, but must be 32x32"):
        read_train_shard(tmp_path, [encoded(noise(1)[0]), encoded(noise(1)[0][:, :30, :28])], [0, 1])


@pytest.mark.parametrize("content", [b"", None, b"no image", encoded(noise(1)[0])[:900], encoded(noise(1)[0])[:30]])
def test_corrupt_image_is_named_with_its_row(tmp_path: Path, content: bytes | None) -> None:
    with pytest.raises(DataError, match=r"train-00000-of-00001.parquet: row 1: not a PNG or JPEG image"):
        read_train_shard(tmp_path, [encoded(noise(1)[0]), content], [0, 1])


def test_column_without_image_files_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"img": [1, 2], "label": [0, 1]}), tmp_path / "train-0.parquet")
    write_test_shard(tmp_path)
    with pytest.raises(DataError, match="the column img holds int64, but must hold image files as bytes"):
        ParquetReader(CIFAR10, tmp_path).read()


def test_damaged_file_is_one_line_that_names_it(tmp_path: Path) -> None:
    write_cifar10_parquet(tmp_path)
    path = tmp_path / "train-00000-of-00001.parquet"
    whole, chance = path.read_bytes(), random.Random(0)
    damaged = [b"", b"version https://git-lfs.github.com/spec/v1", whole[: len(whole) // 2], whole[:-1]]
    for _ in range(60):
        changed = bytearray(whole)
        changed[-chance.randrange(1, 600)] ^= chance.randrange(1, 256)
        damaged.append(bytes(changed))
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            ParquetReader(CIFAR10, tmp_path).read()
        except DataError as error:
            refused += 1
            assert str(path) in str(error)
            assert "\n" not in str(error)
    assert refused > 20
