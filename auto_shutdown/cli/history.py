"""``history``: the removals of the audit log, the newest first."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from .entries import show_entries
from .names import full_name
from .options import Commands, add_server, command
from .text import Cell, Column, local_time

HEADER = ("WHEN", "KIND", Column("NAME", keep_end=True), "OUTCOME", Column("WHY", sentences=True))

STYLES = {"removed": "good", "gone": "good", "dry-run": "dim", "stale": "dim"}

#: The outcomes after which an app has ended (or most likely has), with all that ran in it.
ENDS = ("removed", "gone", "interrupted", "pending")


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Show what was removed, when and why; the newest first."
    parser = command(commands, "history", summary, run)
    option = parser.add_argument
    option("-n", "--limit", type=int, default=20, metavar="N", help="how many (default: 20)")
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    nothing = "Nothing was removed so far."
    return show_entries(arguments, "history", HEADER, _row, nothing, limit=arguments.limit)


def _row(entry: Mapping[str, Any]) -> list[Cell]:
    resource = {"kind": "", "name": "", "paths": [], **entry, "id": entry.get("resource", "")}
    outcome = str(entry.get("outcome", ""))
    why = f"{entry.get('reason', '')}: {entry.get('detail', '')}"
    if outcome in ("still-there", "temporary", "permanent", "interrupted"):
        why = str(entry.get("outcome_detail", why))
    why += _tenants(entry)
    return [
        (local_time(entry.get("at")), ""),
        (str(resource["kind"]), ""),
        (full_name(resource), "strong"),
        (outcome, STYLES.get(outcome, "bad")),
        (why, ""),
    ]


def _tenants(entry: Mapping[str, Any]) -> str:
    """A sentence that names the kernels and terminals in an app that was removed; they have no
    entry of their own. Empty if the app had none, or was kept."""
    tenants = entry.get("tenants")
    if not tenants or entry.get("outcome") not in (*ENDS, "dry-run"):
        return ""
    names = []
    for tenant in tenants:
        maybe = "" if tenant.get("certain", True) else "perhaps "
        name = full_name({**tenant, "id": tenant["resource"]})
        names.append(f"{maybe}{tenant['kind']} {name}")
    return f" In it: {', '.join(names)}."
