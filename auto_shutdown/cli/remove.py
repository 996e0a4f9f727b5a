"""``remove``: shuts down a kernel, terminal or app now. It asks first."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from ..api.client import Client
from ..api.server_error import ExitCode, ServerError
from ..core.decision import Reason
from ..world.platform import NOTEBOOK_INSTANCE, STUDIO_SPACE
from . import this
from .names import find_id, key_of, short_names, unknown_name
from .options import Commands, add_server, client_of, command
from .text import Page

KINDS = ("kernel", "terminal", "app")

#: The reasons with which a resource is not in use. With any other reason, somebody may be using it.
NOT_IN_USE = frozenset(
    {
        Reason.IDLE.value,
        Reason.APP_REMOVED.value,
        Reason.MAX_BUSY.value,
        Reason.REQUESTED.value,
        Reason.BACKING_OFF.value,
        Reason.IN_USE.value,  # of an app: its kernels and terminals have reasons of their own
        Reason.NOT_COVERED.value,
    }
)

#: Outcomes after which the resource is gone, or would be without dry_run.
DONE = ("removed", "gone", "dry-run")


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Remove a kernel, a terminal or an app now; it asks first."
    parser = command(commands, "remove", summary, run)
    parser.add_argument("kind", nargs="?", choices=KINDS, help="default with --this: kernel")
    parser.add_argument(
        "name", nargs="?", help="its id, the start of the id, its name, or its notebook"
    )
    parser.add_argument(
        "--this",
        action="store_true",
        help="the kernel (or, with `app`, the app) in which this command runs",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask; scripts need this option")
    parser.add_argument(
        "--even-if-in-use",
        action="store_true",
        help="with --yes: also if the resource, or something in the app, is in use",
    )
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    kind = arguments.kind or ("kernel" if arguments.this else None)
    if kind is None or (arguments.name is None) is not arguments.this:
        remedy = "Write for example: remove kernel train.ipynb, or: remove app --this --yes"
        raise ServerError(ExitCode.USAGE, "remove needs one resource.", remedy)
    client = _client(arguments)
    # Let the server look at everything now: since its last report, a cell may have begun.
    report = client.request("POST", "check", {"dry_run": True})
    resources = report["resources"]
    name = _id(client, report, kind, arguments)
    named = next((r for r in resources if key_of(r) == (kind, name)), None)
    in_use = _in_use(report, kind, name)
    label = short_names(resources).get((kind, name), name)
    if not arguments.yes:
        _show(kind, label, in_use, Page())
        if arguments.json or not _ask():
            options = "--yes --even-if-in-use" if in_use else "--yes"
            print(f"Nothing was removed. Use {options} to remove it.", file=sys.stderr)
            return ExitCode.TROUBLE
    elif in_use and not arguments.even_if_in_use:
        message = f"The {kind} {label} is in use: {'; '.join(in_use)}."
        remedy = "Nothing was removed. To remove it although it is in use, add --even-if-in-use."
        raise ServerError(ExitCode.TROUBLE, message, remedy)
    try:
        outcome = client.request("POST", "remove", {"kind": kind, "id": name})
    except ServerError as error:
        if named is not None or arguments.this or error.remedy:
            raise
        raise unknown_name(error, [r for r in resources if r["kind"] == kind]) from None
    page = Page()
    if arguments.json:
        page.json(outcome)
    else:
        text = outcome.get("outcome_detail") or outcome.get("detail") or ""
        page.line(f"{kind} {label}: {outcome['outcome']}. {text}".strip())
    return ExitCode.DONE if outcome["outcome"] in DONE else ExitCode.TROUBLE


def _client(arguments: argparse.Namespace) -> Client:
    """The client of the chosen server. Raises ServerError. In a KernelGateway app, where no server
    runs, the remedy is the AWS command that ends the app."""
    try:
        return client_of(arguments, acts=True)
    except ServerError as error:
        advice = this.gateway_advice() if arguments.this else ""
        if error.code is not ExitCode.NO_SERVER or not advice:
            raise
        raise ServerError(error.code, str(error), advice) from None


def _id(client: Client, report: Mapping[str, Any], kind: str, arguments: argparse.Namespace) -> str:
    """The id of the resource that the arguments choose. Raises ServerError."""
    same_kind = [r for r in report["resources"] if r["kind"] == kind]
    if not arguments.this:
        return find_id(same_kind, arguments.name) or str(arguments.name)
    if kind == "app":
        return this.app_here(client, report)
    if kind == "kernel":
        return this.kernel_here(same_kind)
    message = "--this works for a kernel and an app, not for a terminal."
    raise ServerError(ExitCode.USAGE, message, "Name the terminal: remove terminal 1")


def _in_use(report: Mapping[str, Any], kind: str, name: str) -> list[str]:
    """One phrase for each resource in use that would be removed: the resource itself, and
    everything in an app. The kernel or terminal in which this command runs does not count, because
    its work is this command."""
    resources = report["resources"]
    # In a space and on a notebook instance, all resources run in the one app.
    all_inside = kind == "app" and report["platform"]["kind"] in (STUDIO_SPACE, NOTEBOOK_INSTANCE)
    own = this.own_resources(resources)
    names = short_names(resources)
    return [
        f"{r['kind']} {names[key_of(r)]} ({r['reason']}: {r['detail'].rstrip('.')})"
        for r in resources
        if key_of(r) not in own
        and r["reason"] not in NOT_IN_USE
        and (key_of(r) == (kind, name) or (kind == "app" and (all_inside or r["app"] == name)))
    ]


def _show(kind: str, label: str, in_use: list[str], page: Page) -> None:
    page.line(f"This shuts down the {kind} {label}. Everything in it ends, and variables are lost.")
    for each in in_use:
        page.line(f"  In use: {each}.", "bad")


def _ask() -> bool:
    """Whether the user answers yes. False where nobody can answer."""
    if not sys.stdin.isatty():
        return False
    return input("Remove it? [y/N] ").strip().lower() in ("y", "yes")
