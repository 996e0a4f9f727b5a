"""The findings of the doctor about a real running server, in each of its states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.world.stop_switch import StopSwitch


async def result(command: Any) -> tuple[str, str]:
    """Level and message of the one line on the server."""
    told = (await command("doctor", "--json")).json
    (line,) = (f for f in told["findings"] if f["check"] == "server")
    assert (line["level"] == "ok") == (line["remedy"] == "")
    return line["level"], line["message"]


async def test_the_doctor_says_that_the_extension_watches(command: Any, server: Any) -> None:
    await server()
    level, message = await result(command)
    assert (level, "watching" in message) == ("ok", True)


async def test_log_of_a_started_server_says_what_it_shuts_down(
    server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = await server()
    app.log.addHandler(caplog.handler)
    extension = app.extension_manager.extension_points["auto_shutdown"].app
    await extension.stop_extension()
    extension._stopped = False
    await extension._start()
    app.log.removeHandler(caplog.handler)
    assert "outside of SageMaker: armed. It shuts down kernels and terminals after" in caplog.text


@pytest.mark.parametrize(
    ("change", "word"), [("enabled=false", "switched off"), ("dry_run=true", "dry run")]
)
async def test_the_doctor_warns_when_removals_are_off(
    change: str, word: str, command: Any, server: Any
) -> None:
    await server()
    assert (await command("settings", change)).code == 0
    level, message = await result(command)
    assert (level, word in message) == ("warning", True)


async def test_the_doctor_reports_a_fault_of_the_server(
    command: Any, server: Any, tmp_path: Path
) -> None:
    await server()
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / "settings.json").write_text("{")
    await command("check")
    level, message = await result(command)
    assert (level, "settings: " in message) == ("warning", True)


async def test_doctor_and_status_say_that_an_administrator_has_stopped_removals(
    command: Any, server: Any, tmp_path: Path
) -> None:
    """The server watches, so a restart would change nothing."""
    app = await server()
    stop = tmp_path / "stop"
    stop.write_text("incident")
    switch = app.web_app.settings[CONTROLLER]._objections.emergency_stop
    switch._switch = StopSwitch(file=str(stop))
    switch._stop = await switch._switch.read()
    await command("check")
    level, message = await result(command)
    assert level == "failure"
    assert "An administrator has stopped all removals: incident" in message
    shown = (await command("status")).out
    assert "Nothing is removed (stop-switch: Stopped). Health: failing." in shown


async def test_doctor_reports_an_extension_that_has_not_started(command: Any, server: Any) -> None:
    app = await server()
    controller = app.web_app.settings.pop(CONTROLLER)
    level, message = await result(command)
    app.web_app.settings[CONTROLLER] = controller
    assert (level, "is starting" in message) == ("failure", True)
    assert (await command("doctor")).code == 1


async def test_a_server_that_refuses_access_is_a_failure(command: Any, server: Any) -> None:
    """The state of the extension is unknown then, so the doctor must not end with success."""
    app = await server()
    app.identity_provider.token = "another"
    level, message = await result(command)
    assert (level, "refuses access" in message) == ("failure", True)
    assert (await command("doctor")).code == 1


async def test_listed_server_that_is_not_reached_is_a_failure(
    command: Any, server: Any, jp_serverapp: Any
) -> None:
    app = await server()
    app.port = 9  # nobody listens there
    app.write_server_info_file()
    level, message = await result(command)
    assert (level, "cannot be reached" in message) == ("failure", True)
    assert (await command("doctor")).code == 1
