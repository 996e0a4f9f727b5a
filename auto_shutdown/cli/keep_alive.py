"""``keep-alive``: keep a resource for a while, release it, show what is kept."""

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
    summary = "Show what is kept alive, keep something for a while, or release it."
    parser = command(commands, "keep-alive", summary, run)
    parser.add_argument(
        "kind", nargs="?", choices=KINDS, help="which kind of resource; all means everything"
    )
    parser.add_argument(
        "name", nargs="?", help="which one: its id, the start of it, its name, or its notebook"
    )
    parser.add_argument("--minutes", type=float, default=60, help="for how long (default: 60)")
    parser.add_argument("--note", default="", help="why, for whoever sees it (200 characters)")
    parser.add_argument("--release", action="store_true", help="end its keep-alive instead")
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    kind, name = arguments.kind, arguments.name
    if (kind not in (None, "all")) != (name is not None):
        remedy = "Write: keep-alive kernel train.ipynb, or: keep-alive all"
        raise ServerError(ExitCode.USAGE, "A kind needs a name, and all takes none.", remedy)
    if arguments.release and kind is None:
        remedy = "Write: keep-alive --release kernel train.ipynb, or: keep-alive --release all"
        raise ServerError(ExitCode.USAGE, "--release needs a resource.", remedy)
    client = client_of(arguments)
    answer = _do(client, arguments)
    page = Page()
    if arguments.json:
        page.json(answer)
    else:
        _show(answer["keep_alive"], _names(client), page)
    return ExitCode.DONE


def _do(client: Client, arguments: argparse.Namespace) -> Any:
    kind, name = arguments.kind, arguments.name
    if kind is None:
        return client.request("GET", "keep-alive")
    ref = {"kind": kind}
    known: list[dict[str, Any]] = []
    if kind != "all":
        known = _of_kind(client, kind, arguments.release)
        # A resource that started since the server last looked is in no report; the server knows.
        ref["id"] = find_id(known, name) or name
    try:
        if arguments.release:
            return client.request("DELETE", "keep-alive", query=ref)
        wanted = {**ref, "minutes": arguments.minutes, "note": arguments.note}
        return client.request("PUT", "keep-alive", wanted)
    except ServerError as error:
        if kind == "all" or find_id(known, name):
            raise
        raise unknown_name(error, known) from None


def _of_kind(client: Client, kind: str, with_held: bool) -> list[dict[str, Any]]:
    found = [r for r in client.request("GET", "status")["resources"] if r["kind"] == kind]
    if with_held:  # a keep-alive can outlive its resource
        held = client.request("GET", "keep-alive")["keep_alive"]
        found += [{**h, "name": h["id"], "paths": []} for h in held if h["kind"] == kind]
    return found


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
            page.table((*titles, Column("NOTE")), rows)
        else:
            page.table(titles, [row[:-1] for row in rows])
    else:
        page.line("Nothing is kept alive.")
