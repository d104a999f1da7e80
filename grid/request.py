"""What a user asks of one run: which questions, at which budget, on which images; and the plans that follow from it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from cifar_models.config import DatasetName, Frozen
from cifar_models.data import DataError, Dataset, data_fingerprint, load, split
from grid.errors import UserError
from grid.questions.expansion import Winners, make_study
from grid.questions.fields import Overrides, flat_fields
from grid.questions.question import Profile, SourcedQuestion, catalogue, find_question, read_profiles
from grid.questions.sourced_yaml import MAX_KEY, read_value
from grid.questions.study import Study
from grid.records.plan import StudyPlan, make_plan

DATASETS: tuple[str, ...] = get_args(DatasetName)


class Request(Frozen):
    """A user's choices, as the command line names them.

    Attributes:
        questions: Names in the catalogue or paths of files; the whole catalogue if empty.
        profile: Name of the budget.
        dataset: Name of the data set; the profile's if None.
        data_dir: Where the data set is.
        num_seeds: Seeds an arm; the profile's if None.
        settings: `FIELD=VALUE` for all arms.
        precision: `auto`, `bf16` or `fp32`.
        on_gpu: Whether trials run on GPUs, whatever this machine has; None to look.
    """

    questions: tuple[str, ...] = ()
    profile: str = "quick"
    dataset: str | None = None
    data_dir: Path | None = None
    num_seeds: int | None = None
    settings: tuple[str, ...] = ()
    precision: str = "auto"
    on_gpu: bool | None = None

    def dataset_label(self) -> str:
        """What the data set is called on pages and in file names.

        Raises:
            UserError: There is no such profile or data set.
        """
        dataset = self.dataset or self._profile().dataset
        if dataset not in DATASETS:
            raise UserError(f"--dataset: {dataset!r} is not one of {', '.join(DATASETS)}")
        return f"folder-{_file_name(self.data_dir)}" if dataset == "folder" and self.data_dir else dataset

    def _profile(self) -> Profile:
        profiles = read_profiles()
        if self.profile not in profiles:
            raise UserError(f"--profile: {self.profile!r} is not one of {', '.join(profiles)}")
        return profiles[self.profile]

    def sourced(self) -> list[SourcedQuestion]:
        """The questions as they were written, each once.

        Raises:
            UserError: There is no such question, or its file is not usable.
        """
        found = [find_question(name) for name in self.questions or catalogue()]
        questions = {question.source.path.resolve(): question for question in found}
        by_name = {question.name: question for question in questions.values()}
        for question in questions.values():
            if by_name[question.name] is not question:
                raise UserError(
                    f"two questions are called {question.name}: {question.source.path} and "
                    f"{by_name[question.name].source.path}; give one of the files another name"
                )
            _check_parts(question, by_name)
        return list(questions.values())

    def studies(self, questions: Sequence[SourcedQuestion], winners: Winners | None = None) -> list[Study]:
        """Questions at the budget.

        Args:
            questions: Which of them.
            winners: What other questions found, for those that build on it.

        Raises:
            UserError: A choice or a question is not possible.
        """
        profile = self._profile()
        dataset = self.dataset or profile.dataset
        overrides = {field: value for setting in self.settings for field, value in _parse_setting(setting).items()}
        precision = self.precision if self.precision != "auto" else native_precision(self.on_gpu)
        if self.precision != "auto":
            overrides["precision"] = self.precision
        return [
            make_study(
                question,
                self.profile,
                profile,
                dataset=dataset,
                dataset_label=self.dataset_label(),
                precision=precision,
                num_seeds=self.num_seeds,
                overrides=overrides,
                winners=winners,
            )
            for question in questions
        ]

    def plans(self, questions: Sequence[SourcedQuestion], winners: Winners | None = None) -> list[StudyPlan]:
        """Every trial of the studies; reads the data set's bytes, and fetches it first where it has to.

        Raises:
            UserError: A choice, a question or the data is not usable.
        """
        studies = self.studies(questions, winners)
        if not studies:
            return []
        fingerprint = self.data_fingerprint()
        return [make_plan(study, fingerprint) for study in studies]

    def data_fingerprint(self) -> str:
        """Hash of the data set's bytes.

        Raises:
            UserError: The data is not usable.
        """
        try:
            return data_fingerprint(self.dataset or self._profile().dataset, self.data_dir)
        except DataError as error:
            raise UserError(str(error)) from error

    def load_dataset(self, plans: Sequence[StudyPlan]) -> Dataset:
        """The images, after a check that every arm can be trained on them.

        Raises:
            UserError: They can't be read, or are too few for what an arm asks.
        """
        configs = [arm.config for plan in plans for arm in plan.study.arms]
        try:
            dataset = load(configs[0].data.name, self.data_dir)
            if dataset.fingerprint != plans[0].data_fingerprint:
                raise UserError("the data changed while it was read; run the same command again")
            for data in dict.fromkeys(config.data for config in configs):
                num_train = len(split(dataset, data).train_labels)
                batch_size = max(config.batch_size for config in configs if config.data == data)
                if batch_size > num_train:
                    raise UserError(
                        f"batch_size: {batch_size} is more than the {num_train} training images; "
                        "set a smaller one, such as --set batch_size=32"
                    )
        except DataError as error:
            raise UserError(str(error)) from error
        return dataset


def native_precision(on_gpu: bool | None) -> str:
    """The number format that suits where trials run: bf16 where it is fast, else fp32."""
    if on_gpu:
        return "bf16"  # the GPUs may be on other machines than this; current ones all have it
    from cifar_models import device  # torch takes seconds to import

    return device.native_precision(device.default_device())


def _check_parts(question: SourcedQuestion, given: Mapping[str, SourcedQuestion]) -> None:
    """Questions that another builds on have to exist, and to find their winners by runs of their own."""
    for index, block in enumerate(question.question.cells):
        for part in block.winners_of:
            known = part in given or part in catalogue()
            if not known or (given.get(part) or find_question(part)).question.parts:
                message = f"winners_of: {part!r} is not a question that is run and has a winner; known are "
                simple = [name for name in dict.fromkeys([*catalogue(), *given]) if name != question.name]
                raise question.source.error(("cells", index, "winners_of"), message + ", ".join(simple))


def _parse_setting(setting: str) -> Overrides:
    field, equals, value = setting.partition("=")
    if not equals or not re.fullmatch(rf"[\w.]{{1,{MAX_KEY}}}", field, re.ASCII):
        raise UserError(f"--set: {setting!r:.80} is not FIELD=VALUE; an example is --set epochs=10")
    try:
        flat: Overrides = flat_fields({field: read_value(value)})
    except ValueError as error:
        raise UserError(f"--set {setting!r:.80}: {error}") from None
    return flat


def _file_name(folder: Path) -> str:
    """A folder's name with only what is safe in the name of a page."""
    return (
        "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in folder.resolve().name)[:60]
        or "folder"
    )
