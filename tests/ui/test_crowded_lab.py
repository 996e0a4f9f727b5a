"""An idle JupyterLab in an open page, with language servers, git, jupyter-resource-usage,
collaboration and MCP servers: it is removed on time, and silent cells in it are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from crowded_lab import CrowdedLab
from own_apps import LIMITS, history, long_timeout, needs_containers, report, stamp
from programs import silent_cell

from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, needs_containers]

OWN = "JupyterLab/default"


@dataclass(frozen=True)
class Case:
    """The idle timeout, and how much later than that after the last use a removal may come
    (seconds). The cells are silent for ``silent_limits`` of these timeouts."""

    limit: float
    silent_limits: float
    late: float


CASES = [
    # Processor time is measured over a quarter of the limit. In six seconds a single answer of an
    # MCP server on a busy machine may look like work, and then a removal comes one limit later.
    pytest.param(Case(24.0, 1.5, 36.0), id="short", marks=pytest.mark.timeout(300)),
    # It is measured over a minute, as with the defaults.
    pytest.param(
        Case(240.0, 1.5, 60.0), id="real", marks=[pytest.mark.soak, pytest.mark.timeout(1500)]
    ),
]


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path) as found:
        yield found


@pytest.fixture
def lab(studio: LocalStudio, case: Case) -> Iterator[CrowdedLab]:
    found = CrowdedLab(studio, {**LIMITS, "idle_timeout_minutes": case.limit / 60})
    yield found
    found.close()


def now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class Used:
    """What a person has used: ``idle`` are the ids of the kernels and the terminal that nobody uses
    after ``until``, ``working`` those of the kernels with silent cells."""

    since: datetime
    until: datetime
    idle: set[str]
    working: set[str]


def use(lab: CrowdedLab, browser: Any, flag: Path) -> Used:
    """Use the lab as a person and an agent do. They leave two cells that are silent until ``flag``
    is deleted."""
    runs = {name: lab.home / f"{name}-runs" for name in ("page", "agent", "idle")}
    marks = {name: f"open({str(path)!r}, 'w').close()" for name, path in runs.items()}
    since = now()
    with long_timeout(lab.server):
        lab.open_page(browser)
        lab.open_file("tools.py")
        terminal = lab.open_terminal()
        working = {
            lab.start_agent(f"{marks['agent']}\n{silent_cell(flag)}"),
            lab.run_notebook("work.ipynb", f"{marks['page']}\n{silent_cell(flag)}"),
        }
        lab.server.wait_for(
            "silent cells", lambda: all(runs[n].exists() for n in ("page", "agent"))
        )
        idle = lab.run_notebook("idle.ipynb", "1 + 1", marks["idle"])
        lab.server.wait_for("a cell that ends", runs["idle"].exists)
    kernels = {kernel["id"] for kernel in lab.server.request("GET", "api/kernels")}
    assert kernels > working | {idle}, "jupyter-mcp-server has a kernel of its own"
    return Used(since, now(), kernels - working | {terminal}, working)


def watch_until_idle_are_gone(lab: CrowdedLab, used: Used, case: Case) -> None:
    """Wait until the idle are gone, at least while the cells are silent. Check that what works is
    kept, and that all else runs."""
    lab.asked.clear()
    silent_for = timedelta(seconds=case.silent_limits * case.limit)
    there = used.idle
    while there or now() - used.until < silent_for:
        lab.wait(0.3)
        rows = {row["id"]: row for row in report(lab.server)["resources"]}
        assert {rows[kernel]["reason"] for kernel in used.working} == {"busy"}
        assert rows[OWN]["action"] == "keep", rows[OWN]
        there = used.idle & rows.keys()
        is_late = now() - used.until > timedelta(seconds=case.limit + case.late)
        assert not (there and is_late), [rows[ref]["detail"] for ref in there]
    assert lab.missing() == []


def wait_for_end(lab: CrowdedLab, case: Case) -> datetime:
    """Wait until the extension deletes the app. Returns when it did."""
    deadline = now() + timedelta(seconds=case.limit + case.late)
    while lab.space.status == "InService":
        lab.wait(0.3)
        assert now() < deadline, [row["detail"] for row in report(lab.server)["resources"]]
    return now()


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_idle_lab_with_all_extensions_is_removed_on_time_and_silent_cells_are_kept(
    browser: Any, lab: CrowdedLab, case: Case
) -> None:
    flag = lab.home / "at-work"
    used = use(lab, browser, flag)
    watch_until_idle_are_gone(lab, used, case)
    entries = {entry["resource"]: entry for entry in history(lab.server)}
    assert entries.keys() == used.idle
    lasted = {ref: stamp(entry["at"]) - used.since for ref, entry in entries.items()}
    assert min(lasted.values()) > timedelta(seconds=case.limit), lasted
    flag.unlink()
    ended = now()
    lasted["the app"] = wait_for_end(lab, case) - ended
    assert lasted["the app"] > timedelta(seconds=case.limit), lasted
    print({name: f"{seconds}" for name, seconds in lasted.items()}, used.until - used.since)
