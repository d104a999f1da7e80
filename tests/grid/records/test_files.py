"""Nothing outside a folder is reached by the names in it, whatever they are, and what is written is there or not."""

import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from grid.records.files import Folder

Act = Callable[[Folder], object]

ACTS: dict[str, Act] = {
    "read": lambda folder: folder.read("a/b"),
    "write": lambda folder: folder.write("a/b", b"new"),
    "create": lambda folder: folder.create("a/new", b"new"),
    "remove": lambda folder: folder.remove("a/b"),
    "move away": lambda folder: folder.move("a/b", "c"),
    "move there": lambda folder: folder.move("c", "a/b"),
    "kind": lambda folder: folder.kind("a/b"),
    "names": lambda folder: folder.below("a").names(),
    "make": lambda folder: folder.below("a/new").make(),
}


def tree(folder: Path) -> dict[str, object]:
    """Everything in a folder with its content, mode and time of change."""
    found: dict[str, object] = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(folder))] = (content, status.st_mode, status.st_mtime_ns, status.st_nlink)
    return found


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    folder = tmp_path / "victim"
    (folder / "b").mkdir(parents=True)
    (folder / "file").write_text("of great value")
    (folder / "b" / "deep").write_text("of greater value")
    return folder


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
@pytest.mark.parametrize("relative", [True, False], ids=["relative", "absolute"])
def test_no_folder_is_reached_through_a_link(tmp_path: Path, victim: Path, act: Act, relative: bool) -> None:
    folder = Folder(tmp_path / "folder")
    folder.write("c", b"mine")
    (folder.path / "a").symlink_to(Path("..") / victim.name if relative else victim)
    before = tree(victim)

    with pytest.raises(NotADirectoryError, match="is a link") as refused:
        act(folder)

    assert refused.value.filename == str(folder.path / "a")
    assert tree(victim) == before
    assert folder.read("c") == b"mine"


def test_a_link_in_place_of_a_file_is_replaced_moved_or_removed_itself(tmp_path: Path, victim: Path) -> None:
    folder, before = Folder(tmp_path / "folder"), tree(victim)
    folder.make()
    for name in ("written", "created", "moved", "removed", "read"):
        (folder.path / name).symlink_to(victim / "file")
    (folder.path / "removed too").symlink_to(victim)

    folder.write("written", b"new")
    assert not folder.create("created", b"new")
    folder.move("moved", "new/name")
    folder.remove("removed")
    folder.remove("removed too")
    with pytest.raises(OSError, match="is a link"):
        folder.read("read")

    assert tree(victim) == before
    assert folder.read("written") == b"new"
    assert (folder.path / "new" / "name").is_symlink()
    assert folder.names() == ["created", "new", "read", "written"]
    assert folder.kind("created") == "other"


def test_to_remove_a_folder_follows_no_link_in_it(tmp_path: Path, victim: Path) -> None:
    folder, before = Folder(tmp_path / "folder"), tree(victim)
    folder.write("a/b/c", b"mine")
    (folder.path / "a" / "b" / "link").symlink_to(victim)

    folder.remove("a")

    assert folder.names() == [] and tree(victim) == before


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "results").symlink_to("disk")
    Folder(tmp_path / "results").write("a/b", b"mine")
    assert (tmp_path / "disk" / "a" / "b").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/../../b", "/etc/passwd", "a//b", "a/", "a\0b", "a/./b"])
@pytest.mark.parametrize("act", [Folder.read, Folder.remove, Folder.kind, Folder.below])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str, act: Callable[[Folder, str], object]) -> None:
    with pytest.raises(ValueError, match="is no name below a folder"):
        act(Folder(tmp_path), name)


def test_pipes_devices_and_sparse_files_are_not_read(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10**12)
    for name, problem in {"pipe": "not a file", "zero": "is a link", "folder": "not a file", "sparse": "bytes"}.items():
        with pytest.raises(OSError, match=problem) as refused:
            folder.read(name)
        assert refused.value.filename == str(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        folder.read("none")


def test_a_file_that_could_not_be_filled_leaves_the_earlier_one_and_nothing_else(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("a/file", b"earlier")
    with pytest.raises(OSError, match="No space left") as full, folder.writing("a/file") as file:
        file.write(b"half")
        raise OSError(28, "No space left on device")
    assert full.value.filename == str(tmp_path / "a" / "file")
    with pytest.raises(KeyboardInterrupt), folder.writing("a/file"):
        raise KeyboardInterrupt
    assert folder.read("a/file") == b"earlier"
    assert folder.below("a").names() == ["file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_names_the_file_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        folder = Folder(tmp_path)
        folder.write("table", b"earlier")
        with pytest.raises(OSError, match="No space left") as full:
            folder.write("table", bytes(10**6))
        assert full.value.filename == str(tmp_path / "table")
        assert folder.names() == ["table"] and folder.read("table") == b"earlier"
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_what_a_killed_process_left_half_written_is_cleared_an_hour_later(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    old, young, other = f".{'0' * 32}.tmp", f".{'1' * 32}.tmp", ".other.tmp"
    for name in (old, young, other):
        folder.write(name, b"half")
    os.utime(tmp_path / old, (0, 0))
    os.utime(tmp_path / other, (0, 0))
    folder.clear()
    assert folder.names() == [young, other]


def test_only_one_creates_a_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.create("lock", b"first")
    assert not folder.create("lock", b"second")
    assert folder.read("lock") == b"first" and folder.names() == ["lock"]


def test_a_folder_can_be_sent_to_a_process_that_works_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(Folder(Path("results")).below("ledger").absolute())
    monkeypatch.chdir("/")
    pickle.loads(sent).write("a", b"mine")
    assert (tmp_path / "results" / "ledger" / "a").read_bytes() == b"mine"


def test_a_file_is_refreshed_only_if_it_is_the_one(tmp_path: Path) -> None:
    folder, file = Folder(tmp_path), tmp_path / "file"
    assert not folder.refresh("file", b"mine")
    file.write_bytes(b"mine")
    (tmp_path / "link").symlink_to(file)
    os.utime(file, (0, 0))
    assert not folder.refresh("file", b"min") and not folder.refresh("file", b"mine, too")
    assert not folder.refresh("link", b"mine")
    assert file.stat().st_mtime == 0
    assert folder.refresh("file", b"mine")
    assert file.stat().st_mtime > 10**9


def test_entries_are_listed_with_their_kind_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    os.mkfifo(tmp_path / "pipe")
    folder = Folder(tmp_path)
    assert folder.kinds() == {"file": "file", "folder": "folder", "link": "other", "pipe": "other"}
    assert folder.kinds() == {name: folder.kind(name) for name in folder.names()}
    assert folder.below("missing").kinds() == {}


def test_a_folder_is_writable_or_says_where_it_is_not(tmp_path: Path) -> None:
    Folder(tmp_path).check_writable()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as refused:
        Folder(tmp_path, "file").check_writable()
    assert refused.value.filename == str(tmp_path / "file")
