"""The test images that only one of two arms gets right, as one page for the user's own eyes.

Images of a data set may often not be passed on, while a results folder is made to be: so nothing of them is ever kept
there, and the page is written where the user says. It is made from the user's own copy of the data, without torch.
"""

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cifar_models.data import DataError, load, split
from grid.errors import UserError
from grid.formats import plural, quoted
from grid.questions.study import Study, matching_arms
from grid.records.files import Folder
from grid.records.plan import StudyPlan
from grid.records.results_folder import ResultsFolder
from grid.report.pages import sheet

MOST = 60
"""Images of each side that are shown."""


@dataclass(frozen=True)
class Shown:
    """One image.

    Attributes:
        source: It, as a `data:` URL of a PNG.
        index: Its place in the test set.
        label: Its true class.
        said: What each of the two arms takes it for: a class, and how many seeds do where they are not all.
    """

    source: str
    index: int
    label: str
    said: tuple[str, str]


@dataclass(frozen=True)
class Side:
    """The images on which one arm is ahead: of how many seeds it gets right, the most first.

    Attributes:
        winner: Label of the arm.
        total: Number of the images.
        shown: The first of them.
    """

    winner: str
    total: int
    shown: tuple[Shown, ...]


def write_disagreements(
    folder: ResultsFolder, name: str, labels: tuple[str, str], data_dir: Path | None, to: Path
) -> Path:
    """Writes the page.

    Args:
        folder: Where the arms were trained.
        name: Of the study, or how it starts.
        labels: Of the two arms, as on the study's page, or a part of them that no other arm has.
        data_dir: Where the data set is.
        to: The file; an earlier one is replaced. It may not be below the results folder.

    Returns:
        The file.

    Raises:
        UserError: There is no such study or arm, the two share no seed, the data is not there or not what was trained
            on, or the page can't be written.
    """
    if to.resolve().is_relative_to(folder.root.resolve()):
        raise UserError(f"--to {to}: results are passed on, images of a data set may not be; write to another folder")
    plan = _find_plan(folder.read_plans(), name)
    first, second = (_find_arm(plan.study, label) for label in labels)
    if first == second:
        raise UserError(f"{labels[0]!r} and {labels[1]!r} are the same arm; name two")
    answers = _answers(folder, plan, first, second)
    images, truth, classes = _test_images(plan, first, data_dir)
    predicted = answers[1:]
    if not np.array_equal(truth, answers[0]) or max(of.max() for of in predicted) >= len(classes):
        raise UserError(f"{plan.study.name}: its trials were tested on other images; run the question again")
    # in how many more seeds the first is right than the second
    ahead = (predicted[0] == truth).sum(axis=0) - (predicted[1] == truth).sum(axis=0)
    sides = []
    for place, lead in enumerate((ahead, -ahead)):
        order = np.argsort(-lead, kind="stable")[: np.count_nonzero(lead > 0)]
        shown = tuple(
            Shown(
                _data_url(images[index]),
                int(index),
                classes[truth[index]],
                (_said(predicted[0][:, index], classes), _said(predicted[1][:, index], classes)),
            )
            for index in order[:MOST]
        )
        sides.append(Side(plan.study.arms[(first, second)[place]].label, len(order), shown))
    content = sheet(study=plan.study, sides=sides, seeds=plural(len(predicted[0]), "seed"), total=len(truth))
    try:
        Folder(to.parent).write(to.name, content)
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}; give another file with --to") from error
    return to


def _find_plan(plans: Sequence[StudyPlan], name: str) -> StudyPlan:
    names = [plan.study.name for plan in plans]
    found = [plan for plan in plans if plan.study.name == name] or [
        plan for plan in plans if plan.study.name.startswith(name)
    ]
    if len(found) != 1:
        problem = "starts with" if not found else "is alone in starting with"
        raise UserError(f"no study {problem} {name!r}; there are {', '.join(names)}")
    return found[0]


def _find_arm(study: Study, label: str) -> int:
    """The arm that goes by a label, or the only one whose label holds it."""
    exact = matching_arms(study, label)
    found = exact or [i for i, arm in enumerate(study.arms) if label.casefold() in arm.label.casefold()]
    if len(found) != 1:
        problem = f"{len(found)} arms have" if found else "no arm has"
        arms = "; ".join(quoted(study.arms[i].label) for i in found or range(len(study.arms)))
        raise UserError(f"{problem} {label!r} in its label; there are {arms}")
    return found[0]


def _answers(
    folder: ResultsFolder, plan: StudyPlan, *arms: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """True class of each of N test images, `(N,)`, and what each of two arms predicts on S shared seeds, `(S, N)`."""
    trials = [trial for trial in plan.trials if trial.stage == "full" and trial.arm in arms]
    ok = {key for key, record in folder.ledger.read(t.fingerprint for t in trials).items() if record.status == "ok"}
    keys = {(trial.arm, trial.seed): trial.fingerprint for trial in trials if trial.fingerprint in ok}
    seeds = sorted(seed for arm, seed in keys if arm == arms[0] and (arms[1], seed) in keys)
    if not seeds:
        names = " and ".join(quoted(plan.study.arms[arm].label) for arm in arms)
        raise UserError(f"{names} have no seed yet that both were trained with; run the question to its end")
    found = [[folder.ledger.predictions(keys[arm, seed]) for seed in seeds] for arm in arms]
    first, second = (np.stack([arrays["predicted"] for arrays in of]) for of in found)
    return found[0][0]["label"], first, second


def _test_images(
    plan: StudyPlan, arm: int, data_dir: Path | None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[Any], Sequence[str]]:
    """The test images, `(N, 3, 32, 32)`, their true classes, `(N,)`, and the names of the classes."""
    config = plan.study.arms[arm].config.data
    try:
        dataset = load(config.name, data_dir, download=False)
        if dataset.fingerprint != plan.data_fingerprint:
            raise UserError(
                f"the data here is not the data that {plan.study.name} was trained on; give its folder with --data-dir"
            )
        parts = split(dataset, config)
    except DataError as error:
        raise UserError(str(error)) from error
    return parts.test_images, parts.test_labels, dataset.classes


def _said(predicted: npt.NDArray[Any], classes: Sequence[str]) -> str:
    """What an arm takes an image for: `cat`, or `cat 2, dog 1` where its seeds differ."""
    counts = Counter(predicted.tolist()).most_common()
    return classes[counts[0][0]] if len(counts) == 1 else ", ".join(f"{classes[of]} {times}" for of, times in counts)


def _data_url(image: npt.NDArray[np.uint8]) -> str:
    packed = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(packed, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()}"
