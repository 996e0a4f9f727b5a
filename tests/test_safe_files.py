"""Only regular files of the right owner are opened, and no open waits."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from auto_shutdown import safe_files
from auto_shutdown.safe_files import UnsafeFileError

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link_to_a_file(path: Path) -> None:
    target = path.with_name("target")
    target.write_bytes(b"not ours")
    path.symlink_to(target)


def _link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("target"))


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def _directory(path: Path) -> None:
    path.mkdir()


#: What lies at a path, and how a message names it.
KINDS: list[tuple[Callable[[Path], None], str]] = [
    (_pipe, "a named pipe"),
    (_link_to_a_file, "a symbolic link"),
    (_link_to_a_device, "a symbolic link"),
    (_dangling_link, "a symbolic link"),
    (_socket, "a socket"),
    (_directory, "a directory"),
]


@pytest.mark.parametrize(("make", "name"), KINDS, ids=[m.__name__ for m, _ in KINDS])
def test_anything_but_a_regular_file_is_refused_and_named(
    make: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    make(path)
    for access in (
        lambda: safe_files.read_bytes(path, 10),
        lambda: safe_files.read_end(path, 10),
        lambda: safe_files.append(path, b"x"),
    ):
        with pytest.raises(UnsafeFileError) as caught:
            access()
        assert caught.value.strerror == f"it is {name}"
        assert caught.value.filename == str(path)
    target = tmp_path / "target"
    assert not target.exists() or target.read_bytes() == b"not ours"


@pytest.mark.parametrize("make", [_pipe, _link_to_a_file, _dangling_link, _socket])
def test_a_replacement_takes_the_place_of_what_is_there(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    path, target = tmp_path / "x", tmp_path / "target"
    make(path)
    before = target.read_bytes() if target.exists() else None
    safe_files.replace(path, b"ours")
    assert stat.S_ISREG(os.lstat(path).st_mode)
    assert path.read_bytes() == b"ours"
    assert (target.read_bytes() if target.exists() else None) == before


def test_a_directory_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(UnsafeFileError, match="a directory"):
        safe_files.replace(tmp_path / "x", b"")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_link_is_followed_on_request_and_to_a_regular_file_only(tmp_path: Path) -> None:
    link = tmp_path / "link"
    _link_to_a_file(link)
    assert safe_files.read_bytes(link, 10, follow=True) == b"not ours"
    to_pipe = tmp_path / "to_pipe"
    _pipe(tmp_path / "pipe")
    to_pipe.symlink_to(tmp_path / "pipe")
    with pytest.raises(UnsafeFileError):
        safe_files.read_bytes(to_pipe, 10, follow=True)


def test_a_long_file_is_refused_or_read_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    assert safe_files.read_bytes(path, 10) == b"0123456789"
    with pytest.raises(UnsafeFileError, match="longer than 9 bytes"):
        safe_files.read_bytes(path, 9)
    assert safe_files.read_end(path, 3) == (b"789", False)
    assert safe_files.read_end(path, 10) == (b"0123456789", True)


def test_missing_file_is_an_ordinary_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        safe_files.read_bytes(tmp_path / "x", 10)


def test_a_directory_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    for write in (safe_files.append, safe_files.replace):
        path = tmp_path / write.__name__ / "deep" / "x"
        write(path, b"1")
        assert path.read_bytes() == b"1"
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0


@AS_ROOT
def test_file_of_another_user_is_refused_in_a_directory_that_others_write(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1")
    os.chown(path, 12345, 12345)
    with pytest.raises(UnsafeFileError, match=r"belongs to another user \(uid 12345\)"):
        safe_files.read_bytes(path, 10)
    assert safe_files.read_bytes(path, 10, any_owner=True) == b"1"
    os.chown(tmp_path, 12345, 12345)  # as a network file system shows a whole home
    assert safe_files.read_bytes(path, 10) == b"1"
    tmp_path.chmod(0o777)
    with pytest.raises(UnsafeFileError):
        safe_files.read_bytes(path, 10)


def test_a_replaced_file_and_its_new_name_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the name a crash of the host would bring the old file back."""
    synced: list[bool] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    safe_files.replace(tmp_path / "file", b"content")
    assert synced == [False, True], "first the content, then the directory"
