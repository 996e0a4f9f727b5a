"""Each command with a real server: its effect, its output, and its exit code."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.api.connection import exchange
from auto_shutdown.cli import history
from auto_shutdown.cli.status import _show_savings
from auto_shutdown.cli.text import Page
from auto_shutdown.config.settings import FIELDS


@pytest.fixture
def admin() -> dict[str, Any]:
    return {"locked": ["dry_run"]}


async def terminal(jp_fetch: Callable[..., Any], name: str = "1") -> None:
    await jp_fetch("api", "terminals", method="POST", body=json.dumps({"name": name}))


async def test_status_is_a_table_for_people(command: Any, server: Any, jp_fetch: Any) -> None:
    await server()
    await terminal(jp_fetch)
    await command("check")
    result = await command("status")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "Watching. Health: ok."
    assert lines[1] == ("Not on SageMaker. Idle timeout: 2 h; a notice comes 5 m before a removal.")
    header = next(i for i, line in enumerate(lines) if line.startswith("KIND"))
    assert lines[header].split() == ["KIND", "NAME", "STATE", "VERDICT", "WHY", "TIME", "LEFT"]
    cells = lines[header + 1].split()
    assert cells[:2] == ["terminal", "1"]
    assert "keep" in cells
    assert lines[header].index("VERDICT") == lines[header + 1].index("keep")
    assert "\x1b" not in result.out  # no terminal, no colours


async def test_json_output_is_the_answer_of_the_server(
    command: Any, server: Any, jp_fetch: Any
) -> None:
    await server()
    for name, path in (("status", "status"), ("settings", "settings"), ("history", "history")):
        result = await command(name, "--json")
        answer = json.loads((await jp_fetch("auto-shutdown", path)).body)
        assert set(result.json) == set(answer)
        assert result.code == 0


async def test_status_without_resources_says_so(command: Any, server: Any) -> None:
    await server()
    assert (await command("status")).out.endswith("\nNothing is running.\n")


async def test_status_shows_a_fault_and_fails(command: Any, server: Any, tmp_path: Path) -> None:
    """A settings file that cannot be read is a fault of the running server."""
    await server()
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / "settings.json").write_text("{")
    result = await command("check")
    assert result.code == 1
    assert "Health: degraded." in result.out
    assert "! settings: " in result.out
    assert "set the missing values again" in result.out


async def test_check_with_dry_run_removes_nothing(command: Any, server: Any) -> None:
    app = await server()
    result = await command("check", "--dry-run", "--json")
    assert result.code == 0
    controller = app.web_app.settings["auto_shutdown_controller"]
    assert result.json["health"]["last_pass"] == controller.report()["health"]["last_pass"]
    assert (await command("check")).out.startswith("Nothing was due.\n")


async def test_settings_are_shown_changed_and_reset(command: Any, server: Any) -> None:
    await server()
    shown = (await command("settings")).out
    assert all(f"\n{name} " in shown for name in FIELDS)
    assert "An idle timeout can be 10 to 525600 minutes" in shown
    result = await command("settings", "idle_timeout_minutes=90", "keep_terminals=true", "--json")
    assert (result.code, result.json["user"]) == (
        0,
        {"idle_timeout_minutes": 90, "keep_terminals": True},
    )
    rows = [line.split() for line in (await command("settings")).out.splitlines()]
    assert ["idle_timeout_minutes", "90", "120", "you"] in rows
    result = await command("settings", "--reset", "idle_timeout_minutes", "--json")
    assert result.json["user"] == {"keep_terminals": True}
    assert (await command("settings", "--reset-all", "--json")).json["user"] == {}


async def test_settings_show_the_source_of_each_value(command: Any, server: Any) -> None:
    await server()
    lines = (await command("settings")).out.splitlines()
    (row,) = (line for line in lines if line.startswith("dry_run"))
    assert row.endswith("locked by the administrator (the program that started the server)")


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ("idle_timeout_minutes=5", 1, "must be at least 10"),
        ("idle_timeout_minutes=soon", 1, "must be a number of minutes"),
        ("enabled=1", 1, "must be true or false"),
        ("no_such=1", 1, "There is no setting 'no_such'"),
        ("dry_run=true", 1, "set by the administrator"),
        ("idle_timeout_minutes", 2, "not a setting with a value"),
    ],
)
async def test_a_refused_setting_says_why_and_changes_nothing(
    change: str, code: int, message: str, command: Any, server: Any
) -> None:
    await server()
    result = await command("settings", "keep_terminals=true", change)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert (await command("settings", "--json")).json["user"] == {}


async def test_keep_alive_accepts_any_name_of_a_resource_and_is_released(
    command: Any, server: Any, jp_fetch: Any
) -> None:
    await server()
    await terminal(jp_fetch, "training")
    await command("check")
    assert (await command("keep-alive")).out == "Nothing is kept alive.\n"
    for name in ("training", "trai"):
        result = await command("keep-alive", "terminal", name, "--minutes", "90")
        assert result.code == 0
        row = result.out.splitlines()[1].split()
        assert row[:2] == ["terminal", "training"]
        assert row[-4:] in (["1", "h", "30", "m"], ["1", "h", "29", "m"])
        result = await command("keep-alive", "--release", "terminal", name)
        assert result.out == "Nothing is kept alive.\n"
    result = await command("keep-alive", "all", "--json")
    assert [hold["kind"] for hold in result.json["keep_alive"]] == ["all"]
    assert (await command("keep-alive", "all", "--release", "--json")).json == {"keep_alive": []}


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (("kernel", "nope"), 1, "There is no kernel nope here. These exist: none"),
        (("terminal", "nope"), 1, "These exist: training; traveling"),
        (("terminal", "tra"), 1, "There is no terminal tra here."),
        (("terminal", "trai", "--minutes", "0"), 1, "above 0 and at most 1440"),
        (("all", "--minutes", "9999"), 1, "at most 1440. The limit is 1440."),
        (("kernel",), 2, "terminal and app need a name"),
        (("all", "it"), 2, "terminal and app need a name"),
        (("--release",), 2, "--release needs a resource"),
        (("ufo", "x"), 2, "invalid choice"),
    ],
)
async def test_a_refused_keep_alive_says_why(
    argv: tuple[str, ...], code: int, message: str, command: Any, server: Any, jp_fetch: Any
) -> None:
    await server()
    for name in ("training", "traveling"):
        await terminal(jp_fetch, name)
    await command("check")
    result = await command("keep-alive", *argv)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert (await command("keep-alive", "--json")).json == {"keep_alive": []}


async def test_a_resource_that_has_just_appeared_can_be_kept(
    command: Any, server: Any, jp_fetch: Any
) -> None:
    await server()
    await command("check")
    await terminal(jp_fetch, "fresh")
    result = await command("keep-alive", "terminal", "fresh", "--json")
    assert [hold["id"] for hold in result.json["keep_alive"]] == ["fresh"]


async def test_ambiguous_name_is_an_error(command: Any, server: Any, jp_fetch: Any) -> None:
    await server()
    for name in ("training-a", "training-b"):
        await terminal(jp_fetch, name)
    await command("check")
    result = await command("keep-alive", "terminal", "training")
    assert result.code == 1
    assert "The name 'training' fits 2 terminals. Use a path or an id." in result.err
    assert "training-a: training-a; training-b: training-b" in result.err


async def test_history_is_newest_first_and_limited(
    command: Any, server: Any, jp_fetch: Any
) -> None:
    await server()
    assert (await command("history")).out == "Nothing was removed so far.\n"
    for name in ("old", "young"):
        await terminal(jp_fetch, name)
        body = json.dumps({"kind": "terminal", "id": name})
        await jp_fetch("auto-shutdown", "remove", method="POST", body=body)
    lines = (await command("history", "-n", "5")).out.splitlines()
    assert [line.split()[3:5] for line in lines[1:]] == [["young", "removed"], ["old", "removed"]]
    newest = (await command("history", "-n", "1", "--json")).json["history"]
    assert [entry["resource"] for entry in newest] == ["young"]
    result = await command("history", "-n", "0")
    assert (result.code, result.out) == (1, "")
    assert "from 1 to 1000" in result.err


@pytest.mark.parametrize(
    ("outcome", "named"), [("removed", True), ("interrupted", True), ("permanent", False)]
)
def test_history_names_the_terminals_that_ended_with_an_app(outcome: str, named: bool) -> None:
    image = "arn:aws:sagemaker:us-west-2:1:image/datascience-1.0__1__ml.t3.medium"
    tenants = [
        {"kind": "terminal", "resource": image, "name": image, "paths": [], "certain": True},
        {"kind": "kernel", "resource": "k", "name": "p", "paths": ["a/b.ipynb"], "certain": False},
    ]
    entry = {"at": "2026-01-01T00:00:00Z", "kind": "app", "resource": "KernelGateway/a"}
    why, _ = history._row({**entry, "name": "a", "outcome": outcome, "tenants": tenants})[-1]
    sentence = "In it: terminal datascience-1.0 1, perhaps kernel a/b.ipynb."
    assert (sentence in why) == named


async def test_control_characters_in_names_are_escaped(
    command: Any, server: Any, jp_fetch: Any
) -> None:
    await server()
    await terminal(jp_fetch, "\x1b[2Jgone\nok  terminal")
    await command("check")
    for argv in (("status",), ("keep-alive", "terminal", "nope")):
        result = await command(*argv)
        assert "\x1b" not in result.out + result.err
        assert r"\x1b[2Jgone\nok  terminal" in result.out + result.err


@pytest.mark.parametrize(
    ("hours", "unpriced", "usd", "message"),
    [
        (0, 0, 0, ""),
        (12.25, 0, 3.5, "12.2 instance hours, 3.50 US dollars."),
        (
            12,
            2,
            3.5,
            "12.0 instance hours, 3.50 US dollars (2.0 hours without a known price are left out).",
        ),
        (2, 2, 0, "2.0 instance hours (2.0 hours without a known price are left out)."),
    ],
)
def test_savings_are_shown_with_the_known_prices(
    hours: float, unpriced: float, usd: float, message: str
) -> None:
    stream = io.StringIO()
    savings = {"since": "2026-03-01T12:00:00.000Z", "instance_hours": hours, "usd": usd}
    _show_savings({**savings, "unpriced_hours": unpriced}, Page(stream))
    assert stream.getvalue().partition(": ")[2] == (message and message + "\n")


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_server_whose_name_is_a_loopback_address_is_reached(
    family: int, command: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--ip=$(hostname)``, where ``/etc/hosts`` has ``127.0.0.1`` for the name. Jupyter then
    refuses each request whose header ``Host`` is that name."""
    name, resolve = "my-machine", socket.getaddrinfo

    def with_name(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host != name:
            return resolve(host, port, *args, **options)
        to_connect = resolve("127.0.0.1", port, *args, **options)
        address = ("::1", port, 0, 0)
        # The server under test has no IPv6 address. Only the header is made from this one.
        as_ipv6 = [(family, socket.SOCK_STREAM, 6, "", address)]
        return as_ipv6 if family == socket.AF_INET6 and port == 0 else to_connect

    app = await server()
    monkeypatch.setattr(socket, "getaddrinfo", with_name)
    app.ip = name
    app.write_server_info_file()
    url = f"http://{name}:{app.port}"
    header = {"Host": f"{name}:{app.port}"}
    refused = await asyncio.to_thread(exchange, url, "GET", f"{app.base_url}api", None, header, 5)
    assert refused.status == 403
    assert (await command("status", "--json")).code == 0
