"""``stopped``: the removed kernels and terminals that ``bring-back`` can start again."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from .entries import show_entries
from .names import full_name
from .options import Commands, add_server, command
from .text import Cell, Column, local_time

HEADER = ("STOPPED", "KIND", Column("NAME", keep_end=True), "CELLS", "ID")


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Show what was stopped within a week and can be started again."
    parser = command(commands, "stopped", summary, run)
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    return show_entries(arguments, "stopped", HEADER, _row, "There is nothing to bring back.")


def _row(entry: Mapping[str, Any]) -> list[Cell]:
    cells = "unknown" if entry["cells"] is None else str(entry["cells"])
    if entry["kind"] == "terminal":
        cells = ""
    # The plus sign says that the first cells are missing.
    return [
        (local_time(entry["at"]), ""),
        (entry["kind"], ""),
        (full_name({**entry, "id": entry["resource"]}), "strong"),
        (cells + ("" if entry["complete"] or entry["cells"] is None else "+"), ""),
        (entry["id"], "dim"),
    ]
