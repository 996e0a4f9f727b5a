"""The demo's output: the state of each row, whole lines in a file, and sums that add up."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

pytest.importorskip("rich", reason="the demo's packages are not installed")

from rich.console import Console

from auto_shutdown.local_studio import demo
from auto_shutdown.local_studio.screen import Screen

AT = "2026-03-01T12:00:00.000Z"


def resource(action: str, due: str | None, warn: str | None, kept: str | None = None) -> Any:
    return {
        "kind": "kernel",
        "id": "k",
        "name": "python3",
        "paths": ["left.ipynb"],
        "state": "idle",
        "action": action,
        "reason": "in-use",
        "detail": "Idle 20 s of 25 s. Last activity: " + "the time that Jupyter reports " * 3,
        "due_at": due,
        "warn_at": warn,
        "kept_until": kept,
    }


def shown(console: Console, *resources: Any) -> str:
    report = {"now": AT, "resources": resources, "outcomes": [], "health": {"state": "ok"}}
    screen = Screen(console)
    with screen.watching():
        screen.show(report)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (resource("keep", None, None), "kept"),
        (resource("keep", "2026-03-01T12:00:20Z", "2026-03-01T12:00:12Z"), "idle"),
        (
            resource("keep", "2026-03-01T12:30:20Z", "2026-03-01T12:30:12Z", "2026-03-01T12:30Z"),
            "kept",
        ),
        (resource("keep", "2026-03-01T12:00:07.200Z", "2026-03-01T11:59:59Z"), "stops in 8 s"),
        (resource("keep", "2026-03-01T12:00:00.100Z", "2026-03-01T11:59:59Z"), "stops in 1 s"),
        (resource("keep", AT, "2026-03-01T11:59:52Z"), "stops now"),
        (resource("remove", AT, AT), "stops now"),
    ],
)
@pytest.mark.parametrize("terminal", [True, False])
def test_state_of_a_row(made: Any, state: str, terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=60, color_system=None)
    text = shown(console, made)
    expected = rf"left.ipynb +{state} " if terminal else f"left.ipynb: {state}. Idle 20 s"
    assert re.search(expected, text)


def test_a_row_that_is_only_idle_is_not_green() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system="standard")
    idle = resource("keep", "2026-03-01T12:00:20Z", "2026-03-01T12:00:12Z")
    assert "\x1b[32m" not in shown(console, idle)
    busy = resource("keep", None, None)
    assert "\x1b[32mkept" in shown(console, busy)


def test_a_file_has_one_line_for_each_text() -> None:
    console = Console(file=io.StringIO(), width=60)
    Screen(console).say("word " * 40)
    assert "word " * 39 in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_sum_is_that_of_the_prices_beside_it() -> None:
    class Studio:
        def status(self, _name: str) -> str:
            return "Deleted"

    class Scene:
        def __init__(self) -> None:
            self.apps = {"ml.g5.xlarge": "a", "ml.m5.large": "b"}

    console = Console(file=io.StringIO(), width=200)
    prices = {"ml.g5.xlarge": 1.4084, "ml.m5.large": 0.1154}
    demo._say_what_was_saved(Studio(), Screen(console), Scene(), prices)  # type: ignore[arg-type]
    total, *parts = map(float, re.findall(r"\$(\d+\.\d+)", console.file.getvalue()))  # type: ignore[attr-defined]
    assert total == pytest.approx(sum(parts), abs=1e-9)
    assert len(parts) == 2
