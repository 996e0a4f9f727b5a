"""``stopped``: the kernels and terminals that were removed and can be brought back."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from ..api.client import ExitCode
from .names import full_name
from .options import Commands, add_server, client_of, command
from .text import Cell, Column, Page, local_time

HEADER = ("STOPPED", "KIND", Column("NAME", keep_end=True), "CELLS", "ID")


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Show what was stopped within a week and can be brought back."
    parser = command(commands, "stopped", summary, run)
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    answer = client_of(arguments).request("GET", "stopped")
    page = Page()
    if arguments.json:
        page.json(answer)
    else:
        page.rows(HEADER, map(_row, answer["stopped"]), "There is nothing to bring back.")
    return ExitCode.DONE


def _row(entry: Mapping[str, Any]) -> list[Cell]:
    cells = "not known" if entry["cells"] is None else str(entry["cells"])
    if entry["kind"] == "terminal":
        cells = ""
    return [
        (local_time(entry["at"]), ""),
        (entry["kind"], ""),
        (full_name({**entry, "id": entry["resource"]}), "strong"),
        (cells + ("" if entry["complete"] or entry["cells"] is None else "+"), ""),
        (entry["id"], "dim"),
    ]
