"""The process table and what belongs to it, from a ``/proc`` of files and from the real one."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.world import connections, proc_files
from auto_shutdown.world.proc_files import (
    read_arguments,
    read_environment,
    read_io,
    read_process,
    read_sockets,
)
from auto_shutdown.world.process_table import UnreadableError, read_table
from auto_shutdown.world.processes import Process, ancestors, tree

needs_proc = pytest.mark.skipif(not proc_files.PROC.exists(), reason="no /proc here")


def process(pid: int, parent: int, **more: Any) -> Process:
    return Process(
        pid,
        parent,
        **{
            "group": pid,
            "foreground": -1,
            "started": 7,
            "cpu": 0.0,
            "command": "python",
            **more,
        },
    )


TABLE = {p.pid: p for p in (process(1, 0), process(2, 1), process(3, 2), process(4, 1))}


def test_tree_holds_all_descendants() -> None:
    assert {p.pid for p in tree(TABLE, [2])} == {2, 3}
    assert {p.pid for p in tree(TABLE, [1])} == {1, 2, 3, 4}
    assert tree(TABLE, [99]) == []
    assert ancestors(TABLE, 3) == {3, 2, 1}
    assert ancestors(TABLE, 99) == set()


@needs_proc
def test_this_process_is_in_the_table() -> None:
    own = read_table()[os.getpid()]
    assert own.parent == os.getppid()
    assert own.cpu > 0
    assert (own.group, own.session) == (os.getpgrp(), os.getsid(0))
    assert not own.has_ended


@needs_proc
def test_io_command_and_environment_of_this_process_are_read() -> None:
    pid = os.getpid()
    before = read_io(pid)
    assert before is not None
    Path("/proc/self/status").read_bytes()
    after = read_io(pid)
    assert after is not None
    assert (after.read > before.read, after.written >= before.written) == (True, True)
    assert read_arguments(pid)[0].endswith(os.path.basename(sys.executable)) or read_arguments(pid)
    assert read_environment(pid, ["PATH"]).keys() <= {"PATH"}
    assert all(isinstance(inode, int) for inode in read_sockets(pid))
    gone = 2**22 + 1
    assert (read_process(gone), read_io(gone), read_arguments(gone)) == (None, None, ("",))
    assert (read_environment(gone, ["PATH"]), read_sockets(gone)) == ({}, frozenset())


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: Any) -> Path:
    """A ``/proc`` with this process and process 1."""
    monkeypatch.setattr(proc_files, "PROC", tmp_path)
    stat = "{} (x) S 1 {} 40 34816 41 4194304 1 9 0 0 300 50 20 30 20 0 1 0 777 0 0"
    for pid in (1, os.getpid()):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(stat.format(pid, pid))
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mountinfo").write_text(f"22 1 0:5 / {tmp_path} rw - proc proc rw\n")
    return tmp_path


def test_command_name_with_spaces_and_parentheses_is_parsed(proc: Path) -> None:
    stat = "42 (a) b (c) S 1 40 40 34816 41 4194304 1 9 0 0 300 50 20 30 20 0 1 0 777 0 0"
    (proc / "42").mkdir()
    (proc / "42" / "stat").write_text(stat)
    (line,) = [p for p in read_table().values() if p.pid == 42]
    assert (line.command, line.parent, line.group, line.foreground) == ("a) b (c", 1, 40, 41)
    assert (line.session, line.terminal, line.child_faults) == (40, 34816, 9)
    assert (line.started, line.cpu, line.waited) == (777, pytest.approx(4.0), pytest.approx(0.5))


@pytest.mark.parametrize("minor", [3, 0x80001, 0xFFFFF])
def test_the_device_of_a_terminal_with_a_large_number(proc: Path, minor: int) -> None:
    """The kernel packs major and minor into 32 bits, and prints them as a signed number."""
    packed = (minor & 0xFF) | 136 << 8 | (minor & ~0xFF) << 12
    printed = packed - 2**32 if packed >= 2**31 else packed
    stat = f"42 (less) S 1 40 40 {printed} 41 4194304 1 9 0 0 300 50 20 30 20 0 1 0 777 0 0"
    (proc / "42").mkdir(exist_ok=True)
    (proc / "42" / "stat").write_text(stat)
    process = proc_files.read_process(42)
    assert process is not None
    assert (os.major(process.terminal), os.minor(process.terminal)) == (136, minor)


def test_torn_stat_line_raises_and_a_missing_one_is_skipped(proc: Path) -> None:
    (proc / "43").mkdir()
    (proc / "43" / "stat").write_text("43 (torn")
    with pytest.raises(UnreadableError) as caught:
        read_table()
    assert caught.value.code == "EIO"
    (proc / "43" / "stat").write_text("")  # it ended between open and read
    assert 43 not in read_table()


def test_an_empty_table_is_unknown(proc: Path) -> None:
    (proc / str(os.getpid()) / "stat").unlink()
    with pytest.raises(UnreadableError) as caught:
        read_table()
    assert caught.value.code == "Hidden"


def test_a_mount_that_hides_other_users_is_unknown(proc: Path, monkeypatch: Any) -> None:
    mounts = proc / "self" / "mountinfo"
    mounts.write_text(f"22 1 0:5 / {proc} rw - proc proc rw,hidepid=invisible,gid=4242\n")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UnreadableError) as caught:
        read_table()
    assert caught.value.code == "Hidden"
    monkeypatch.setattr(os, "getgroups", lambda: [4242])
    assert read_table(), "a member of that group sees everything"
    (proc / "1" / "stat").unlink()
    with pytest.raises(UnreadableError):
        read_table()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM])
def test_a_line_that_cannot_be_read_makes_the_table_unknown(
    proc: Path, monkeypatch: Any, number: int
) -> None:
    whole = Path.read_text

    def fails(path: Path, *args: Any, **named: Any) -> str:
        if path == proc / "1" / "stat":
            raise OSError(number, "no")
        return whole(path, *args, **named)

    monkeypatch.setattr(Path, "read_text", fails)
    with pytest.raises(UnreadableError) as caught:
        read_table()
    assert caught.value.code == errno.errorcode[number]
    assert caught.value.remedy


def test_process_of_another_user_is_none_and_lack_of_descriptors_raises(
    proc: Path, monkeypatch: Any
) -> None:
    def refuse(number: int) -> Any:
        def fails(_path: Path) -> bytes:
            raise OSError(number, "no")

        return fails

    monkeypatch.setattr(Path, "read_bytes", refuse(errno.EACCES))
    assert (read_io(1), read_environment(1, ["A"]), read_arguments(1)) == (None, {}, ("",))
    monkeypatch.setattr(Path, "read_bytes", refuse(errno.EMFILE))
    for read in (read_io, read_arguments):
        with pytest.raises(OSError, match="no"):
            read(1)


def test_whether_a_process_is_of_another_user(proc: Path) -> None:
    for pid, uid in ((11, os.getuid()), (12, os.getuid() + 1)):
        (proc / str(pid)).mkdir()
        (proc / str(pid) / "status").write_text(f"Name:\tx\nUid:\t{uid}\t0\t0\t0\nGid:\t7\n")
    found = [proc_files.is_of_another_user(pid) for pid in (11, 12, 13)]
    assert found == [False, True, False], "the last has ended"


def test_connections_to_other_hosts_are_counted(proc: Path) -> None:
    (proc / "net").mkdir()
    head = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid to inode"
    )
    line = "   0: {} {} {} 00000000:00000000 00:00000000 00000000  0  0 {} 1 0 20 4 30 10 -1"
    here, there = "0100007F:1F90", "0A01A8C0:01BB"
    lines = [
        line.format(here, there, "01", 11),
        line.format(here, there, "06", 12),  # it waits for its end
        line.format(here, here, "01", 13),
        line.format(here, "00000000:0000", "0A", 14),  # it listens
    ]
    ours = "0500A8C0"  # this host's own address: the processes of a Ray cluster talk by it
    lines.append(line.format(f"{ours}:18EB", f"{ours}:A000", "01", 15))
    lines.append(line.format(f"{ours}:A000", f"{ours}:18EB", "01", 16))
    (proc / "net" / "tcp").write_text("\n".join([head, *lines]) + "\n")
    six = [
        line.format("0" * 32 + ":1F90", "B80D0120000000000000000001000000:01BB", "01", 21),
        line.format("0" * 32 + ":1F90", "0" * 24 + "01000000:1F90", "01", 22),
        line.format("0" * 32 + ":1F90", "0000000000000000FFFF00000100007F:1F90", "01", 23),
        line.format("0" * 32 + ":1F90", f"0000000000000000FFFF0000{ours}:1F90", "01", 24),
    ]
    (proc / "net" / "tcp6").write_text("\n".join([head, *six]) + "\n")
    assert connections.remote_connections() == {11, 21}


@pytest.mark.filterwarnings("ignore")
def test_without_proc_psutil_lists_the_processes(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(proc_files, "PROC", tmp_path / "none")
    own = read_table()[os.getpid()]
    assert own.parent == os.getppid()
    assert own.cpu > 0
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(UnreadableError) as caught:
        read_table()
    assert caught.value.code == "NoProcessTable"
    assert "psutil" in caught.value.remedy
