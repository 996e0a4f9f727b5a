"""A real server with the extension, and the command line beside it, as a person runs it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from waiting import eventually

from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.cli.main import main


@dataclass
class CommandResult:
    """The result of one call of the command line."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Awaitable[CommandResult]]


@pytest.fixture
def admin() -> dict[str, Any]:
    return {}


@pytest.fixture
def jp_server_config(tmp_path: Path, admin: dict[str, Any]) -> dict[str, Any]:
    return {
        "ServerApp": {
            "jpserver_extensions": {"auto_shutdown": True, "jupyter_server_terminals": True},
            "disable_check_xsrf": False,
        },
        "AutoShutdown": {
            "state_dir": str(tmp_path / "state"),
            "metadata_path": str(tmp_path / "none.json"),
            **admin,
        },
    }


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """``await command("status", "--json")``, in a thread: the server has the loop."""

    async def run(*argv: str) -> CommandResult:
        capsys.readouterr()
        try:
            code = await asyncio.to_thread(main, argv)
        except SystemExit as error:  # argparse
            code = int(error.code or 0)
        out, err = capsys.readouterr()
        return CommandResult(code, out, err)

    return run


@pytest.fixture
def server(
    jp_serverapp: Any, http_server: Any, http_server_port: Any
) -> Callable[[], Awaitable[Any]]:
    """The server after the extension's first pass, with a runtime file that names its port. The
    first pass reads the state files, so a test must write its own after it."""

    jp_serverapp.port = http_server_port[-1]
    jp_serverapp.write_server_info_file()

    async def started() -> Any:
        settings = jp_serverapp.web_app.settings

        def watches() -> bool:
            controller = settings.get(CONTROLLER)
            if controller is None:  # a test without the extension has none
                return CONTROLLER in settings
            return bool(controller.report()["health"]["last_pass"])

        await eventually(watches, "the extension starts")
        return jp_serverapp

    return started
