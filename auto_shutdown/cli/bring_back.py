"""``bring-back``: start a stopped kernel or terminal again, and run the cells that had been run."""

from __future__ import annotations

import argparse
import posixpath
from collections.abc import Mapping
from typing import Any

from ..api.client import Client
from ..api.server_error import ExitCode, ServerError
from .options import Commands, add_server, client_of, command
from .text import Page

#: Starting a kernel can start an instance.
START_SECONDS = 600.0


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Start a stopped kernel or terminal again; show or run the cells that it had run."
    parser = command(commands, "bring-back", summary, run)
    parser.add_argument("id", help="its id as `stopped` shows it, or the path of its notebook")
    parser.add_argument(
        "--run",
        dest="run_cells",
        action="store_true",
        help="run its cells in their order, up to the first error",
    )
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    client, page = client_of(arguments), Page()
    entry = _find(client, arguments.id)
    if entry["kind"] == "terminal":
        started = _start_terminal(client, entry)
        client.request("DELETE", "stopped", query={"id": entry["id"]})
        return _tell(page, arguments, {"terminal": started}, f"Terminal {started} is open.")
    kernel_id = _start_kernel(client, entry)
    cells = entry["cells"] or []
    result: dict[str, Any] = {"kernel": kernel_id, "paths": entry["paths"], "cells": cells}
    text = f"Kernel {kernel_id} has been started" + _for_paths(entry) + "."
    if not arguments.run_cells:
        _tell(page, arguments, result, text)
        if not arguments.json:
            _show_cells(page, entry)
        return ExitCode.DONE
    if not arguments.json:
        page.line(text)
    from ..api.cell_runner import run_cells  # it loads asyncio and tornado

    shown: list[str] = []
    failed = run_cells(client, kernel_id, cells, shown.append if arguments.json else page.line)
    result.update(failed=failed, output=shown)
    if failed is None:
        client.request("DELETE", "stopped", query={"id": entry["id"]})
        return _tell(page, arguments, result, f"All {len(cells)} cells were run.")
    _tell(
        page, arguments, result, f"Cell {failed + 1} of {len(cells)} failed; the rest was not run."
    )
    return ExitCode.TROUBLE


def _find(client: Client, name: str) -> Mapping[str, Any]:
    """The whole entry. Of several with one path the newest. Raises ServerError."""
    entries = client.request("GET", "stopped")["stopped"]
    found = next((e for e in entries if name == e["id"] or name in e["paths"]), None)
    if found is None:
        message = f"There is nothing called {name} to bring back."
        raise ServerError(ExitCode.TROUBLE, message, "See: jupyter auto-shutdown stopped")
    entry: Mapping[str, Any] = client.request("GET", "stopped", query={"id": found["id"]})
    return entry


def _start_terminal(client: Client, entry: Mapping[str, Any]) -> str:
    body = {"cwd": entry["directory"]} if entry["directory"] else {}
    return str(client.request("POST", "api/terminals", body, below="")["name"])


def _start_kernel(client: Client, entry: Mapping[str, Any]) -> str:
    """Start a kernel of the same spec, for the notebook where there was one. Returns its id."""
    spec = {"name": entry["kernel_name"]}
    if not entry["paths"]:
        return str(_post(client, "api/kernels", spec)["id"])
    path = entry["paths"][0]
    session = {"path": path, "name": posixpath.basename(path), "type": "notebook", "kernel": spec}
    return str(_post(client, "api/sessions", session)["kernel"]["id"])


def _post(client: Client, target: str, body: Mapping[str, Any]) -> Any:
    return client.request("POST", target, body, seconds=START_SECONDS, below="")


def _for_paths(entry: Mapping[str, Any]) -> str:
    where = f" on {entry['instance_type']}" if entry["instance_type"] else ""
    return (f" for {entry['paths'][0]}" if entry["paths"] else "") + where


def _show_cells(page: Page, entry: Mapping[str, Any]) -> None:
    cells = entry["cells"]
    if cells is None:
        page.line("The kernel could not be asked which cells it had run.", "dim")
        return
    note = "" if entry["complete"] else " The first cells are missing: there were too many."
    page.line(f"{len(cells)} cells had been run. --run runs them in this order.{note}", "dim")
    for number, cell in enumerate(cells, 1):
        page.line(f"-- {number}", "dim")
        for line in cell.splitlines():
            page.line(line)


def _tell(page: Page, arguments: argparse.Namespace, result: Any, text: str) -> int:
    if arguments.json:
        page.json(result)
    else:
        page.line(text)
    return ExitCode.DONE
