"""Real servers with broken state files: they start, answer, and end on SIGTERM. And two servers of
one identity, which lose none of each other's data."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from plain_server import PlainServer, serving
from waiting import wait_until

from auto_shutdown.state.identity import server_key

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

#: The metadata of an app that the extension never removes. Its identity, and not the host name, is
#: in the names of the state files.
METADATA = {
    "AppType": "KernelGateway",
    "DomainId": "d-1",
    "UserProfileName": "ada",
    "ResourceName": "an-app",
}
KEY = server_key(("d-1", "UserProfileName", "ada", "KernelGateway", "an-app"), "", 0)

FILES = (
    "settings.json",
    "settings.lock",
    f"server-{KEY}.lock",
    f"keep-alive-{KEY}.json",
    f"marks-{KEY}.json",
    f"savings-{KEY}.json",
    f"history-{KEY}.jsonl",
    f"history-{KEY}.jsonl.1",
    "heartbeat",
    "heartbeat-x",
)


def _link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "theirs")


Make = Callable[[Path], Any]
KINDS: dict[str, Make] = {"pipe": os.mkfifo, "link": _link, "directory": Path.mkdir}


def ask(server: PlainServer, method: str, path: str, **body: Any) -> Any:
    answer = requests.request(
        method,
        f"{server.url}auto-shutdown/{path}",
        headers=server.headers,
        data=json.dumps(body) if body else None,
        timeout=30,
    )
    return answer.status_code, answer.json()


def traits(root: Path) -> dict[str, Any]:
    (root / "metadata.json").write_text(json.dumps(METADATA))
    return {"metadata_path": str(root / "metadata.json"), "poll_interval_seconds": 1}


def _report_after_a_pass(server: PlainServer) -> Any:
    """The report once a pass has ended: the server answers before its first pass."""

    def report() -> Any:
        status, found = ask(server, "GET", "status")
        assert status == 200
        return found["health"]["last_pass"] is not None and found

    return wait_until(report, "a pass has ended")


@pytest.mark.parametrize("kind", KINDS)
def test_server_starts_and_stops_with_irregular_files_at_every_path(
    kind: str, tmp_path: Path
) -> None:
    theirs, state = tmp_path / "theirs", tmp_path / "state"
    theirs.write_text("not ours")
    state.mkdir()
    for name in FILES:
        KINDS[kind](state / name)
    activity = tmp_path / "active"
    KINDS[kind](state / "for-the-activity-file")
    (state / "for-the-activity-file").rename(activity)
    more = {"activity_file": str(activity), "protect_from_native": True}
    with serving(tmp_path, **traits(tmp_path), **more) as server:
        report = _report_after_a_pass(server)
        assert report["health"]["state"] in ("failing", "degraded")
        messages = " ".join(f["message"] for f in report["health"]["faults"])
        article = {"pipe": "a named pipe", "link": "a symbolic link", "directory": "a directory"}
        assert f"it is {article[kind]}" in messages
        assert str(state) in messages
        for method, path, body in (
            ("PUT", "keep-alive", {"kind": "all", "minutes": 1}),
            ("PATCH", "settings", {"dry_run": True}),
            ("POST", "check", {}),
            ("GET", "history", {}),
        ):
            status, answer = ask(server, method, path, **body)
            assert status in (200, 507), (path, status, answer)
        assert ask(server, "GET", "status")[1]["policy"]["dry_run"] is True
        began = time.monotonic()
        os.kill(server.pid, signal.SIGTERM)
        while _runs(server.pid) and time.monotonic() < began + 60:
            time.sleep(0.05)
        assert not _runs(server.pid), "SIGTERM does not end it"
    assert theirs.read_text() == "not ours"


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_two_servers_of_one_identity_lose_no_keep_alive_and_no_audit_line(tmp_path: Path) -> None:
    """The app's own server, and ``jupyter lab`` in one of its terminals."""
    roots = [tmp_path / name for name in ("one", "two", "three")]
    state = tmp_path / "state"
    for root in roots:
        root.mkdir()
    shared = {"state_dir": str(state)}
    with serving(roots[0], **traits(roots[0]), **shared) as one:
        with serving(roots[1], **traits(roots[1]), **shared) as two:
            assert ask(one, "PUT", "keep-alive", kind="all", minutes=30)[0] == 200
            assert ask(two, "PUT", "keep-alive", kind="all", minutes=60)[0] == 200
            for server, own in ((one, KEY), (two, f"{KEY}-2")):
                stored = json.loads((state / f"keep-alive-{own}.json").read_text())
                assert [hold["kind"] for hold in stored["keep_alive"]] == ["all"], own
                assert ask(server, "POST", "check")[0] == 200
            for number in range(12):
                for server in (one, two):
                    answer = ask(server, "PATCH", "settings", warn_minutes=number + 1)
                    assert answer[0] == 200
            held = [ask(s, "GET", "keep-alive")[1]["keep_alive"] for s in (one, two)]
            assert held[0] == held[1], "each honours the keep-alives of the other"
        assert ask(one, "DELETE", "keep-alive?kind=all")[0] == 200
    with serving(roots[2], **traits(roots[2]), **shared) as again:
        (hold,) = ask(again, "GET", "keep-alive")[1]["keep_alive"]
        assert hold["kind"] == "all", "of the other server, which is gone by now"
    assert not list(state.glob("*.set-aside-*"))


def test_deleted_state_directory_is_created_again_while_the_server_runs(tmp_path: Path) -> None:
    with serving(tmp_path, **traits(tmp_path)) as server:
        shutil.rmtree(tmp_path / "state")
        assert ask(server, "PUT", "keep-alive", kind="all", minutes=30)[0] == 200
        assert (tmp_path / "state" / f"keep-alive-{KEY}.json").exists()
        shutil.rmtree(tmp_path / "state")
        assert ask(server, "PATCH", "settings", warn_minutes=3)[0] == 200
        assert ask(server, "POST", "check")[1]["health"]["faults"] == []
