"""What a user asks of one run."""

import pytest

import cifar_models.data
from cifar_models.data import Dataset, load
from grid.errors import UserError
from grid.execution.resources import Resources
from grid.records.plan import StudyPlan, make_plan
from grid.runs.request import Request

LEVELS = ", ".join(f"&{level} [{', '.join([f'*{level - 1}' if level else '0.1'] * 9)}]" for level in range(8))
FORMS = [
    ("epochs", "'epochs' is not FIELD=VALUE"),
    ("=1", "'=1' is not FIELD=VALUE"),
    ("a\nb=1", "'a\\nb=1' is not FIELD=VALUE"),
    (f"{'a.' * 50_000}b=1", "is not FIELD=VALUE"),
    (f"model.filters=[{LEVELS}]", "YAML aliases (*0) are not allowed"),
    ("model={x: &x [1], y: *x}", "YAML aliases (*x) are not allowed"),
    ("epochs=!!python/object/apply:os.system [id]", "YAML tags (such as !!int) are not allowed"),
    (f"model.filters={'[' * 5000}", "more than 16 levels"),
    ("epochs=0x_", "invalid literal for int()"),
    ("epochs=2001-01-01", "'2001-01-01' is YAML for a timestamp"),
    (f"epochs={'9' * 5000}", "a number of more than 100 characters"),
    (f"epochs={'9 ' * 100_000}", "a value of more than 100,000 characters"),
    ("epochs=[1", "not valid YAML"),
    ("epochs=\udcff\x1b[2J", "not valid YAML"),
    ('epochs="a\\u001b[2Jb"', "the control character '\\x1b' is not allowed"),
    ("model={skip: true, skip: false}", "'skip' is given twice"),
    ("seed=3", "seed is chosen for a whole run, with --seeds"),
]


@pytest.mark.parametrize(("setting", "expected"), FORMS, ids=range(len(FORMS)))
def test_a_hostile_setting_is_one_short_line(setting: str, expected: str) -> None:
    request = Request(questions=("q3",), settings=(setting,), precision="fp32")
    with pytest.raises(UserError) as error:
        request.studies(request.sourced())
    message = str(error.value)
    assert message.startswith("--set") and expected in message
    assert message.isprintable() and len(message) < 400


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("epochs=3", 3),
        ("model.filters=[4, 8]", [4, 8]),
        ("optimizer.name=adam", "adam"),
        ("optimizer={lr: 0.1}", 0.1),
        ("channels_last=false", False),
        ("data.train_size=null", None),
        ("data.train_size=", None),
    ],
)
def test_a_setting_is_read_as_a_question_file_would_be(setting: str, expected: object) -> None:
    request = Request(questions=("q3",), settings=(setting,), precision="fp32")
    (study,) = request.studies(request.sourced())
    assert [*study.overrides.values()] == [expected, "fp32"]


def plans_of(request: Request) -> list[StudyPlan]:
    return [make_plan(study, request.data_fingerprint) for study in request.studies(request.sourced())]


def test_the_data_is_read_once_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    def counted(name: str, data_dir: None, *, known_fingerprint: str) -> Dataset:
        reads.append(name)
        return load(name, data_dir)

    monkeypatch.setattr(cifar_models.data, "load", counted)
    request = Request(seeds=1, precision="fp32").of(("q3",), Resources())
    first = plans_of(request)
    again = plans_of(request)
    assert first == again
    assert request.load_dataset(first) is request.load_dataset(again)
    assert reads == ["digits"]


def test_data_that_changed_since_it_was_planned_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request(seeds=1, precision="fp32").of(("q3",), Resources())
    monkeypatch.setattr(cifar_models.data, "data_fingerprint", lambda name, data_dir: "another")
    plans = plans_of(request)
    with pytest.raises(UserError, match="the data changed while it was read"):
        request.load_dataset(plans)
