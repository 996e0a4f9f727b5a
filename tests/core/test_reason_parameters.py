"""The parameters of a reason: each is documented, and the panel can build each sentence from them.

``labextension/src/__tests__/reports/sentences.json`` holds each sentence that the tables of
``planner_tables`` give; the panel's own tests read it. AUTO_SHUTDOWN_RECORD=1 writes it anew.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from app_tables import APP_ROWS
from planner_tables import HOUR, IDLE_SCENE, KERNEL_ROWS, REMOVED_KERNEL_ROWS, low_host_use
from scene import APP, IMAGE_TERMINAL, NOW, TERMINAL
from terminal_tables import REMOVED_TERMINAL_ROWS, TERMINAL_ROWS
from test_worth_stopping import ON, planned

from auto_shutdown.core.decision import Reason
from auto_shutdown.core.under_way import with_removals_under_way

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reason-parameters.md"
RECORDED = ROOT / "labextension" / "src" / "__tests__" / "reports" / "sentences.json"

#: Sentences that the planner's tables leave out.
MORE = {
    "an app of another type": (replace(IDLE_SCENE, app=replace(APP, type="Canvas")), None),
    "a low use of an app's host after max_busy": (low_host_use(HOUR, max_busy=HOUR), None),
    "a job in a terminal of the app": (
        replace(IDLE_SCENE, terminal=replace(TERMINAL, app=APP.id, running_job="make")),
        None,
    ),
    "an image terminal whose app is not known": (
        replace(IDLE_SCENE, image_terminal=replace(IMAGE_TERMINAL, app=None)),
        None,
    ),
}


def decided() -> list[dict[str, Any]]:
    """One entry for each sentence, with the fields that the report would have."""
    entries: dict[str, dict[str, Any]] = {}
    plans = [planned(ON)]
    for rows in (
        KERNEL_ROWS,
        REMOVED_KERNEL_ROWS,
        TERMINAL_ROWS,
        REMOVED_TERMINAL_ROWS,
        APP_ROWS,
        MORE,
    ):
        for scene, *_ in rows.values():
            plans.append(scene.plan())
    for kernel in (IDLE_SCENE.kernel, replace(IDLE_SCENE.kernel, state="busy")):
        plan = replace(IDLE_SCENE, kernel=kernel).plan()
        plans.append(with_removals_under_way(plan, {kernel.ref: NOW}))
    for plan in plans:
        for decision in plan.decisions:
            entry = {
                "kind": decision.ref.kind.value,
                "reason": decision.reason.value,
                "parameters": dict(decision.parameters),
                "idle": decision.idle_since is not None and decision.reason is not Reason.UNKNOWN,
                "detail": decision.detail,
            }
            entries.setdefault(json.dumps(list(entry.values())[:4]), entry)
    return list(entries.values())


def documented() -> dict[str, set[str]]:
    """The parameters of each reason, with their cases as ``case=…``, as the page lists them."""
    found: dict[str, set[str]] = {}
    for line in PAGE.read_text().splitlines():
        match = re.match(r"\| `([\w-]+)` \| (.+?) \|", line)
        if match:
            found.setdefault(match[1], set()).update(re.findall(r"`([^`]+)`", match[2]))
    return found


def test_every_parameter_is_documented() -> None:
    page = documented()
    for entry in decided():
        for name, value in entry["parameters"].items():
            wanted = f"case={value}" if name == "case" else name
            assert wanted in page.get(entry["reason"], set()), entry


def test_every_documented_case_occurs() -> None:
    used: dict[str, set[str]] = {}
    for entry in decided():
        for name, value in entry["parameters"].items():
            used.setdefault(entry["reason"], set()).add(f"case={value}" if name == "case" else name)
    missing = {reason: names - used.get(reason, set()) for reason, names in documented().items()}
    assert {reason: names for reason, names in missing.items() if names} == {}


def test_the_panel_is_tested_with_every_sentence() -> None:
    entries = decided()
    if os.environ.get("AUTO_SHUTDOWN_RECORD"):
        RECORDED.write_text(json.dumps(entries, indent=1) + "\n")
    assert json.loads(RECORDED.read_text()) == entries, "AUTO_SHUTDOWN_RECORD=1 records it anew"
