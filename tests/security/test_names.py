"""Names with paths, quotes, HTML, terminal escapes and log lines in them. The API, the log and the
audit log show them as names, and nothing interprets them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from plain_server import PlainServer, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

NAMES = {
    "path": "..%2F..%2Fetc%2Fpasswd",
    "quote": "a'b\"c`d",
    "html": "<img src=x onerror=alert(1)>",
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "log": "x\n[C 2026-01-01 00:00:00.000 ServerApp] auto_shutdown: app all: removed",
    "crlf": "x\r\nSet-Cookie: a=b",
    "direction": "\u202egnp.exe",
    "line separator": "a\u2028b",
    "json": '","outcome":"removed"}',
    "format": "%s %d {0} ${x}",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainServer]:
    with serving(tmp_path_factory.mktemp("server")) as found:
        yield found


def _ask(server: PlainServer, method: str, path: str, body: Any = None) -> requests.Response:
    return requests.request(method, server.url + path, json=body, headers=server.headers)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_terminal_with_a_hostile_name_is_shown_kept_removed_and_audited(
    name: str, server: PlainServer
) -> None:
    made = _ask(server, "POST", "api/terminals", {"name": name}).json()["name"]
    report = _ask(server, "POST", "auto-shutdown/check").json()
    assert made in {resource["name"] for resource in report["resources"]}
    ref = {"kind": "terminal", "id": made}
    held = _ask(server, "PUT", "auto-shutdown/keep-alive", {**ref, "minutes": 5}).json()
    assert made in {hold["id"] for hold in held["keep_alive"]}
    removed = _ask(server, "POST", "auto-shutdown/remove", ref)
    assert removed.json()["outcome"] == "removed"
    assert set(removed.headers).isdisjoint({"Set-Cookie"}) or "a=b" not in str(removed.headers)
    newest = _ask(server, "GET", "auto-shutdown/history?limit=1").json()["history"][0]
    assert (newest["name"], newest["outcome"], newest["reason"]) == (made, "removed", "requested")
    _nothing_but_lines_of_ours(server)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_notebook_with_a_hostile_name_is_shown_and_audited(name: str, server: PlainServer) -> None:
    session = {
        "path": f"{name}.ipynb",
        "name": name,
        "type": "notebook",
        "kernel": {"name": "python3"},
    }
    kernel = _ask(server, "POST", "api/sessions", session).json()["kernel"]["id"]
    report = _ask(server, "POST", "auto-shutdown/check").json()
    paths = next(r["paths"] for r in report["resources"] if r["id"] == kernel)
    assert len(paths) == 1
    _ask(server, "POST", "auto-shutdown/remove", {"kind": "kernel", "id": kernel})
    newest = _ask(server, "GET", "auto-shutdown/history?limit=1").json()["history"][0]
    assert (newest["resource"], newest["paths"]) == (kernel, paths)
    _nothing_but_lines_of_ours(server)


def _our_lines(server: PlainServer) -> list[str]:
    """The extension's records in the server's log. A record must not continue on a second line or
    contain control characters."""
    lines = server.log.split("\n")
    ours = [n for n, line in enumerate(lines) if " AutoShutdown] " in line and line[0] == "["]
    assert all(not lines[n + 1].startswith("    ") for n in ours)  # so the server continues one
    assert all(lines[n].isprintable() for n in ours)
    return [lines[n] for n in ours]


def _nothing_but_lines_of_ours(server: PlainServer) -> None:
    """A name cannot add a line to the logs."""
    removed = [line for line in _our_lines(server) if "removed (" in line]
    (audit,) = (server.root / "state").glob("history-*.jsonl")
    entries = [json.loads(line) for line in audit.read_bytes().splitlines()]
    assert [entry["outcome"] for entry in entries] == ["removed"] * len(removed)
    assert audit.read_bytes().isascii()
    assert audit.read_bytes().count(b"\n") == len(entries)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_answer_about_a_missing_resource_names_only_the_resource(
    name: str, server: PlainServer
) -> None:
    before = server.traces()
    for kind in ("kernel", "terminal", "app"):
        body = {"kind": kind, "id": name, "minutes": 5}
        for method, path in (("POST", "remove"), ("PUT", "keep-alive"), ("POST", "activity")):
            answer = _ask(server, method, f"auto-shutdown/{path}", body)
            assert (answer.status_code, answer.json()["value"]) == (404, name)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        path = f"auto-shutdown/keep-alive?kind={kind}&id={quote(name)}"
        assert _ask(server, "DELETE", path).status_code == 200
    kept = {name: text for name, text in server.traces().items() if "keep-alive" not in name}
    assert kept == {name: text for name, text in before.items() if "keep-alive" not in name}


def test_hostile_text_in_a_setting_stays_on_its_log_line(
    server: PlainServer, tmp_path: Path
) -> None:
    for name in NAMES.values():
        rule = {"kernel_name": name[:200], "idle_timeout_minutes": 30}
        answer = _ask(server, "PATCH", "auto-shutdown/settings", {"rules": [rule]})
        assert answer.json()["user"]["rules"] == [rule]
        refused = _ask(server, "PATCH", "auto-shutdown/settings", {name: 1})
        assert (refused.status_code, refused.json()["field"]) == (400, name)
    _ask(server, "PATCH", "auto-shutdown/settings", {"rules": None})
    assert _our_lines(server)
