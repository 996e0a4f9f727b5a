"""``bring-back``: starts a stopped kernel or terminal again, and runs the cells of the kernel."""

from __future__ import annotations

import argparse
import posixpath
from collections.abc import Mapping
from typing import Any

from ..api.client import Client
from ..api.server_error import ExitCode, ServerError
from .options import Commands, add_server, client_of, command
from .text import Page

#: How many seconds the start of a kernel may take. It can start an instance.
START_SECONDS = 600.0


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Start a stopped kernel or terminal again; show or run the cells that the kernel ran."
    parser = command(commands, "bring-back", summary, run)
    parser.add_argument("id", help="the ID that `stopped` shows, or the path of the notebook")
    parser.add_argument(
        "--run",
        dest="run_cells",
        action="store_true",
        help="run the cells in the same order, up to the first error",
    )
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    client, page = client_of(arguments, acts=True), Page()
    entry = _find(client, arguments.id)
    if entry["kind"] == "terminal":
        started = _start_terminal(client, entry)
        client.request("DELETE", "stopped", query={"id": entry["id"]})
        return _print_result(page, arguments, {"terminal": started}, f"Terminal {started} is open.")
    kernel_id = _start_kernel(client, entry)
    cells = entry["cells"] or []
    result: dict[str, Any] = {"kernel": kernel_id, "paths": entry["paths"], "cells": cells}
    text = f"Kernel {kernel_id} has been started" + _for_paths(entry) + "."
    if not arguments.run_cells:
        _print_result(page, arguments, result, text)
        if not arguments.json:
            _show_cells(page, entry)
        return ExitCode.DONE
    if not arguments.json:
        page.line(text)
    from ..api.cell_runner import run_cells  # imported here, because it loads asyncio and tornado

    output: list[str] = []
    failed = run_cells(client, kernel_id, cells, output.append if arguments.json else page.line)
    result.update(failed=failed, output=output)
    if failed is None:
        client.request("DELETE", "stopped", query={"id": entry["id"]})
        return _print_result(page, arguments, result, f"All {len(cells)} cells were run.")
    text = f"Cell {failed + 1} of {len(cells)} failed. The cells after it were not run."
    _print_result(page, arguments, result, text)
    return ExitCode.TROUBLE


def _find(client: Client, name: str) -> Mapping[str, Any]:
    """The entry with this id, or the newest entry with this path, and its cells. Raises
    ServerError."""
    entries = client.request("GET", "stopped")["stopped"]
    summary = next((e for e in entries if name == e["id"] or name in e["paths"]), None)
    if summary is None:
        message = f"No stopped kernel or terminal has the id or the path {name}."
        remedy = "`jupyter auto-shutdown stopped` shows those that can be started again."
        raise ServerError(ExitCode.TROUBLE, message, remedy)
    entry: Mapping[str, Any] = client.request("GET", "stopped", query={"id": summary["id"]})
    return entry


def _start_terminal(client: Client, entry: Mapping[str, Any]) -> str:
    body = {"cwd": entry["directory"]} if entry["directory"] else {}
    return str(client.request("POST", "api/terminals", body, below="")["name"])


def _start_kernel(client: Client, entry: Mapping[str, Any]) -> str:
    """Start a kernel of the same kernelspec, for the same notebook if there was one. Returns the id
    of the kernel."""
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
        page.line("It is not known which cells the kernel ran: it did not answer.", "dim")
        return
    note = "" if entry["complete"] else " The first cells are missing, because there were too many."
    page.line(f"The kernel ran {len(cells)} cells. --run runs them in this order.{note}", "dim")
    for number, cell in enumerate(cells, 1):
        page.line(f"-- {number}", "dim")
        for line in cell.splitlines():
            page.line(line)


def _print_result(page: Page, arguments: argparse.Namespace, result: Any, text: str) -> int:
    """Print ``result`` as JSON with ``--json``, else the sentence ``text``."""
    if arguments.json:
        page.json(result)
    else:
        page.line(text)
    return ExitCode.DONE
