"""``bring-back`` with real servers: starts a stopped kernel again, and runs its cells again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.api.cell_runner import run_cells
from auto_shutdown.api.client import Client
from auto_shutdown.api.discovery import running_servers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SPEC = {"name": "python3"}
NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def client() -> Client:
    (server,) = running_servers()
    return Client(server)


@pytest.fixture
def notebook(jp_root_dir: Path) -> str:
    (jp_root_dir / "train.ipynb").write_text(json.dumps(NOTEBOOK))
    return "train.ipynb"


async def in_thread(call: Any, *arguments: Any, **named: Any) -> Any:
    import asyncio

    return await asyncio.to_thread(lambda: call(*arguments, **named))


async def used_and_stopped(notebook: str, cells: list[str]) -> str:
    """Run ``cells`` in a kernel for ``notebook``, and remove the kernel. Returns its id."""
    here = client()
    session = {
        "path": notebook,
        "name": notebook,
        "type": "notebook",
        "kernel": {"name": "python3"},
    }
    started = await in_thread(here.request, "POST", "api/sessions", session, below="")
    kernel = str(started["kernel"]["id"])
    await in_thread(run_cells, here, kernel, cells, lambda _text: None)
    removed = await in_thread(here.request, "POST", "remove", {"kind": "kernel", "id": kernel})
    assert removed["outcome"] == "removed"
    return kernel


async def test_bring_back_restores_the_variables_of_a_kernel(
    command: Any, server: Any, notebook: str
) -> None:
    await server()
    assert (await command("stopped")).out == "There is nothing to bring back.\n"
    old = await used_and_stopped(notebook, ["x = 41", "y = x + 1"])
    listed = await command("stopped", "--json")
    (entry,) = listed.json["stopped"]
    assert (entry["resource"], entry["paths"], entry["cells"]) == (old, [notebook], 2)
    table = (await command("stopped")).out
    assert notebook in table
    assert "x = 41" not in table

    shown = await command("bring-back", notebook)
    assert "The kernel ran 2 cells." in shown.out
    assert shown.out.index("x = 41") < shown.out.index("y = x + 1")
    ran = await command("bring-back", entry["id"], "--run", "--json")
    assert (ran.code, ran.json["failed"]) == (0, None)
    assert ran.json["kernel"] != old
    output: list[str] = []
    await in_thread(run_cells, client(), ran.json["kernel"], ["print(y)"], output.append)
    assert output == ["42"]
    assert (await command("stopped", "--json")).json["stopped"] == []


async def test_failing_cell_ends_bring_back(command: Any, server: Any, notebook: str) -> None:
    await server()
    cells = ["x = 1", "import nothing_of_this_name", "x = 2"]
    here = client()
    session = {
        "path": notebook,
        "name": notebook,
        "type": "notebook",
        "kernel": {"name": "python3"},
    }
    started = await in_thread(here.request, "POST", "api/sessions", session, below="")
    for cell in cells:
        fails = cell.startswith("import")
        # IPython aborts a request that arrives too soon after a failed cell: send it again.
        while await in_thread(
            run_cells, here, started["kernel"]["id"], [cell], lambda _text: None
        ) != (0 if fails else None):
            pass
    body = {"kind": "kernel", "id": started["kernel"]["id"]}
    await in_thread(here.request, "POST", "remove", body)
    result = await command("bring-back", notebook, "--run")
    assert result.code == 1
    assert "ModuleNotFoundError" in result.out
    assert "Cell 2 of 3 failed. The cells after it were not run." in result.out
    assert len((await command("stopped", "--json")).json["stopped"]) == 1, "it can be tried again"


async def test_unknown_name_is_an_error_of_bring_back(command: Any, server: Any) -> None:
    await server()
    result = await command("bring-back", "nothing.ipynb")
    assert result.code == 1
    assert "No stopped kernel or terminal has the id or the path nothing.ipynb." in result.err


async def test_terminal_is_brought_back_in_its_directory(
    command: Any, server: Any, tmp_path: Path
) -> None:
    app = await server()
    here = client()
    made = await in_thread(here.request, "POST", "api/terminals", {"cwd": str(tmp_path)}, below="")
    body = {"kind": "terminal", "id": made["name"]}
    await in_thread(here.request, "POST", "remove", body)
    (entry,) = (await command("stopped", "--json")).json["stopped"]
    assert entry["directory"] == str(tmp_path)
    result = await command("bring-back", entry["id"], "--json")
    terminal = app.web_app.settings["terminal_manager"].terminals[result.json["terminal"]]
    assert os.path.samefile(f"/proc/{terminal.ptyproc.pid}/cwd", tmp_path)  # noqa: ASYNC240
    assert (await command("stopped", "--json")).json["stopped"] == []
