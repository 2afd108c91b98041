"""A folder as a `Storage`: what is listed, what is refused, and that writes are whole."""

from __future__ import annotations

import os
import pickle
import socket
from pathlib import Path

import pytest

from pipeline.local_storage import LocalStorage
from pipeline.storages import open_storage
from schemas.errors import ObjectForbidden, ObjectVanished, StorageError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> LocalStorage:
    """An empty folder as a storage."""
    return LocalStorage(str(tmp_path))


def paths(storage: LocalStorage, prefix: str = "") -> list[str]:
    """The listed paths, sorted."""
    return sorted(found.path for found in storage.list(prefix))


def test_what_is_written_is_listed_read_and_deleted(folder: LocalStorage) -> None:
    """A round trip, through folders that did not exist."""
    folder.write("a/b/c.bin", b"\0\xff")
    (found,) = folder.list()
    status = Path(folder.root, "a/b/c.bin").stat()
    assert (found.path, found.size, found.etag) == ("a/b/c.bin", 2, f"mtime:{status.st_mtime_ns}")
    assert found.modified_us == status.st_mtime_ns // 1000
    assert folder.read("a/b/c.bin").body == b"\0\xff"
    folder.delete("a/b/c.bin")
    assert paths(folder) == []


def test_deleting_what_is_not_there_is_no_error(folder: LocalStorage) -> None:
    """Neither a missing file nor a missing folder."""
    folder.delete("gone")
    folder.delete("gone/too")
    assert paths(folder) == []


def test_a_prefix_is_a_folder_and_not_the_start_of_a_name(folder: LocalStorage) -> None:
    """`objects` does not hold `objects-old/`, and a slash at its end changes nothing."""
    for path in ("objects/1", "objects/deep/2", "objects-old/3", "4"):
        folder.write(path, b"")
    assert paths(folder, "objects") == paths(folder, "objects/") == ["objects/1", "objects/deep/2"]


def test_a_missing_prefix_holds_nothing(folder: LocalStorage) -> None:
    """As in a bucket; also below a root that is yet to be made, and where the name is a file's."""
    folder.write("file", b"")
    assert paths(folder, "alerts") == paths(folder, "file") == []
    assert paths(LocalStorage(f"{folder.root}/lake"), "alerts") == []


@pytest.mark.parametrize("name", ["missing", "file"])
def test_an_input_that_is_no_folder_is_an_error(folder: LocalStorage, name: str) -> None:
    """A mistyped input must not look like an empty one."""
    folder.write("file", b"")
    with pytest.raises(StorageError, match=f"/{name}: No"):
        paths(LocalStorage(f"{folder.root}/{name}"))


def test_deep_trees_need_no_deep_stack(folder: LocalStorage, tmp_path: Path) -> None:
    """Folders nested deeper than Python recurses, within the system's limit on paths."""
    levels = [tmp_path / "/".join("d" * depth) for depth in range(1, 1500)]
    for level in levels:
        level.mkdir()
    (levels[-1] / "x").touch()
    listed = paths(folder)
    (levels[-1] / "x").unlink()
    for level in reversed(levels):  # rmtree, with which pytest clears up, recurses
        level.rmdir()
    assert listed == [f"{'d/' * 1499}x"]


def test_links_are_followed_but_never_in_circles(folder: LocalStorage, tmp_path: Path) -> None:
    """A linked folder is listed below the link; a link to a folder above, or to itself, ends there."""
    folder.write("real/x", b"1")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "up").symlink_to("..")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "file").symlink_to("real/x")
    assert paths(folder) == ["file", "link/x", "real/x"]


def test_special_files_are_neither_listed_nor_opened(folder: LocalStorage, tmp_path: Path) -> None:
    """Opening a FIFO would wait forever; the test would hang."""
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket"))
        assert paths(folder) == []
    for path in ("fifo", "socket"):
        with pytest.raises(ObjectForbidden, match="not a regular file"):
            folder.read(path)


@pytest.mark.parametrize(
    "name", ["a b+c%20.gz", "ünï😀", "#?*[x]", "new\nline", "back\\slash", "\\x41", "-rf", "ends.", "'\""]
)
def test_odd_names_survive(folder: LocalStorage, tmp_path: Path, name: str) -> None:
    """What another program wrote under an odd name can be read by its listed path."""
    (tmp_path / name).write_bytes(name.encode())
    (found,) = folder.list()
    assert folder.read(found.path).body == name.encode()


def test_names_that_are_no_text_become_text(folder: LocalStorage, tmp_path: Path) -> None:
    r"""Bytes that are not UTF-8 are listed as `\xNN`, so that every path fits a table, and is read by that name."""
    name = b"caf\xe9\\.gz"
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"body")
    (found,) = folder.list()
    assert found.path == r"caf\xe9\x5c.gz"
    assert folder.read(found.path).body == b"body"
    folder.delete(found.path)
    assert paths(folder) == []


def test_a_vanished_file_is_told_apart(folder: LocalStorage) -> None:
    """Also when its folder went with it, or became a file."""
    folder.write("file", b"")
    for path in ("gone", "gone/too", "file/below"):
        with pytest.raises(ObjectVanished):
            folder.read(path)


def test_a_folder_is_no_object(folder: LocalStorage) -> None:
    """Reading a folder's name is refused."""
    folder.write("folder/file", b"")
    with pytest.raises(ObjectForbidden):
        folder.read("folder")


def test_what_may_not_be_read_is_forbidden(folder: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read is forbidden; a folder that may not be listed is an error, and not empty."""

    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    folder.write("closed/file", b"")
    with monkeypatch.context() as refused:  # root, who may run this, is refused nothing by the system
        refused.setattr(os, "open", refuse)
        refused.setattr(os, "scandir", refuse)
        with pytest.raises(ObjectForbidden, match="closed/file: Permission denied"):
            folder.read("closed/file")
        with pytest.raises(StorageError, match="closed: Permission denied"):
            paths(folder, "closed")


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/etc/hostname", "nul\0", "a/..", r"\x2e./up"])
def test_no_path_leads_out_of_the_folder(folder: LocalStorage, path: str) -> None:
    """Paths that a ledger holds cannot reach other files."""
    for use in (folder.read, folder.delete, lambda name: folder.write(name, b"")):
        with pytest.raises(StorageError, match="not a path below the folder"):
            use(path)


def test_a_failed_write_leaves_the_old_bytes(folder: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that never reached the disk replace nothing, and the retry clears up."""
    folder.write("x", b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="x: No space left on device"):
            folder.write("x", b"new")
    assert folder.read("x").body == b"old"
    assert paths(folder) == ["x"]  # the temporary file is not an object
    assert len(list(Path(folder.root).iterdir())) == 2
    folder.write("x", b"new")
    assert folder.read("x").body == b"new"
    assert [entry.name for entry in Path(folder.root).iterdir()] == ["x"]


def test_the_longest_name_can_be_written(folder: LocalStorage) -> None:
    """The temporary name is no longer than what the system allows."""
    folder.write("n" * 255, b"1")
    assert folder.read("n" * 255).body == b"1"


def test_writing_where_a_file_is_a_folder_is_a_storage_error(folder: LocalStorage) -> None:
    """The system's error is told as ours, with the name."""
    folder.write("file", b"")
    with pytest.raises(StorageError, match=f"{folder.root}/file/below: "):
        folder.write("file/below", b"")


def test_it_can_be_sent_to_workers(folder: LocalStorage) -> None:
    """Pickled and back, equal and hashable."""
    assert pickle.loads(pickle.dumps(folder)) == folder  # noqa: S301
    assert len({folder, LocalStorage(folder.root)}) == 1
    assert not folder.remote


def test_uris_of_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder, absolute, relative, from home, or as a file URI; never with a slash at its end."""
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)
    assert open_storage("/data/lake/").root == "/data/lake"
    assert open_storage("lake").root == f"{tmp_path}/lake"
    assert open_storage("~/lake").root == "/home/me/lake"
    assert open_storage("file:///data/my%20lake").root == "/data/my lake"
    assert open_storage("file://localhost/data").root == "/data"


@pytest.mark.parametrize(
    "uri",
    ["", " ", "gs://bucket/x", "https://x/y", "file://host/x", "file://x", "a\0b", "caf\udce9", "~nobody-has-this/x"],
)
def test_bad_uris_are_usage_errors(uri: str) -> None:
    """What cannot be opened is refused before anything runs."""
    with pytest.raises(UsageError):
        open_storage(uri)
