"""What a user asks of one run: which questions, at which budget, on which images; and the plans that follow from it."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from cyclopts import Parameter
from pydantic import AfterValidator, Field

from cifar_models.config import DatasetName, Frozen
from grid.errors import UserError
from grid.execution.hardware import native_precision
from grid.execution.resources import Resources, expand_home
from grid.questions.expansion import Winners, make_study
from grid.questions.fields import Overrides, flat_fields
from grid.questions.question import Profile, SourcedQuestion, catalogue, find_question, read_profiles
from grid.questions.sourced_yaml import MAX_KEY, read_value
from grid.questions.study import Study

if TYPE_CHECKING:  # NumPy takes a while to import, and --help does without
    from cifar_models.data import Dataset
    from grid.records.plan import StudyPlan


@Parameter(name="*")
class DataRequest(Frozen):
    """Which images, and at which budget. Their bytes are read once, however often they are asked for.

    Attributes:
        profile: The budget: quick, cpu, night or paper.
        dataset: The data set; the profile's if not given.
        data_dir: Where the data set is; ./data if not given.
    """

    profile: str = "quick"
    dataset: DatasetName | None = None
    data_dir: Annotated[Path, AfterValidator(expand_home)] | None = None

    def dataset_label(self) -> str:
        """What the data set is called on pages and in file names.

        Raises:
            UserError: There is no such profile.
        """
        if self._dataset_name() != "folder" or not self.data_dir:
            return self._dataset_name()
        return f"folder-{re.sub('[^A-Za-z0-9_-]', '-', self.data_dir.resolve().name)[:60] or 'folder'}"

    @cached_property
    def data_fingerprint(self) -> str:
        """Hash of the data set's bytes; fetches it first where it has to.

        Raises:
            UserError: The data is not usable.
        """
        from cifar_models.data import DataError, data_fingerprint

        try:
            return data_fingerprint(self._dataset_name(), self.data_dir)
        except DataError as error:
            raise UserError(str(error)) from error

    def _dataset_name(self) -> DatasetName:
        return self.dataset or self._profile().dataset

    def _profile(self) -> Profile:
        profiles = read_profiles()
        if self.profile not in profiles:
            raise UserError(f"--profile: {self.profile!r} is not one of {', '.join(profiles)}")
        return profiles[self.profile]


class Request(DataRequest):
    """Which questions, what is changed in them, and what their trials may use.

    Attributes:
        seeds: Seeds an arm; the profile's if not given.
        first_seed: The first of them; where an earlier run had other seeds, all are fresh: a replication.
        settings: FIELD=VALUE for every arm, such as epochs=10; may be repeated.
        precision: Number format; auto takes bf16 where the hardware has it.
        vary: What the seed draws too; split: which images are trained on and which are for validation.
        questions: Names in the catalogue or paths of files; the whole catalogue if empty.
        resources: What trials may use.
    """

    seeds: int | None = Field(default=None, ge=1, le=1000)
    first_seed: int = Field(default=0, ge=0, lt=2**31)
    settings: Annotated[tuple[str, ...], Parameter(name="--set", metavar="FIELD=VALUE", show_default=False)] = ()
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    vary: Literal["split"] | None = None
    questions: Annotated[tuple[str, ...], Parameter(parse=False)] = ()
    resources: Annotated[Resources, Parameter(parse=False)] = Resources()

    def of(self, questions: Sequence[str], resources: Resources) -> Self:
        """The request for some questions, whose trials may use what `resources` says."""
        return self.model_copy(update={"questions": tuple(questions), "resources": resources})

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
        overrides = {field: value for setting in self.settings for field, value in _parse_setting(setting).items()}
        precision = self.precision
        if precision == "auto":
            precision = native_precision(self.resources.gpus)
        else:
            overrides["precision"] = precision
        studies = [
            make_study(
                question,
                self.profile,
                self._profile(),
                dataset=self._dataset_name(),
                dataset_label=self.dataset_label(),
                precision=precision,
                num_seeds=self.seeds,
                first_seed=self.first_seed,
                overrides=overrides,
                winners=winners,
            )
            for question in questions
        ]
        if self.vary is None:
            return studies
        if any(arm.config.data.test_size is not None for study in studies for arm in study.arms):
            raise UserError("--vary split: with data.test_size set, each seed would be tested on images of its own")
        return [study.model_copy(update={"vary": (self.vary,)}) for study in studies]

    def load_dataset(self, plans: "Sequence[StudyPlan]") -> "Dataset":
        """The images, after a check that every arm can be trained on them.

        Raises:
            UserError: They can't be read, or are too few for what an arm asks.
        """
        from cifar_models.data import DataError, split

        configs = [arm.config for plan in plans for arm in plan.study.arms]
        try:
            for data in dict.fromkeys(config.data for config in configs):
                num_train = len(split(self._images, data).train_labels)
                batch_size = max(config.batch_size for config in configs if config.data == data)
                if batch_size > num_train:
                    raise UserError(
                        f"batch_size: {batch_size} is more than the {num_train} training images; "
                        "set a smaller one, such as --set batch_size=32"
                    )
            return self._images
        except DataError as error:
            raise UserError(str(error)) from error

    @cached_property
    def _images(self) -> "Dataset":
        from cifar_models.data import load

        dataset = load(self._dataset_name(), self.data_dir, known_fingerprint=self.data_fingerprint)
        if dataset.fingerprint != self.data_fingerprint:
            raise UserError("the data changed while it was read; run the same command again")
        return dataset


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
        values: Overrides = flat_fields({field: read_value(value)})
    except ValueError as error:
        raise UserError(f"--set {setting!r:.80}: {error}") from None
    return values
