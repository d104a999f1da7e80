"""What is wrong in a question file is said in one line: file, line, field, value, what is allowed."""

from pathlib import Path

import pytest

from grid.errors import QuestionError, UserError
from grid.questions.expansion import make_study
from grid.questions.fields import field_value
from grid.questions.question import Profile, SourcedQuestion, catalogue, find_question, read_profiles
from grid.questions.sourced_yaml import read_yaml
from grid.questions.study import Study

HEAD = "title: Which?\nabout: Something.\n"
PROFILE = Profile(about="for tests", dataset="digits", seeds=2, set={"epochs": 3})


def write(tmp_path: Path, text: str, name: str = "mine.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def study(path: Path, **options: object) -> Study:
    arguments: dict[str, object] = {"dataset": "digits", "dataset_label": "digits", "precision": "fp32"} | options
    return make_study(SourcedQuestion(read_yaml(path)), "quick", PROFILE, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cells:\n  - product:\n      optimizer.nam: [adam]\n", "5: optimizer.nam: unknown field; known are name, lr"),
        ("cells:\n  - product:\n      optimiser.lr: [0.1]\n", "5: optimiser: unknown field; known are data, model"),
        (
            "cells:\n  - product:\n      optimizer.name: [adam, adamm]\n",
            "5: optimizer.name: 'adamm' is not one of 'sgd', 'sgd_momentum', 'adagrad', 'adam'",
        ),
        (
            "base:\n  optimizer.lr: -0.1\ncells: [{}]\n",
            "4: optimizer.lr: -0.1 is not allowed: input should be greater than 0",
        ),
        (
            "base:\n  optimizer.lr: .nan\ncells: [{}]\n",
            "4: optimizer.lr: nan is not allowed: input should be a finite number",
        ),
        (
            "base:\n  batch_size: 2.5\ncells: [{}]\n",
            "4: batch_size: 2.5 is not allowed: input should be a valid integer",
        ),
        ("base:\n  batch_size.x: 2\ncells: [{}]\n", "4: batch_size: "),
        (
            "cells:\n  - set: {model.pool_every: 1}\n    product:\n      model.layers_per_block: [2, 6]\n",
            "below one pixel; use pool_every of at least 2",
        ),
        (
            "cells:\n  - product:\n      model.architecture: [resnet50, resnet51]\n",
            "5: model.architecture: 'resnet51' is not one of 'residual_cnn', 'resnet50'",
        ),
        (
            "cells:\n  - set: {model.architecture: resnext50}\n    product:\n      model.cardinality: [32, 7]\n",
            "cardinality 7 does not divide the width 128",
        ),
        (
            "cells:\n  - set: {model.architecture: resnet50, model.filters: [8]}\n",
            "4: model.filters: unknown field; known are architecture, stem",
        ),
        ("cells:\n  - set: {model.architecture: [resnet50]}\n", "4: model.architecture: "),
        (
            "cells: [{}]\nprofiles: {quik: {seeds: 2}}\n",
            "4: profiles: there is no profile 'quik'; there are quick, cpu",
        ),
        (
            "cells: [{}]\nprofiles: {quick: {by_architecture: {resnet51: {epochs: 1}}}}\n",
            "'resnet51' is not one of 'residual_cnn', 'resnet50'",
        ),
        ("cells: [{}]\nanswers: [{asked: a, answer: b, source: c, link: 'javascript:x'}]\n", "4: answers.0.link: "),
        ("cells: []\n", "3: cells: [] is not allowed: list should have at least 1 item"),
        ("cells:\n  - product: {optimizer.lr: []}\n", "4: cells.0.product.optimizer.lr: [] is not allowed"),
        (
            "cells:\n  - products: {optimizer.lr: [1]}\n",
            "4: cells.0.products: unknown field; known are label, winners_of, set, product",
        ),
        ("cellz: []\n", "3: cellz: unknown field; known are title, about"),
        ("", "cells: this field is required"),
        ("cells: [{}]\ncells: [{}]\n", "4: 'cells' is given twice"),
        ("cells: [{}]\naxes: {optimizer.lr: {label: rate}}\n", "4: axes: 'optimizer.lr' is varied by no cell"),
        (
            "cells: [{}]\naxes: {optimizer.lr: {scale: log}}\n",
            "4: axes.optimizer.lr.scale: unknown field; known are label",
        ),
        ("cells:\n  - product: [1, 2\n", "not valid YAML"),
        ("cells: &a [{}]\nbase: *a\n", "4: YAML aliases (*a) are not allowed"),
    ],
)
def test_each_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, HEAD + text)
    with pytest.raises(QuestionError) as error:
        study(path)
    message = str(error.value)
    assert message.startswith(f"{path}:") and expected in message, message
    assert "\n" not in message


def test_a_billion_cells_are_refused_before_they_are_made(tmp_path: Path) -> None:
    rates = ", ".join(str(n) for n in range(1, 1001))
    axes = "".join(f"      {field}: [{rates}]\n" for field in ("optimizer.lr", "epochs", "batch_size"))
    with pytest.raises(QuestionError, match="more than 10,000 arms"):
        study(write(tmp_path, f"{HEAD}cells:\n  - product:\n{axes}"))


def test_a_billion_laughs_are_refused(tmp_path: Path) -> None:
    text = 'a: &a ["lol","lol"]\n' + "".join(
        f"{c}: &{c} [*{p},*{p}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(QuestionError, match="aliases"):
        read_yaml(write(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("UPPER case.yaml", HEAD + "cells: [{}]\n", "rename it"),
        (
            "control.yaml",
            'title: "a\\u0007b"\nabout: x\ncells: [{}]\n',
            ":1: the control character '.x07'",
        ),
        ("list.yaml", "- 1\n", "expected 'field: value' lines, found list"),
        ("empty.yaml", "", "the file is empty"),
        ("large.yaml", "#" * 1_000_001, "larger than"),
    ],
)
def test_unusable_files_are_named(tmp_path: Path, name: str, content: str, expected: str) -> None:
    path = write(tmp_path, content, name)
    with pytest.raises(QuestionError, match=f"{name}.*{expected}"):
        SourcedQuestion(read_yaml(path))


def test_a_missing_file_and_a_binary_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match=r"gone\.yaml: can't be read: No such file"):
        find_question(str(tmp_path / "gone.yaml"))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(QuestionError, match=r"binary\.yaml: not a UTF-8 text file"):
        find_question(str(tmp_path / "binary.yaml"))


def test_a_question_is_found_by_the_start_of_its_name() -> None:
    assert find_question("q2").name == "q2-optimizers"
    with pytest.raises(UserError, match=r"unknown question 'q99'; known are .*q2-optimizers"):
        find_question("q99")


@pytest.mark.parametrize("name", catalogue())
@pytest.mark.parametrize("profile", read_profiles())
def test_each_question_of_the_catalogue_is_complete_in_each_profile(name: str, profile: str) -> None:
    budget = read_profiles()[profile]
    question = find_question(name)
    made = make_study(
        question,
        profile,
        budget,
        dataset=budget.dataset,
        dataset_label=budget.dataset,
        precision="bf16",
        winners={part: {"model.dropout": 0.2} for part in question.question.parts},
    )
    assert len(made.arms) >= 2
    assert len(made.seeds) >= 3
    assert len({arm.label for arm in made.arms}) == len(made.arms)


def test_a_nested_mapping_is_its_fields_and_leaks_into_no_other_arm(tmp_path: Path) -> None:
    text = """base: {model: {skip: false, dropout: 0.3}}
cells:
  - one_at_a_time: {model.pool_every: [1, 2], model.hidden_layer_size: [70]}
"""
    made = study(write(tmp_path, HEAD + text))
    pairs = [(arm.values["model.pool_every"], arm.values["model.hidden_layer_size"]) for arm in made.arms]
    assert pairs == [(2, 120), (1, 120), (2, 70)]
    assert all(not field_value(arm.config, "model.skip") for arm in made.arms)


def test_a_users_question_may_not_take_the_name_of_a_built_in_one(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "cells: [{}]\n", "q2-optimizers.yaml")
    with pytest.raises(QuestionError, match=r"q2-optimizers is a question of the catalogue; give"):
        find_question(str(path))
