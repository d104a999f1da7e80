from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cifar_models.data.errors import DataError
from cifar_models.data.folder import FolderReader
from tests.cifar_models.data.made_data import write_class_folders


def checksums(root: Path) -> list[tuple[str, bytes]]:
    return list(FolderReader(root).checksums())


def first_train_image(root: Path, image: Image.Image, name: str = "a.png", **options: Any) -> np.ndarray:
    """What becomes of one image: the first of the first class of a divided folder."""
    write_class_folders(root / "train", {"second": 1})
    write_class_folders(root / "test", {"first": 1, "second": 1})
    (root / "train" / "first").mkdir()
    image.save(root / "train" / "first" / name, **options)
    pixels: np.ndarray = FolderReader(root).read().train.images[0].transpose(1, 2, 0)
    return pixels


def test_divided_folder_keeps_its_division_with_classes_by_name(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "train", {"pear": 3, "apple": 2})
    write_class_folders(tmp_path / "test", {"apple": 1, "pear": 2})
    classes, train, test = FolderReader(tmp_path).read()
    assert classes == ("apple", "pear")
    assert train.labels.tolist() == [0, 0, 1, 1, 1]
    assert test.labels.tolist() == [0, 1, 1]
    assert train.images.shape == (5, 3, 32, 32)
    assert train.images.dtype == np.uint8
    expected = np.asarray(Image.open(tmp_path / "train" / "pear" / "001.png"))
    assert np.array_equal(train.images[3].transpose(1, 2, 0), expected)


def test_undivided_folder_sets_a_fixed_fifth_of_each_class_aside(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"apple": 10, "pear": 15})
    _, train, test = FolderReader(tmp_path).read()
    assert np.bincount(train.labels).tolist() == [8, 12]
    assert np.bincount(test.labels).tolist() == [2, 3]
    assert len({image.tobytes() for part in (train, test) for image in part.images}) == 25
    assert np.array_equal(test.images, FolderReader(tmp_path).read().test.images)


def test_nothing_depends_on_the_order_in_which_the_file_system_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_class_folders(tmp_path, {"b": 6, "a": 6, "c": 6})
    before, checksums_before = FolderReader(tmp_path).read(), checksums(tmp_path)
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(sorted(listed(self), reverse=True)))
    after = FolderReader(tmp_path).read()
    assert after.classes == before.classes == ("a", "b", "c")
    assert np.array_equal(after.train.images, before.train.images)
    assert checksums(tmp_path) == checksums_before


def test_hidden_files_other_files_and_deeper_folders_are_ignored(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"a": 5, "b": 5})
    before = checksums(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").write_text("no class")
    (tmp_path / "a" / "._000.png").write_bytes(b"what macOS leaves")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    write_class_folders(tmp_path / "a" / "deeper", {"x": 1})
    assert checksums(tmp_path) == before
    assert len(FolderReader(tmp_path).read().train.images) == 8


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"train": 5, "tram": 5})
    assert FolderReader(tmp_path).read().classes == ("train", "tram")


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.jpeg", "a.bmp", "a.webp", "a.tif", "a.PPM"])
def test_every_kind_of_file_is_read(tmp_path: Path, name: str) -> None:
    image = first_train_image(tmp_path, Image.new("RGB", (40, 40), (200, 100, 50)), name)
    assert abs(image.astype(int) - (200, 100, 50)).max() <= 3  # JPEG and WebP lose a little


@pytest.mark.parametrize("size", [(96, 32), (32, 96), (300, 100)])
def test_the_middle_square_is_kept(tmp_path: Path, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, "red")
    side = min(size)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    image.paste((0, 0, 255), (left, top, left + side, top + side))
    pixels = first_train_image(tmp_path, image)
    assert (pixels[2:-2, 2:-2] == (0, 0, 255)).all()


def test_shrinking_averages_instead_of_skipping_pixels(tmp_path: Path) -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = first_train_image(tmp_path, Image.fromarray(stripes))
    assert (abs(pixels[:, 2:-2].astype(int) - 128) <= 2).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (5, 3)])
def test_tiny_images_are_enlarged(tmp_path: Path, size: tuple[int, int]) -> None:
    assert (first_train_image(tmp_path, Image.new("RGB", size, (9, 8, 7))) == (9, 8, 7)).all()


def test_photos_are_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 32), "black")
    image.paste("white", (0, 0, 32, 16))  # the upper half
    orientation = Image.Exif()
    orientation[0x0112] = 6  # turn by 90 degrees clockwise to see it upright: above becomes right
    pixels = first_train_image(tmp_path, image, exif=orientation)
    assert (pixels[:, 17:] == 255).all()
    assert (pixels[:, :15] == 0).all()


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK"])
def test_other_colour_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    name = "a.tif" if mode == "CMYK" else "a.png"
    image = Image.new("RGB", (32, 32), "white").convert(mode)
    assert (first_train_image(tmp_path, image, name) == 255).all()


def test_transparent_parts_become_white(tmp_path: Path) -> None:
    assert (first_train_image(tmp_path, Image.new("RGBA", (32, 32), (255, 0, 0, 0))) == 255).all()


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_more_than_eight_bits_are_refused_not_clipped(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (32, 32))
    with pytest.raises(DataError, match=r"a\.tif: the image has more than 8 bits a channel"):
        first_train_image(tmp_path, image, "a.tif")


def test_corrupt_image_is_named(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"a": 5, "b": 5})
    path = tmp_path / "b" / "003.png"
    for content in (b"", b"no image", path.read_bytes()[:1000]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"b/003\.png: not an image that can be decoded"):
            FolderReader(tmp_path).read()


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "found no class folders"),
        ({"only": 5}, "found only the class folder only"),
        ({"a": 5, "b": 0}, "b: found no images"),
        ({"a": 5, "b": 4}, "b: 4 images are too few to set a fifth aside"),
        ({f"{i:03}": 5 for i in range(257)}, "found 257 class folders; at most 256"),
        ({"train/a": 1, "train/b": 1}, "train/ holds class folders but test/ does not"),
        ({"test/a": 1, "test/b": 1}, "test/ holds class folders but train/ does not"),
        ({"train/a": 1, "train/b": 1, "test/a": 1, "test/c": 1}, "test/ has no class folder b"),
        ({"train/a": 1, "train/b": 1, "test/a": 1, "test/b": 1, "test/c": 1}, "train/ has no class folder c"),
        ({"train/a": 1, "train/b": 1, "test/a": 1}, "test: found only the class folder a"),
    ],
)
def test_folders_that_cannot_be_used_say_why(tmp_path: Path, counts: dict[str, int], message: str) -> None:
    write_class_folders(tmp_path, counts, size=(1, 1))
    with pytest.raises(DataError, match=message):
        FolderReader(tmp_path).read()


def test_256_classes_are_possible(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {f"{i:03}": 5 for i in range(256)}, size=(1, 1))
    _, train, test = FolderReader(tmp_path).read()
    assert (np.bincount(train.labels) == 4).all()
    assert (np.bincount(test.labels) == 1).all()
