"""A hostile question file ends in one line, before it costs time or memory, or is taken as the text that it is."""

import os
from pathlib import Path

import pytest
import yaml

from grid.errors import UserError
from grid.questions.question import Question, find_question
from grid.questions.sourced_yaml import MAX_MESSAGE, UNSAFE
from tests.grid.questions.test_question import HEAD, study, write

RATES = ", ".join(f"{n / 10_000}" for n in range(1, 2001))
HTML = "<img src=x onerror=alert(1)>"


def refusal(path: Path, **options: object) -> str:
    """The one line that refuses a question."""
    with pytest.raises(UserError) as error:
        study(path, **options)
    message = str(error.value)
    assert "\n" not in message and not UNSAFE.search(message), message
    assert len(message) < MAX_MESSAGE + len(str(path)) + 50
    return message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cells: [{winners_of: [../../etc/passwd]}]\n", "3: cells.0.winners_of.0: '../../etc/passwd' is not allowed"),
        ("cells: [{winners_of: ['q2\\n']}]\n", "is not allowed"),
        ("cells: [{}]\nprofiles: {../quick: {seeds: 2}}\n", "4: profiles: there is no profile '../quick'"),
        (
            "cells: [{}]\nclaims: [{name: ../x, says: a, source: b, fit: {arm: base, is: overfit}}]\n",
            "4: claims.0.name: '../x' is not allowed",
        ),
        ('cells: [{label: "a\\u001b[2Jb"}]\n', "3: the control character '\\x1b' is not allowed in text"),
        ('cells: [{label: "a\\0b"}]\n', "3: the control character '\\x00'"),
        ('cells: [{label: "a\\u009bb"}]\n', "3: the control character '\\x9b'"),
        ('cells: [{label: "a\\u202eb"}]\n', "3: the control character '\\u202e'"),
        ('cells: [{label: "a\\ud800b"}]\n', "3: the control character '\\ud800'"),
        ('"ce\\rlls": [{}]\n', "3: the control character '\\r'"),
        ('"ce\\nlls": [{}]\n', "3: 'ce\\nlls' is no field"),
        (f'"{"x" * 1000}": 1\n', "is no field; names have at most 80"),
        (f"base: {{? {'a.' * 5000}b : 1}}\ncells: [{{}}]\n", "is no field"),
        (f"base: {{{'a.' * 39}b: 1}}\ncells: [{{}}]\n", "3: a: unknown field"),
        ("cells: [{}]\n\x07", "4: the control character '\\x07' is not allowed"),
        ("cells: [{}]\n\x00", "4: the control character '\\x00' is not allowed"),
        ("cells: [{}]\nbase: {1: 2}\n", "4: '1' names a field; put it in quotes"),
        ("cells: [{}]\nbase: {null: 2}\n", "4: 'null' names a field; put it in quotes"),
        ("cells: [{}]\nbase: {<<: {epochs: 2}}\n", "4: '<<' is YAML for a merge; put text in quotes"),
        ("cells: [{}]\nbase: {[a]: 2}\n", "4: a list or a mapping can't be the name of a field"),
        ("cells: [{}]\nbase: {{a: b}: 2}\n", "4: a list or a mapping can't be the name of a field"),
        ("cells: [{label: 2020-01-01}]\n", "3: '2020-01-01' is YAML for a timestamp; put text in quotes"),
        ("cells: [{label: 2020-99-99}]\n", "3: '2020-99-99' is YAML for a timestamp; put text in quotes"),
        ("cells: [{label: =}]\n", "3: '=' is YAML for a value; put text in quotes"),
        ("cells: [{}]\nbase: {epochs: 0x_}\n", "not usable as YAML: invalid literal for int()"),
        ("cells: !!python/object/apply:os.system [id]\n", "3: YAML tags (such as !!int) are not allowed"),
        ("cells: [{}]\nbase: {optimizer.lr: !!float ''}\n", "4: YAML tags"),
        ("cells: !!set {a, b}\n", "3: YAML tags"),
        ("cells: !!binary aGVsbG8=\n", "3: YAML tags"),
        ("cells: [{}]\n---\ncells: [{}]\n", "not valid YAML: but found another document"),
        ("cells: [{}]\n  x: y\n", "4: not valid YAML"),
        ("cells: [{}]\n\tx: y\n", "4: not valid YAML"),
        ("cells: [{}]\ncells: [{}]\n", "4: 'cells' is given twice; keep one of them"),
        ("cells: [{}]\n'cells': [{}]\n", "4: 'cells' is given twice"),
        ("base: {model: {skip: true, skip: true}}\ncells: [{}]\n", "3: 'skip' is given twice"),
        ("base: {model.skip: true, model: {skip: true}}\ncells: [{}]\n", "3: base: model.skip is given twice"),
        ("base: {model: {}}\ncells: [{}]\n", "3: base: model: {} sets no field; leave it out"),
        ("base: {optimizer.lr: .inf}\ncells: [{}]\n", "3: optimizer.lr: inf is not allowed"),
        ("base: {optimizer.lr: 1.0e+999}\ncells: [{}]\n", "3: optimizer.lr: inf is not allowed"),
        ("base: {optimizer.lr: 1e999}\ncells: [{}]\n", "3: optimizer.lr: '1e999' is not allowed"),
        ("cells: [{product: {optimizer.lr: [0.1, -.inf]}}]\n", "3: optimizer.lr: -inf is not allowed"),
        ("cells: [{one_at_a_time: {model.dropout: [.nan]}}]\n", "3: model.dropout: nan is not allowed"),
        (f"base: {{epochs: {'9' * 5000}}}\ncells: [{{}}]\n", "3: a number of more than 100 characters"),
        (f"base: {{epochs: 0x{'f' * 5000}}}\ncells: [{{}}]\n", "3: a number of more than 100 characters"),
        (f"base: {{batch_size: {'9' * 90}}}\ncells: [{{}}]\n", "3: batch_size: 99999"),
        (f"base: {{optimizer.lr: '{'9' * 5000}'}}\ncells: [{{}}]\n", "3: optimizer.lr: '99999"),
        (f"base: {{model.architecture: {'a' * 5000}}}\ncells: [{{}}]\n", "3: model.architecture: 'aaaa"),
        (f"cells: [{{label: {'a' * 5000}}}]\n", "3: cells.0.label: 'aaaa"),
    ],
)
def test_what_a_question_may_not_hold_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    message = refusal(write(tmp_path, HEAD + text))
    assert expected in message, message


@pytest.mark.parametrize(
    "nested",
    ["[" * 40_000, "{a: " * 20_000, "- " * 40_000, "\n".join(" " * n + "a:" for n in range(1, 400)), "? " * 40_000],
    ids=["lists", "mappings", "dashes", "indented", "keys"],
)
def test_deep_nesting_is_refused_where_it_becomes_too_deep(tmp_path: Path, nested: str) -> None:
    assert "more than 16 levels of lists and mappings" in refusal(write(tmp_path, f"{HEAD}base:\n {nested}"))


@pytest.mark.parametrize(
    "text",
    [
        'a: &a ["lol", "lol"]\n' + "".join(f"{c}: &{c} [*{p}, *{p}]\n" for p, c in zip("abcde", "bcdef", strict=True)),
        "base: &b {epochs: 2}\ncells: [{set: {<<: *b}}]\n",
        "cells: &c [*c]\n",
    ],
    ids=["laughs", "merge", "endless"],
)
def test_aliases_are_refused_at_the_first(tmp_path: Path, text: str) -> None:
    message = refusal(write(tmp_path, HEAD + text))
    assert "YAML aliases (*" in message and "not allowed; write the value out" in message


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (f"  - product: {{optimizer.lr: [{RATES}], model.dropout: [{RATES}], optimizer.l1: [{RATES}]}}\n", "10,000"),
        ("  - product: {" + ", ".join(f"a{n}: [1, 2]" for n in range(3000)) + "}\n", "more than 10,000 arms"),
        (f"  - product: {{optimizer.lr: [{RATES}]}}\n    one_at_a_time: {{epochs: [{RATES}]}}\n", "10,000 arms"),
        ("  - product: {optimizer.lr: [1, 2], epochs: [1, 2, 3, 4]}\n" * 1300, "more than 10,000 arms"),
        (f"  - product: {{optimizer.lr: [{RATES}]}}\nprofiles: {{quick: {{seeds: 1000}}}}\n", "2,000 arms with 1,000"),
        (
            f"  - product: {{optimizer.lr: [{RATES}], optimizer.l1: [0, 1, 2]}}\n"
            "    set: {" + ", ".join(f"a{n}: 1" for n in range(5000)) + "}\n",
            "a0: unknown field",
        ),
        ("  - winners_of: [" + "q2, " * 5000 + "q3]\n", "cells.0.winners_of"),
        ("  - {}\nclaims: [" + "{name: a}, " * 5000 + "]\n", "claims"),
    ],
    ids=["product", "many-axes", "one-at-a-time", "blocks", "seeds", "wide-cells", "parts", "claims"],
)  # fmt: skip
def test_billions_of_cells_are_refused_before_they_are_made(tmp_path: Path, cells: str, expected: str) -> None:
    assert expected in refusal(write(tmp_path, f"{HEAD}cells:\n{cells}"))


def test_a_billion_seeds_are_refused_before_they_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEAD}cells: [{{}}]\n")
    assert "1 arms with 1,000,000,000 seeds are more than 100,000 trials" in refusal(path, num_seeds=10**9)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b" \n\n# a comment\n", "the file is empty"),
        (b"---\n", "expected 'field: value' lines, found NoneType"),
        (b"just text", "expected 'field: value' lines, found str"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "the control character '\\x7f' is not allowed"),
        (b"\x89PNG\r\n\x1a\n", "not a UTF-8 text file"),
        ("title: a\n".encode("utf-16"), "not a UTF-8 text file"),
        (b"#" * 100_001, "larger than 100,000 bytes"),
    ],
    ids=["empty", "comment", "nothing", "text", "program", "image", "utf-16", "huge"],
)
def test_what_is_no_question_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    assert expected in refusal(tmp_path / "mine.yaml")


def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zeros.yaml").symlink_to("/dev/zero")
    (tmp_path / "folder.yaml").mkdir()
    for name in ("pipe", "zeros", "folder"):
        assert "can't be read: not a file" in refusal(tmp_path / f"{name}.yaml")


@pytest.mark.parametrize("name", ["..hidden.yaml", "a b.yaml", f"{HTML.replace('/', '')}.yaml", "x" * 64 + ".yaml"])
def test_a_name_that_could_not_be_a_pages_is_refused(tmp_path: Path, name: str) -> None:
    assert "may hold only a-z, 0-9 and '-'" in refusal(write(tmp_path, HEAD + "cells: [{}]\n", name))


@pytest.mark.parametrize("name", ["../q2-optimizers", "q2-optimizers/../q3", "/etc/passwd", "", ".", "*"])
def test_a_path_is_no_name_of_the_catalogue(name: str) -> None:
    with pytest.raises(UserError, match="unknown question"):
        find_question(name)


def test_html_and_everything_printable_in_a_name_is_text(tmp_path: Path) -> None:
    odd = f"{HTML} {{{{ 7 * 7 }}}} ' \" & é 名 👩‍🔬"
    question = {"title": odd, "about": odd, "cells": [{"label": odd}, {"label": "other", "set": {"epochs": 5}}]}
    made = study(write(tmp_path, yaml.safe_dump(question, allow_unicode=True)))
    assert made.arms[0].label == made.title == odd


def test_a_name_is_one_line_whatever_its_breaks(tmp_path: Path) -> None:
    made = study(write(tmp_path, 'title: "a\\n b\\tc"\nabout: x\ncells: [{label: "d\\n\\ne"}]\n'))
    assert (made.title, made.arms[0].label) == ("a b c", "d e")


def test_names_stay_distinct_though_a_user_gives_one_that_we_would_make(tmp_path: Path) -> None:
    text = """axes: {optimizer.lr: {names: {"0.123457": "X, Y", "0.5": Y (2)}}}
cells:
  - product: {optimizer.lr: [0.1234567, 0.12345671]}
  - {label: X, product: {optimizer.lr: [0.5]}}
"""
    labels = [arm.label for arm in study(write(tmp_path, HEAD + text)).arms]
    assert labels == ["X, Y", "X, Y (2)", "X, Y (2) (2)"]


def test_a_file_of_another_system_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEAD}cells: [{{label: é}}]\n".replace("\n", "\r\n").encode())
    assert study(path).arms[0].label == "é"


def test_every_part_of_a_question_refuses_names_it_does_not_know() -> None:
    schema = Question.model_json_schema()
    models = [schema, *schema["$defs"].values()]
    assert all(model["additionalProperties"] is False for model in models if model.get("type") == "object")
