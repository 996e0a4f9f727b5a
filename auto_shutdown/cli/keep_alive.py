"""``keep-alive``: hold something for a while, release it, see what is held."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from ..api.client import Client, ExitCode, ServerError
from .options import Commands, add_server, client_of, command
from .status import shown_name
from .text import Page, left_until, local_time

KINDS = ("kernel", "terminal", "app", "all")

#: A shorter beginning of an id is more likely a slip than a choice.
SHORTEST_START = 4


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Show what is kept alive, keep something for a while, or release it."
    parser = command(commands, "keep-alive", summary, run)
    parser.add_argument("kind", nargs="?", choices=KINDS, help="of what; all is everything")
    parser.add_argument(
        "name", nargs="?", help="which: its id, the start of it, its name, or its notebook"
    )
    parser.add_argument("--minutes", type=float, default=60, help="for how long (default: 60)")
    parser.add_argument("--release", action="store_true", help="release it instead")
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    kind, name = arguments.kind, arguments.name
    if (kind not in (None, "all")) != (name is not None):
        remedy = "Say which: keep-alive kernel train.ipynb, or: keep-alive all"
        raise ServerError(ExitCode.USAGE, "A kind needs a name, and all has none.", remedy)
    if arguments.release and kind is None:
        remedy = "Say which: keep-alive --release kernel train.ipynb, or: keep-alive --release all"
        raise ServerError(ExitCode.USAGE, "Nothing is named to be released.", remedy)
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
    there: list[dict[str, Any]] = []
    if kind != "all":
        there = _of_kind(client, kind, arguments.release)
        # What came since the server last looked is in no report; the server is asked for it.
        ref["id"] = _id_of(there, name) or name
    try:
        if arguments.release:
            return client.request("DELETE", "keep-alive", query=ref)
        return client.request("PUT", "keep-alive", {**ref, "minutes": arguments.minutes})
    except ServerError as error:
        if kind == "all" or _id_of(there, name):
            raise
        known = "; ".join(sorted({shown_name(r) for r in there})) or "none"
        raise ServerError(error.code, str(error), f"There is: {known}") from None


def _of_kind(client: Client, kind: str, held_too: bool) -> list[dict[str, Any]]:
    found = [r for r in client.request("GET", "status")["resources"] if r["kind"] == kind]
    if held_too:  # what is gone can still be held
        held = client.request("GET", "keep-alive")["keep_alive"]
        found += [{**h, "name": h["id"], "paths": []} for h in held if h["kind"] == kind]
    return found


def _id_of(there: Iterable[Mapping[str, Any]], name: str) -> str | None:
    """The id that ``name`` means, None for nothing; ServerError when it means several things."""
    for means in (_exactly, _by_name, _by_start):
        ids = {r["id"] for r in there if means(r, name)}
        if len(ids) > 1:
            remedy = f"Use an id: {' '.join(sorted(ids))}"
            message = f"{len(ids)} of them go by {name!r}."
            raise ServerError(ExitCode.TROUBLE, message, remedy)
        if ids:
            return str(ids.pop())
    return None


def _exactly(resource: Mapping[str, Any], name: str) -> bool:
    return bool(resource["id"] == name)


def _by_name(resource: Mapping[str, Any], name: str) -> bool:
    paths = resource["paths"]
    ends = [path.rpartition("/")[2] for path in paths]
    return name in (resource["name"], resource["id"].rpartition("/")[2], *paths, *ends)


def _by_start(resource: Mapping[str, Any], name: str) -> bool:
    return len(name) >= SHORTEST_START and str(resource["id"]).startswith(name)


def _names(client: Client) -> dict[tuple[str, str], str]:
    resources = client.request("GET", "status")["resources"]
    return {(r["kind"], r["id"]): shown_name(r) for r in resources}


def _show(
    held: Iterable[Mapping[str, Any]], names: Mapping[tuple[str, str], str], page: Page
) -> None:
    now = datetime.now(timezone.utc)
    rows = [
        [
            (hold["kind"], ""),
            (names.get((hold["kind"], hold["id"]), hold["id"]), "strong"),
            (local_time(hold["kept_until"]), ""),
            (left_until(hold["kept_until"], now), "notice"),
        ]
        for hold in held
    ]
    if rows:
        page.table(("KIND", "NAME", "KEPT UNTIL", "TIME LEFT"), rows, 1)
    else:
        page.line("Nothing is kept alive.")
