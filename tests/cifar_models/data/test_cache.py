"""Decoded images that are kept: the same as decoded ones, and never taken from a file that is damaged or another's."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_models.data import Dataset, cache, data_fingerprint, dataset, load

NUM_CLASSES, NUM_IMAGES = 2, 6


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of class folders of noise; the cache is a folder beside it."""
    monkeypatch.setenv("CIFAR_GRID_CACHE", str(tmp_path / "cache"))
    draw = np.random.RandomState(0)
    for name in range(NUM_CLASSES):
        (tmp_path / "images" / f"class {name}").mkdir(parents=True)
        for number in range(NUM_IMAGES):
            image = Image.fromarray(draw.randint(0, 256, (32, 32, 3)).astype(np.uint8))
            image.save(tmp_path / "images" / f"class {name}" / f"{number}.png")
    return tmp_path / "images"


def kept(images: Path) -> Path:
    (path,) = (images.parent / "cache").iterdir()
    return path


def assert_equal(one: Dataset, other: Dataset) -> None:
    assert (one.classes, one.fingerprint) == (other.classes, other.fingerprint)
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.dtype == theirs.dtype and np.array_equal(mine, theirs)


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cifar_models.data.folder.decode_all", lambda *_: pytest.fail("decoded again"))


def test_the_second_time_nothing_is_decoded_and_all_is_the_same(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load("folder", images)
    forbid_decoding(monkeypatch)
    assert_equal(load("folder", images), first)
    monkeypatch.setattr(dataset, "_fingerprint", lambda reader: pytest.fail("read again"))
    assert_equal(load("folder", images, known_fingerprint=first.fingerprint), first)
    assert kept(images).stat().st_mode & 0o77 == 0


def test_data_that_changed_is_decoded_anew(images: Path) -> None:
    first = load("folder", images)
    (images / "class 0" / "new.png").write_bytes((images / "class 0" / "0.png").read_bytes())
    assert len(load("folder", images).train_labels) > len(first.train_labels)
    assert len(list((images.parent / "cache").iterdir())) == 2


@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "header", "sizes", "link", "pipe", "folder", "another key"])
def test_a_file_that_is_damaged_or_foreign_is_not_used(images: Path, damage: str) -> None:
    first = load("folder", images)
    path = kept(images)
    content = bytearray(path.read_bytes())
    path.unlink()
    match damage:
        case "bit":
            content[-1000] ^= 1
        case "cut":
            del content[-1:]
        case "empty":
            content.clear()
        case "header":
            content[len(cache.MAGIC) : len(cache.MAGIC) + 5] = b"[" * 5
        case "sizes":
            content = bytearray(bytes(content).replace(b'"sizes": [8, 4]', b'"sizes": [-1,4]'))
        case "another key":
            content = bytearray(bytes(content).replace(path.stem.encode(), b"0" * 32))
    if damage == "link":
        elsewhere = images.parent / "elsewhere"
        elsewhere.write_bytes(content)
        path.symlink_to(elsewhere)
    elif damage == "pipe":
        os.mkfifo(path)
    elif damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(content)
    assert_equal(load("folder", images), first)
    if damage == "link":
        assert elsewhere.read_bytes() == content and not path.is_symlink(), "the link was replaced, not followed"


def test_where_nothing_can_be_written_data_is_decoded_each_time(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR_GRID_CACHE", str(images.parent / "cache" / "file"))
    (images.parent / "cache").mkdir()
    (images.parent / "cache" / "file").touch()
    assert_equal(load("folder", images), load("folder", images))
    assert [path.name for path in (images.parent / "cache").iterdir()] == ["file"]


def test_nothing_is_kept_where_that_is_not_wanted_or_not_worth_it(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("digits", None)
    monkeypatch.setenv("CIFAR_GRID_CACHE", "off")
    load("folder", images)
    assert not (images.parent / "cache").exists()


def test_processes_that_keep_the_same_images_leave_one_whole_file(images: Path) -> None:
    with multiprocessing.get_context("forkserver").Pool(4) as pool:
        pool.starmap(load, [("folder", images)] * 8)
    assert kept(images).suffix == ".images"
    assert cache.read_kept(data_fingerprint("folder", images)) is not None


def test_another_version_of_what_decodes_decodes_anew(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load("folder", images)
    monkeypatch.setattr(cache, "pillow_version", "another")
    load("folder", images)
    assert len(list((images.parent / "cache").iterdir())) == 2


def test_what_no_run_has_used_for_long_is_removed(images: Path) -> None:
    load("folder", images)
    old = kept(images).rename(kept(images).with_stem("0" * 32))
    os.utime(old, (0, 0))
    (images.parent / "cache" / "note.txt").touch()
    load("folder", images)
    assert not old.exists() and (images.parent / "cache" / "note.txt").exists()
