"""The state files: complete at any time, also with several writers and after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import wait_until

from auto_shutdown.state.store import KEPT_ASIDE, Document, Store, StoreError


def test_document_is_written_private_and_read_back(tmp_path: Path) -> None:
    document = Document(tmp_path / "deep" / "x.json")
    assert document.read() == ({}, None)
    document.write({"a": 1})
    assert document.read() == ({"a": 1}, None)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["x.json"]
    assert document.path.stat().st_mode & 0o077 == 0
    assert document.path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "content", [b'{"schema": 1, "a', b"", b"\xff\xfe", b"[]", b'{"a": 1}', b'{"schema": 2}']
)
def test_unreadable_file_is_set_aside_and_reported(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    found, problem = Document(path).read()
    assert found == {}
    assert problem is not None
    assert str(path) in problem.message
    (aside,) = tmp_path.iterdir()
    assert aside.name.startswith("settings.json.set-aside-")
    assert aside.read_bytes() == content
    assert Document(path).read() == ({}, None)


def test_number_of_files_set_aside_is_bounded(tmp_path: Path) -> None:
    document = Document(tmp_path / "x.json")
    for _ in range(KEPT_ASIDE + 3):
        document.path.write_text("torn")
        document.read()
    assert len(list(tmp_path.iterdir())) == KEPT_ASIDE


def test_a_failed_write_raises_and_leaves_the_old_file(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(StoreError) as caught:
        Document(in_the_way / "x.json").write({})
    assert "state_dir" in caught.value.remedy
    assert "x.json" in str(caught.value)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands in for the disk: a write fails in the middle."""
    code = f"""
import resource, signal
from pathlib import Path
from auto_shutdown.state.store import Document, StoreError
document = Document(Path({str(tmp_path)!r}) / "x.json")
document.write({{"a": 1}})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    document.write({{"a": "x" * 1000}})
except StoreError:
    print("refused", document.read())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "refused ({'a': 1}, None)"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_killed_write_leaves_a_whole_file(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from auto_shutdown.state.store import Document
document = Document(Path({str(tmp_path)!r}) / "x.json")
n = 0
while True:
    n += 1
    document.write({{"n": n, "pad": "x" * 100000}})
"""
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code])
        wait_until((tmp_path / "x.json").exists, "a first write")
        process.send_signal(signal.SIGKILL)
        process.wait()
        found, problem = Document(tmp_path / "x.json").read()
        assert problem is None
        assert len(found["pad"]) == 100000


def test_two_servers_change_settings_at_once_and_lose_nothing(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from auto_shutdown.state.store import Store
store = Store(Path(sys.argv[1]), sys.argv[2])
for n in range(40):
    store.patch_settings({f"{sys.argv[2]}{n}": n})
"""
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in ("a", "b")
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    loaded = Store(tmp_path, "c").load_settings()
    assert loaded.problem is None
    assert len(loaded.settings) == 80


def test_a_change_by_another_server_is_noticed(tmp_path: Path) -> None:
    one, two = Store(tmp_path, "1"), Store(tmp_path, "2")
    loaded = one.load_settings()
    assert (loaded.settings, loaded.problem) == ({}, None)
    assert not one.settings_changed(loaded.signature)
    two.patch_settings({"enabled": False})
    assert one.settings_changed(loaded.signature)
    loaded = one.load_settings()
    assert loaded.settings == {"enabled": False}
    assert not one.settings_changed(loaded.signature)
    stored = one.patch_settings({"enabled": None, "later_version": [1]})
    assert stored.settings == {"later_version": [1]}
    assert not one.settings_changed(stored.signature)


def test_each_server_has_its_own_files(tmp_path: Path) -> None:
    one, two = Store(tmp_path, "1"), Store(tmp_path, "2")
    one.save_holds({"keep_alive": []})
    one.save_marks({"clean": True})
    assert (two.load_holds(), two.load_marks()) == (({}, None), {})
    assert one.load_holds() == ({"keep_alive": []}, None)
    assert one.load_marks() == {"clean": True}


TORN = [b'{"schema": 1, "a', b"", b"[]", b"[" * 100_000, b'{"a": 1}']


@pytest.mark.parametrize("content", TORN, ids=lambda c: repr(c[:12]))
def test_unreadable_settings_file_stays_until_settings_are_changed(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    store = Store(tmp_path, "k")
    loaded = store.load_settings()
    assert (loaded.settings, path.read_bytes()) == ({}, content)
    assert loaded.problem is not None
    assert store.settings_changed(loaded.signature), "it is tried again"
    assert store.patch_settings({"b": 2}, {"a": 1}).settings == {"a": 1, "b": 2}
    (aside,) = tmp_path.glob("*.set-aside-*")
    assert aside.read_bytes() == content


def test_settings_of_a_later_version_are_never_touched(tmp_path: Path) -> None:
    """Another server of this home may be newer."""
    path = tmp_path / "settings.json"
    path.write_text('{"schema": 2, "settings": {"enabled": false}}')
    store = Store(tmp_path, "k")
    assert store.load_settings().problem is not None
    with pytest.raises(StoreError, match="later version"):
        store.patch_settings({"a": 1}, {})
    assert path.read_text() == '{"schema": 2, "settings": {"enabled": false}}'


def test_pipe_or_device_in_place_of_a_state_file_is_a_problem_and_blocks_nothing(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "settings.json")
    assert Store(tmp_path, "k").load_settings().problem is not None
    (tmp_path / "keep-alive-k.json").symlink_to("/dev/zero")
    assert Store(tmp_path, "k").load_holds()[1] is not None


def test_failed_write_of_marks_deletes_the_old_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at the start, and the server crashes later. The next server must not trust
    the old marks."""
    store = Store(tmp_path, "k")
    store.save_marks({"clean": True})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError):
        store.save_marks({"clean": False})
    assert store.load_marks() == {}
