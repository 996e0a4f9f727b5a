"""``status`` and ``check``: print the report of the server as a table."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from ..api.server_error import ExitCode
from ..core.faults import STOPS_ALL
from ..core.formatting import duration
from ..core.model import PENDING, Snapshot
from .names import Key, full_name, key_of, short_names
from .options import Commands, add_server, client_of, command
from .text import Cell, Column, Page, instant, left_until, local_time, now_of

HEADER = (
    "KIND",
    Column("NAME", keep_end=True),
    "STATE",
    "VERDICT",
    Column("WHY", sentences=True),
    "TIME LEFT",
)

#: The beginning of the line about the place where the server runs, by the report's
#: ``platform.kind``.
PLACES = {
    "studio-classic": "On Studio Classic",
    "studio-space": "On a Studio space",
    "notebook-instance": "On a notebook instance",
    "local": "Not on SageMaker",
}

#: The header of the table of programs that run beside the kernels and terminals.
PROGRAMS_HEADER = ("PROGRAM", "STATE", "SINCE", "KEEPS APP", Column("WHY", sentences=True))

STYLES = {"ok": "good", "disabled": "notice", "degraded": "notice", "failing": "bad"}


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Show each kernel, terminal and app: whether it is kept or removed, why and when."
    add_server(command(commands, "status", summary, run_status))
    summary = "Look at everything now, and remove what is due."
    check = command(commands, "check", summary, run_check)
    check.add_argument("--dry-run", action="store_true", help="only decide, and remove nothing")
    add_server(check)


def run_status(arguments: argparse.Namespace) -> int:
    """Print the report. Returns the exit code. Raises ServerError."""
    report = client_of(arguments).request("GET", "status")
    return show(report, Page(), arguments.json)


def run_check(arguments: argparse.Namespace) -> int:
    """Let the server look at everything and remove what is due; print the outcomes and the report.
    Returns the exit code. Raises ServerError."""
    report = client_of(arguments, acts=True).request(
        "POST", "check", {"dry_run": arguments.dry_run}
    )
    page = Page()
    if not arguments.json:
        done = [o for o in report["outcomes"] if o["at"] == report["health"]["last_pass"]]
        for outcome in done:
            page.line(f"{outcome['kind']} {_name_of(outcome)}: {outcome['outcome']} "
                      f"({outcome['reason']}: {outcome['detail']})")  # fmt: skip
        page.line("" if done else "Nothing was due.")
    return show(report, page, arguments.json)


def _name_of(outcome: Mapping[str, Any]) -> str:
    """The name of the resource of an outcome, as the history shows it. The outcome of an older
    server has no name, only the id."""
    named = {"name": outcome["id"], "paths": [], **outcome}
    return full_name(named)


def show(report: Mapping[str, Any], page: Page, as_json: bool) -> int:
    """Print the report. Returns the exit code TROUBLE when its health is degraded or failing."""
    state = report["health"]["state"]
    if as_json:
        page.json(report)
    else:
        _show_health(report, page)
        names = short_names(report["resources"])
        rows = [_row(each, names, now_of(report)) for each in _in_order(report["resources"])]
        page.line()
        if rows:
            page.table(HEADER, rows)
        for line in _what_is_missing(report, listed=bool(rows)):
            page.line(line)
        _show_programs(report, page)
    return ExitCode.TROUBLE if state in ("degraded", "failing") else ExitCode.DONE


def _show_health(report: Mapping[str, Any], page: Page) -> None:
    health, platform, now = report["health"], report["platform"], now_of(report)
    place = PLACES.get(platform["kind"], platform["kind"])
    owner = platform["space_name"] or platform["user_profile_name"]
    names = [owner and f"of {owner}", platform["domain_id"] and f"in {platform['domain_id']}"]
    where = " ".join([place, *filter(None, names)])
    page.line(f"{_watching(report)} Health: {health['state']}.", STYLES.get(health["state"], ""))
    policy = report["policy"]
    limit = duration(timedelta(minutes=policy["idle_timeout_minutes"]))
    notice = duration(timedelta(minutes=policy["warn_minutes"]))
    passes = [f"Last look {_ago(health['last_ok_pass'], now)}."]
    if health["next_pass"]:
        passes.append(f"Next look in {left_until(health['next_pass'], now)}.")
    page.line(f"{where}. Idle timeout: {limit}; a notice comes {notice} before a removal.")
    page.line(" ".join(passes))
    _show_savings(report["savings"], page)
    for fault in health["faults"]:
        page.line(f"! {fault['source']}: {fault['message']} ({fault['code']})", "bad")
        page.line(f"  {fault['remedy']}")


def _what_is_missing(report: Mapping[str, Any], listed: bool) -> Iterator[str]:
    """The lines below the table of resources. ``listed``: the table has rows. Only where every list
    was read can "nothing" be true."""
    unread = report.get("unread", {})  # an older server does not say this
    code = unread.get(Snapshot.KERNELS) or unread.get(Snapshot.TERMINALS)
    if code == PENDING:
        yield "It is not known yet what is running."
    elif code is not None:
        yield "This list may be out of date." if listed else "It is not known what is running."
    elif Snapshot.APPS in unread:
        if not listed:
            yield "No kernel or terminal is running."
        waits = unread[Snapshot.APPS] == PENDING
        yield (
            "SageMaker has not sent the list of apps yet, so apps may be running and billed."
            if waits
            else "The list of apps could not be read, so other apps may be running and billed."
        )
    elif not listed:
        yield "Nothing is running."


def _show_savings(savings: Mapping[str, Any], page: Page) -> None:
    hours, unpriced = savings["instance_hours"], savings["unpriced_hours"]
    if hours <= 0:
        return
    text = f"Not billed since {local_time(savings['since'])}: {hours:.1f} instance hours"
    if hours > unpriced:
        text += f", {savings['usd']:.2f} US dollars"
    if unpriced > 0:
        text += f" ({unpriced:.1f} hours without a known price are left out)"
    page.line(f"{text}.")


def _show_programs(report: Mapping[str, Any], page: Page) -> None:
    """Print the programs that run in the server's app without a kernel or terminal of the table,
    such as kernels of papermill and programs in tmux."""
    programs = report.get("programs", [])  # an older server has none
    if not programs:
        return
    now = now_of(report)
    page.line()
    page.line("Other programs in this server's app. auto_shutdown does not end them:")
    page.table(PROGRAMS_HEADER, [_program_row(program, now) for program in programs])


def _program_row(program: Mapping[str, Any], now: datetime) -> list[Cell]:
    return [
        (_program_name(program), "strong"),
        (program["state"], ""),
        (_ago(program["started_at"], now, "-"), ""),
        ("yes" if program["keeps_app"] else "no", "good" if program["keeps_app"] else ""),
        (f"{program['reason']}: {program['detail']}", ""),
    ]


def _program_name(program: Mapping[str, Any]) -> str:
    if program["kind"] == "terminal":
        return f"{program['name']} in {program['id']}"
    return f"kernel of {program['started_by'] or 'an unknown program'} ({program['name']})"


def _watching(report: Mapping[str, Any]) -> str:
    if report["health"]["armed"]:
        return "Watching."
    if not report["policy"]["enabled"]:
        return "Switched off (the setting enabled): nothing is removed."
    if report["policy"]["dry_run"]:
        return "Dry run (the setting dry_run): nothing is removed."
    stop = next((f for f in report["health"]["faults"] if f["source"] in STOPS_ALL), None)
    if stop is not None:
        return f"Nothing is removed ({stop['source']}: {stop['code']})."
    return "Not watching."


def _ago(text: Any, now: datetime, never: str = "never") -> str:
    at = instant(text)
    return never if at is None else f"{duration(now - at)} ago"


def _in_order(resources: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each app followed by the resources that run in it, then the resources without an app."""
    apps = [r for r in resources if r["kind"] == "app"]
    ids = {app["id"] for app in apps}
    for app in apps:
        yield app
        yield from ({**r, "inside": True} for r in resources if r["app"] == app["id"])
    yield from (r for r in resources if r["kind"] != "app" and r["app"] not in ids)


def _row(resource: Mapping[str, Any], names: Mapping[Key, str], now: datetime) -> list[Cell]:
    removes = resource["action"] == "remove"
    kept = left_until(resource["kept_until"], now)
    left = f"kept {kept}" if kept and kept != "now" else left_until(resource["due_at"], now)
    kind = ("  " if resource.get("inside") else "") + resource["kind"]
    return [
        (kind, ""),
        (names[key_of(resource)], "strong"),
        (resource["state"] or "-", ""),
        (resource["action"], "notice" if removes else "good"),
        (f"{resource['reason']}: {resource['detail']}", "bad" * (resource["reason"] == "unknown")),
        (left or "-", "notice" if left else ""),
    ]
