"""``settings``: shows each setting and who set it, changes settings, and resets them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from ..api.server_error import ExitCode, ServerError
from .options import Commands, add_server, client_of, command
from .text import Cell, Column, Page


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Show the settings and who set them, change settings, or reset them."
    parser = command(commands, "settings", summary, run)
    parser.add_argument(
        "changes",
        nargs="*",
        metavar="NAME=VALUE",
        help="a new value, as JSON: idle_timeout_minutes=90 keep_terminals=true; if the server "
        "refuses one value, it changes nothing",
    )
    parser.add_argument(
        "--reset",
        action="append",
        default=[],
        metavar="NAME",
        help="set this setting back to its default; may be repeated",
    )
    parser.add_argument(
        "--reset-all", action="store_true", help="set all settings back to their defaults"
    )
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    changes = {**dict.fromkeys(arguments.reset), **dict(map(_change, arguments.changes))}
    client = client_of(arguments, acts=bool(changes) or arguments.reset_all)
    if arguments.reset_all:
        before = client.request("GET", "settings")
        own = set(before["user"]) - set(before["locked"])
        changes = {**dict.fromkeys(own), **changes}
    if changes:
        view = client.request("PATCH", "settings", changes)
    else:
        view = client.request("GET", "settings")
    page = Page()
    if arguments.json:
        page.json(view)
    else:
        _show(view, page)
    return ExitCode.DONE


def _change(text: str) -> tuple[str, Any]:
    """The name and the new value in ``NAME=VALUE``. Raises ServerError."""
    name, equals, value = text.partition("=")
    if not equals:
        remedy = "Write NAME=VALUE, for example idle_timeout_minutes=90."
        raise ServerError(ExitCode.USAGE, f"{text!r} is not a setting with a value.", remedy)
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value  # a text; the server refuses it if the setting is no text


def _show(view: Mapping[str, Any], page: Page) -> None:
    rows = [_row(name, value, view) for name, value in view["settings"].items()]
    page.table(
        ("SETTING", Column("VALUE"), Column("DEFAULT"), Column("SET BY", sentences=True)), rows
    )
    page.line()
    limits = view["limits"]
    page.line(
        f"An idle timeout can be {limits['min_idle_timeout_minutes']:g} to "
        f"{limits['max_idle_timeout_minutes']:g} minutes, and a keep-alive at most "
        f"{limits['max_keep_alive_minutes']:g} minutes."
    )


def _row(name: str, value: Any, view: Mapping[str, Any]) -> list[Cell]:
    sources, style = view["sources"], ""
    who = f"the administrator ({sources[name]})" if name in sources else "the default"
    if name in view["locked"]:
        who, style = f"locked by the administrator ({sources.get('locked', '')})", "notice"
    elif name in view["user"]:
        who, style = "you", "strong"
    return [
        (name, style),
        (json.dumps(value), style),
        (json.dumps(view["defaults"][name]), "dim"),
        (who, ""),
    ]
