"""Prints the results of the ``domain`` commands for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..core.formatting import duration
from .text import Cell, Column, Page, columns, instant

if TYPE_CHECKING:
    from ..domain.actions import TidyDecision
    from ..domain.tidy import Run

#: The short name in the table of each type of resource; other types have their own name.
TYPES = {
    "KernelGateway": "Classic kernel",
    "RSessionGateway": "RStudio session",
    "RStudioServerPro": "RStudio server",
    "NotebookInstance": "Notebook inst.",
    "MLflowTrackingServer": "MLflow server",
    "SpaceStorage": "Space storage",
}

#: The word in the column EXT for each state of the extension.
EXTENSION = {"seen": "yes", "silent": "silent", "no report seen": "no", "unknown": "?"}

#: The words before the count of apps for which ``tidy`` does nothing, by the step of the plan.
KEPT_TEXTS = {
    "keep": "Kept",
    "unknown": "Kept, because something about them is unknown",
    "off": "Old or idle enough, but the policy does not delete them",
}

#: The columns that a narrow terminal leaves out, the first one first.
LEAST_NEEDED = ("REGION", "DOMAIN", "TEAM", "INSTANCE", "COST")


def show_report(page: Page, report: Mapping[str, Any], limit: int) -> None:
    """Print the ``limit`` most expensive rows, the sums, and the sources that could not be read."""
    now = instant(report["at"])
    assert now is not None
    rows = report["rows"]
    if rows:
        _table(page, [_cells(row, now) for row in rows[:limit]], _useless(rows))
        if len(rows) > limit:
            page.line(f"… and {len(rows) - limit} more (--limit {len(rows)}, --csv, --html)", "dim")
    else:
        page.line("Nothing is billed here, as far as the command could read it.")
    page.line()
    _show_sums(page, report)
    for unread in report["unread"]:
        page.line(f"unknown: {unread['source']}: {unread['message']} {unread['remedy']}", "bad")


def _cells(row: Mapping[str, Any], now: datetime) -> dict[str, Cell]:
    owner = row["owner"] or row["space"] or row["name"]
    if row["space"] and row["owner"]:
        owner = f"{row['owner']} ({row['space']})"
    hours, rate, cost = row["hours"], row["usd_per_hour"], row["usd"]
    since = instant(row["idle_since"])
    idle = duration(now - since) if since is not None else ("in use" if row["in_use"] else "?")
    extension = EXTENSION.get(row["extension"] or "", "-")
    return {
        "REGION": (row["region"], ""),
        "DOMAIN": (row["domain"] or "-", ""),
        "OWNER": (owner + (" (gone)" if row["orphan"] else ""), "strong"),
        "TEAM": (row["team"] or "-", ""),
        "TYPE": (TYPES.get(row["type"], row["type"]), ""),
        "INSTANCE": ((row["instance_type"] or "?").removeprefix("ml."), ""),
        "RUNS": ("?" if hours is None else duration(timedelta(hours=hours)), ""),
        "$/H": ("?" if rate is None else f"{rate:.2f}", ""),
        "COST": ("?" if cost is None else f"{cost:,.2f}", ""),
        "IDLE": (idle, "bad" if since is not None else ""),
        "EXT": (extension, "bad" if extension == "no" else ""),
    }


def _useless(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """The columns that have the same value in every row."""
    names = {"REGION": "region", "DOMAIN": "domain", "TEAM": "team"}
    known = list(rows)
    return {title for title, name in names.items() if len({row[name] for row in known}) == 1}


def _table(page: Page, rows: Sequence[Mapping[str, Cell]], without: set[str]) -> None:
    titles = [title for title in rows[0] if title not in without]
    if page.width is not None:
        for title in LEAST_NEEDED:
            if _width(titles, rows) > page.width and title in titles:
                titles.remove(title)
    header = [Column(title) if title == "OWNER" else title for title in titles]
    page.table(header, [[row[t] for t in titles] for row in rows])


def _width(titles: Sequence[str], rows: Sequence[Mapping[str, Cell]]) -> int:
    """The width of the table when the column OWNER has its smallest width."""
    widths = [
        max(len(title), 12 if title == "OWNER" else max(columns(row[title][0]) for row in rows))
        for title in titles
    ]
    return sum(widths) + 2 * (len(widths) - 1)


def _show_sums(page: Page, report: Mapping[str, Any]) -> None:
    total = report["totals"]["all"]
    unpriced = f", and {total['unpriced']} without a known price" if total["unpriced"] else ""
    page.line(
        f"{total['resources']} billed now: ${total['usd_per_hour']:.2f} an hour{unpriced}; "
        f"${total['usd']:,.2f} since they started (estimates: hours x list price).",
        "strong",
    )
    for name in ("domain", "team", "type", "instance_type", "owner"):
        groups = report["totals"][f"by_{name}"]
        if len(groups) > 1:
            parts = [f"{g['name'] or '-'} ${g['usd_per_hour']:.2f}/h" for g in groups[:5]]
            more = f" and {len(groups) - 5} more" if len(groups) > 5 else ""
            page.line(f"  by {name.replace('_', ' ')}: {', '.join(parts)}{more}")
    saved, would = report["saved"], report["would_save"]
    if saved["instance_hours"]:
        page.line(f"Saved in that time: {_amount(saved)}.", "good")
    if would["instance_hours"] or report["would_remove"]:
        kinds = ", ".join(f"{n} {kind}s" for kind, n in sorted(report["would_remove"].items()))
        page.line(f"The dry runs would have removed {kinds or 'nothing'}: {_amount(would)}.")


def _amount(sums: Mapping[str, Any]) -> str:
    hours = f"{sums['instance_hours']:.1f} instance hours, ${sums['usd']:,.2f}"
    unpriced = sums["unpriced_hours"]
    return hours + (f" ({unpriced:.1f} h without a known price)" if unpriced else "")


def run_as_json(run: Run) -> dict[str, Any]:
    """The plan and its results, as an object for JSON."""
    return {
        "plan": [
            {
                **decision.item.key._asdict(),
                "rule": decision.rule,
                "step": step,
                "due_at": _due(decision),
                "why": why,
                "person": run.facts.person(decision.item) or decision.item.owner,
            }
            for decision, step, why in _steps(run)
        ],
        "dry_run": run.dry_run,
        "left": run.left,
        "ended": run.ended,
        "unread": [vars(u) for u in run.facts.unread],
    }


def show_run(page: Page, run: Run, all_apps: bool) -> None:
    """Print the plan and its results. Of the apps that are kept, print the number; list each one
    only if it had a notice, or with ``all_apps``."""
    rows: list[list[Cell]] = []
    counted: dict[str, Counter[str]] = {text: Counter() for text in KEPT_TEXTS.values()}
    for decision, step, why in _steps(run):
        item = decision.item
        kept = KEPT_TEXTS.get("unknown" if decision.unknown and step == "keep" else step)
        if kept is not None and not all_apps and item not in run.withdrawn:
            counted[kept][TYPES.get(item.type, item.type)] += 1
            continue
        owner = run.facts.person(item) or item.owner
        rows.append(
            [(owner, "strong"), (item.type, ""), (step, ""), (_due(decision), ""), (why, "")]
        )
    if rows:
        page.table((Column("OWNER"), "TYPE", "STEP", "DUE", Column("WHY", sentences=True)), rows)
    elif not run.plan.decisions:
        page.line("The rules of the policy cover no app here.")
    else:
        page.line("No app is due.")
    for text, types in counted.items():
        if types:
            page.line(f"{text}: {', '.join(f'{n} {name}' for name, n in sorted(types.items()))}.")
    if any(counted.values()):
        page.line("--all lists them with the reasons.", "dim")
    for unread in run.facts.unread:
        page.line(f"unknown, so kept: {unread.source}: {unread.message} {unread.remedy}", "bad")
    if run.dry_run:
        page.line("A dry run: no notice was given and nothing was deleted.", "dim")
    if run.left:
        page.line(f"{run.left} deletions are left to the next run.")
    if run.ended:
        page.line(run.ended, "bad")


def _steps(run: Run) -> Iterator[tuple[TidyDecision, str, str]]:
    """Each decision, with the step that the run carried out in the end, and the reason for it."""
    attempts = {attempt.decision.item: attempt for attempt in run.attempts}
    noticed = {decision.item for decision in run.noticed}
    for decision in run.plan.decisions:
        attempt = attempts.get(decision.item)
        if attempt is not None:
            yield decision, attempt.result.value, attempt.detail
        else:
            step = "noticed" if decision.item in noticed else decision.step.value
            yield decision, step, decision.detail


def _due(decision: TidyDecision) -> str:
    return "" if decision.due_at is None else f"{decision.due_at:%Y-%m-%d %H:%M} UTC"
