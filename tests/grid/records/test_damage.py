"""A ledger that was damaged in every way that could be thought of, looked at as a run looks at it."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import cifar_models.data.cache  # noqa: F401 - as another user a test may not be able to read Python's own files
from grid.errors import UserError
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.records.plan import StudyPlan, make_plan
from grid.records.predictions import pack_predictions
from grid.tables.tables import make_tables
from tests.grid.questions.test_question import HEAD, study, write
from tests.grid.records.test_ledger import KEY, predictions, record

Damage = Callable[[Path, random.Random], None]
"""Does something to the folder of a trial."""


def truncate(name: str) -> Damage:
    def damage(folder: Path, draw: random.Random) -> None:
        os.truncate(folder / name, draw.randrange((folder / name).stat().st_size))

    return damage


def replace(name: str, content: bytes) -> Damage:
    def damage(folder: Path, _: random.Random) -> None:
        (folder / name).write_bytes(content)

    return damage


def npz(folder: Path, _: random.Random) -> None:
    """Predictions that can be read, and are another trial's."""
    test = predictions(6)
    (folder / "predictions.npz").write_bytes(pack_predictions(test))


def instead(name: str, make: Callable[[Path], None]) -> Damage:
    """Puts something else in the place of a file; of the whole folder if the name is empty."""

    def damage(folder: Path, _: random.Random) -> None:
        shutil.rmtree(folder) if not name else (folder / name).unlink()
        make(folder / name)

    return damage


TRUNCATIONS = [truncate("trial.json"), truncate("predictions.npz")]
FOREIGN = [
    *(replace(name, content) for name in ("trial.json", "predictions.npz") for content in (b"", b"\x93NUMPY\xff\x00")),
    *(replace("trial.json", content) for content in (b"{}", b"null", b"[" * 100_000, b'{"format": 3}')),
    replace("trial.json", record("ff" * 12).model_dump_json().encode()),
    npz,
    *(
        instead(name, make)
        for name in ("", "trial.json", "predictions.npz")
        for make in (
            os.mkfifo,
            lambda path: path.write_text("a file"),
            lambda path: path.symlink_to("nowhere"),
            lambda path: path.symlink_to(path),
            lambda path: path.symlink_to("/dev/zero"),
        )
    ),
    *(instead(name, lambda path: path.mkdir()) for name in ("", "trial.json", "predictions.npz")),
]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyPlan, Path]:
    """A plan of 130 trials, and a ledger that holds them all."""
    folder = tmp_path_factory.mktemp("finished")
    rates = ", ".join(str(rate / 1000) for rate in range(1, 66))
    plan = make_plan(study(write(folder, f"{HEAD}cells:\n  - product: {{optimizer.lr: [{rates}]}}\n")), "data")
    for trial in plan.trials:
        Ledger(Folder(folder).below("ledger")).commit(record(trial.fingerprint), predictions())
    return plan, folder / "ledger"


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("damages", [TRUNCATIONS, FOREIGN], ids=["truncated", "foreign"])
def test_a_hundred_damaged_trials_are_named_and_set_aside_and_nothing_else_is_lost(
    finished: tuple[StudyPlan, Path], tmp_path: Path, damages: list[Damage], seed: int
) -> None:
    plan, ledger = finished[0], Ledger(Folder(shutil.copytree(finished[1], tmp_path / "ledger")))
    keys = [trial.fingerprint for trial in plan.trials]
    draw = random.Random(seed)
    victims = draw.sample(keys, 100)
    whole = {key: contents(ledger.folder(key)) for key in keys if key not in victims}
    for index, key in enumerate(victims):
        damages[index % len(damages)](ledger.folder(key), draw)

    damaged = ledger.set_aside_damaged(keys)

    assert sorted(found.fingerprint for found in damaged) == sorted(victims)
    assert all(found.problem and "\n" not in found.problem for found in damaged)
    assert all(os.path.lexists(found.moved_to) for found in damaged)
    assert {key: contents(ledger.folder(key)) for key in whole} == whole
    assert ledger.read(keys, settled_only=True).keys() == whole.keys()
    statuses = make_tables([plan], ledger)["trials"].column("status").to_pylist()
    assert (statuses.count("ok"), statuses.count("not_run")) == (30, 100)
    for key in victims[:10]:  # such cells are trained again
        ledger.commit(record(key), predictions())
    assert ledger.set_aside_damaged(keys) == []
    assert len(ledger.read(keys)) == 40


@pytest.mark.parametrize(
    "name", ["notes.txt", "zz", "ab/notes", "ab/" + "cd" * 12, "ab/" + "G" * 24, "ab/\x1b[2J\n[x]"]
)
@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_trial_is_set_aside_by_a_printable_name(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    ledger = Ledger(Folder(tmp_path))
    ledger.commit(record(), predictions())
    make(tmp_path / name)
    (found,) = ledger.set_aside_damaged([KEY])
    assert found.fingerprint.isprintable() and found.moved_to.name.isprintable()
    assert found.fingerprint[0] == Path(name).name[0].replace("\x1b", "?")
    assert not os.path.lexists(tmp_path / name) and os.path.lexists(found.moved_to)
    assert ledger.fingerprints() == [KEY]


def test_a_name_of_any_length_and_bytes_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff" * 255)).touch()
    (found,) = Ledger(Folder(tmp_path)).set_aside_damaged([])
    assert found.fingerprint == "?" * 255 and found.moved_to.exists()


def test_a_file_where_the_folder_of_many_trials_should_be_is_set_aside(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path))
    (tmp_path / KEY[:2]).write_text("a file")
    assert [found.problem for found in ledger.set_aside_damaged([KEY])] == ["not a part of a ledger"]
    ledger.prepare()
    ledger.commit(record(), predictions())
    assert ledger.read([KEY])


def test_hidden_files_and_what_was_set_aside_before_are_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path))
    ledger.commit(record(), predictions())
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "ab" / ".DS_Store").touch()
    (tmp_path / "damaged").mkdir()
    assert ledger.set_aside_damaged([KEY]) == []


def test_a_trial_that_lies_elsewhere_behind_a_link_is_none_of_this_ledger(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path).below("ledger"))
    ledger.commit(record(), predictions())
    ledger.folder(KEY).rename(tmp_path / "elsewhere")
    ledger.folder(KEY).symlink_to(tmp_path / "elsewhere")
    assert ledger.read([KEY]) == {}
    (found,) = ledger.set_aside_damaged([KEY])
    assert found.problem == "not a trial's folder" and found.moved_to.is_symlink()
    assert len(contents(tmp_path / "elsewhere")) == 2


def test_damage_that_comes_while_tables_are_made_is_one_line(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path))
    ledger.commit(record(), predictions())
    os.truncate(ledger.folder(KEY) / "predictions.npz", 100)
    with pytest.raises(UserError, match=rf"^trial {KEY}: predictions\.npz is not the file that was written; run its q"):
        ledger.predictions(KEY)


def test_what_cannot_be_moved_is_one_line(tmp_path: Path) -> None:
    ledger = Ledger(Folder(tmp_path))
    ledger.commit(record(), predictions())
    os.truncate(ledger.folder(KEY) / "trial.json", 1)
    (tmp_path / "damaged").write_text("a file")
    with pytest.raises(UserError, match=rf"{KEY}: trial\.json: .*, and can't be moved away \(.*\); move it by hand"):
        ledger.set_aside_damaged([KEY])


@pytest.fixture
def users_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A ledger with a trial, and a process that is not the superuser's, whom no permission stops."""
    user = os.geteuid()
    tmp_path.chmod(0o777)
    monkeypatch.chdir(tmp_path)  # the folders above are the superuser's alone
    os.seteuid(user or 65534)
    try:
        ledger = Ledger(Folder(Path("results/ledger")))
        ledger.prepare()
        ledger.commit(record(), predictions())
        yield ledger
    finally:
        os.seteuid(user)
        subprocess.run(["chmod", "-R", "u+rwX", tmp_path], check=True)


def test_a_trial_that_may_not_be_read_is_set_aside(users_ledger: Ledger) -> None:
    (users_ledger.folder(KEY) / "trial.json").chmod(0)
    assert [found.problem for found in users_ledger.set_aside_damaged([KEY])] == ["trial.json: Permission denied"]


def test_folders_that_may_not_be_read_moved_or_written_are_one_line(users_ledger: Ledger) -> None:
    trial = users_ledger.folder(KEY)
    trial.chmod(0)
    with pytest.raises(UserError, match=rf"{KEY}: {KEY}: Permission denied, and can't be moved away"):
        users_ledger.set_aside_damaged([KEY])
    trial.chmod(0o700)
    trial.parent.chmod(0)
    with pytest.raises(UserError, match=r"ledger/ab: can't be read \(Permission denied\); make it readable"):
        users_ledger.set_aside_damaged([KEY])
    trial.parent.chmod(0o500)
    with pytest.raises(UserError, match=r"results: can't be written \(Permission denied: .*ledger/ab/"):
        users_ledger.prepare()
