import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cifar_models.config import AugmentationConfig, TrainConfig
from grid.questions.study import Arm, Study
from grid.records.files import Folder
from grid.report.samples import DIGITS, GAP, NUM_DRAWS, SCALE, WIDE_GAP, find_samples, write_samples

REPORT = {"color_jitter": 0.3, "rotation": 0.3, "flip": 0.3}
SIZE = 32 * SCALE


def augmented_study(arms: dict[str, dict[str, Any]]) -> Study:
    """A study with an arm for each augmentation."""
    return Study(
        question="small",
        title="Does it help?",
        about="Some arms.",
        profile="quick",
        dataset="digits",
        axes=(),
        arms=tuple(
            Arm(label=label, values={}, config=TrainConfig(augmentation=AugmentationConfig.model_validate(changes)))
            for label, changes in arms.items()
        ),
        seeds=(0,),
    )


def tiles(path: Path) -> np.ndarray[Any, Any]:
    """The images of a strip as bytes, `(rows, columns, H, W, 4)`, each pixel once."""
    picture = np.asarray(Image.open(path))
    rows = []
    for row in range(len(DIGITS)):
        lefts = [0, *(SIZE + WIDE_GAP + column * (SIZE + GAP) for column in range(NUM_DRAWS))]
        top = row * (SIZE + GAP)
        rows.append([picture[top : top + SIZE : SCALE, left : left + SIZE : SCALE] for left in lefts])
    return np.array(rows)


def test_every_augmentation_has_a_strip_and_arms_that_share_one_share_it(tmp_path: Path) -> None:
    study = augmented_study(
        {
            "none": {},
            "added": {"mode": "added", **REPORT},
            "in place": REPORT,
            "crop": {"crop_padding": 4, "flip": 0.5},
        }
    )
    strips = write_samples(study, Folder(tmp_path / "new"))
    assert [strip.labels for strip in strips] == [("added", "in place"), ("crop",)]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(strip.file for strip in strips)
    assert all(strip.file.startswith(f"{study.name}-augmented-") for strip in strips)
    assert find_samples(study, Folder(tmp_path / "new")) == strips


def test_a_study_without_augmentation_has_no_strip(tmp_path: Path) -> None:
    assert write_samples(augmented_study({"none": {}}), Folder(tmp_path / "new")) == []
    assert not (tmp_path / "new").exists()


def test_strips_of_another_configuration_are_not_found(tmp_path: Path) -> None:
    write_samples(augmented_study({"flipped": {"flip": 1}}), Folder(tmp_path))
    assert find_samples(augmented_study({"flipped": {"flip": 0.5}}), Folder(tmp_path)) == []


def test_originals_come_first_and_draws_are_what_the_configuration_says(tmp_path: Path) -> None:
    flipped, jittered = write_samples(
        augmented_study({"flipped": {"flip": 1}, "jittered": {"color_jitter": 1}}), Folder(tmp_path)
    )
    images = tiles(tmp_path / flipped.file)
    assert (images[:, 1:] == images[:, :1, :, ::-1]).all()
    colored = tiles(tmp_path / jittered.file)
    assert (colored[:, 0] == images[:, 0]).all()
    assert (colored[:, 1:] != images[:, :1]).any(axis=(2, 3, 4)).all()


def test_every_change_shows_on_the_tinted_digits(tmp_path: Path) -> None:
    for changes in ({"color_jitter": 1}, {"rotation": 1}, {"flip": 1}, {"crop_padding": 4}):
        strip = write_samples(augmented_study({"one": changes}), Folder(tmp_path))[0]
        images = tiles(tmp_path / strip.file)
        # not quite all: a turn of less than two degrees moves no pixel to another place
        assert (images[:, 1:] != images[:, :1]).any(axis=(2, 3, 4)).mean() > 0.8
    original = tiles(tmp_path / strip.file)[:, 0, ..., :3].astype(int)
    paper = original[:, 0, 0]
    assert (paper.max(axis=-1) - paper.min(axis=-1) > 60).all()  # far from grey: hue and saturation show
    assert original.max(axis=-1).min() > 60  # never black: what a rotation or a crop leaves black shows


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    study = augmented_study({"report": REPORT})
    first, again = (write_samples(study, Folder(tmp_path / name))[0].file for name in ("first", "again"))
    assert (tmp_path / "first" / first).read_bytes() == (tmp_path / "again" / again).read_bytes()


@pytest.mark.parametrize("dataset", ["cifar10", "folder"])
def test_the_data_set_of_the_run_is_never_read(tmp_path: Path, dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = augmented_study({"report": REPORT})
    assert {arm.config.data.name for arm in study.arms} == {"cifar10"}
    names = []

    def watched(name: str, *args: Any) -> Any:
        names.append(name)
        return load(name, *args)

    from cifar_models.data import load

    monkeypatch.setattr("grid.report.samples.load", watched)
    write_samples(study.model_copy(update={"dataset": dataset}), Folder(tmp_path))
    assert names == ["digits"]


def test_strips_are_found_without_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from grid.records.files import Folder;"
        "from grid.report.samples import find_samples;"
        "from tests.grid.report.test_samples import augmented_study;"
        "find_samples(augmented_study({'flipped': {'flip': 1}}), Folder(Path()));"
        "print({'torch', 'ray'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
