"""``keep-alive``: keeps a resource for some time, ends a keep-alive, or shows all keep-alives."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from ..api.client import Client
from ..api.server_error import ExitCode, ServerError
from .names import Key, find_id, short_names, unknown_name
from .options import Commands, add_server, client_of, command
from .text import Column, Page, left_until, local_time

KINDS = ("kernel", "terminal", "app", "all")


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Show the keep-alives, keep a resource for some time, or end a keep-alive."
    parser = command(commands, "keep-alive", summary, run)
    parser.add_argument(
        "kind", nargs="?", choices=KINDS, help="the kind of resource; all is everything"
    )
    parser.add_argument(
        "name", nargs="?", help="its id, the start of the id, its name, or its notebook"
    )
    parser.add_argument("--minutes", type=float, default=60, help="for how long (default: 60)")
    parser.add_argument("--note", default="", help="the reason, shown to users (200 characters)")
    parser.add_argument("--release", action="store_true", help="end the keep-alive instead")
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    kind, name = arguments.kind, arguments.name
    if (kind not in (None, "all")) != (name is not None):
        message = "The kinds kernel, terminal and app need a name, and all takes none."
        remedy = "Write for example: keep-alive kernel train.ipynb, or: keep-alive all"
        raise ServerError(ExitCode.USAGE, message, remedy)
    if arguments.release and kind is None:
        remedy = (
            "Write for example: keep-alive --release kernel train.ipynb, or: "
            "keep-alive --release all"
        )
        raise ServerError(ExitCode.USAGE, "--release needs a resource.", remedy)
    client = client_of(arguments, acts=kind is not None)
    answer = _request(client, arguments)
    page = Page()
    if arguments.json:
        page.json(answer)
    else:
        _show(answer["keep_alive"], _names(client), page)
    return ExitCode.DONE


def _request(client: Client, arguments: argparse.Namespace) -> Any:
    """Send the request that ``arguments`` describe, and return the server's answer."""
    kind, name = arguments.kind, arguments.name
    if kind is None:
        return client.request("GET", "keep-alive")
    ref = {"kind": kind}
    known: list[dict[str, Any]] = []
    if kind != "all":
        known = _resources(client, kind, arguments.release)
        # A resource that has just started is not in the report yet, but the server knows its name.
        ref["id"] = find_id(known, name) or name
    try:
        if arguments.release:
            return client.request("DELETE", "keep-alive", query=ref)
        wanted = {**ref, "minutes": arguments.minutes, "note": arguments.note}
        return client.request("PUT", "keep-alive", wanted)
    except ServerError as error:
        if kind == "all" or find_id(known, name) or error.remedy:
            raise
        raise unknown_name(error, known) from None


def _resources(client: Client, kind: str, with_held: bool) -> list[dict[str, Any]]:
    """The resources of one kind. With ``with_held``, also those that have ended and still have a
    keep-alive."""
    resources = [r for r in client.request("GET", "status")["resources"] if r["kind"] == kind]
    if with_held:
        held = client.request("GET", "keep-alive")["keep_alive"]
        resources += [{**h, "name": h["id"], "paths": []} for h in held if h["kind"] == kind]
    return resources


def _names(client: Client) -> dict[Key, str]:
    return short_names(client.request("GET", "status")["resources"])


def _show(held: Iterable[Mapping[str, Any]], names: Mapping[Key, str], page: Page) -> None:
    now, held = datetime.now(timezone.utc), list(held)
    rows = [
        [
            (hold["kind"], ""),
            (names.get((hold["kind"], hold["id"]), hold["id"]), "strong"),
            (local_time(hold["kept_until"]), ""),
            (left_until(hold["kept_until"], now), "notice"),
            (hold.get("note", ""), ""),
        ]
        for hold in held
    ]
    if rows:
        titles = ("KIND", Column("NAME", keep_end=True), "KEPT UNTIL", "TIME LEFT")
        if any(hold.get("note") for hold in held):
            page.table((*titles, Column("NOTE", sentences=True)), rows)
        else:
            page.table(titles, [row[:-1] for row in rows])
    else:
        page.line("Nothing is kept alive.")
