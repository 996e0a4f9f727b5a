"""Sections for this extension that Jupyter ignores, because of their name or their place."""

from __future__ import annotations

from typing import Any

import pytest
from traitlets.config import Config

from auto_shutdown.config.problems import misspelt_sections

OFF = {"enabled": False}

#: A configuration, and the section that is reported as misplaced or misspelt (None: none is).
CONFIGURATIONS: list[tuple[dict[str, Any], str | None]] = [
    ({"AutoShutdown": OFF}, None),
    ({"auto_shutdown": OFF}, "a section auto_shutdown,"),
    ({"Auto-Shutdown": OFF}, "a section Auto-Shutdown,"),
    ({"ServerApp": {"AutoShutdown": OFF}}, "the section AutoShutdown within ServerApp,"),
    ({"LabApp": {"auto_shutdown": OFF}}, "the section auto_shutdown within LabApp,"),
    ({"a": {"b": {"AutoShutdown": OFF}}}, "the section AutoShutdown within a.b,"),
    ({"AutoShutdown": {"AutoShutdown": OFF}}, "the section AutoShutdown within AutoShutdown,"),
    ({"ServerApp": {"jpserver_extensions": {"auto_shutdown": True}}}, None),
    ({"ServerProxy": {"servers": {"auto-shutdown": {"command": ["x"]}}}}, None),
    ({"ServerApp": {"AutoShutdown": {}}}, None),
]


@pytest.mark.parametrize("make", [dict, Config])
@pytest.mark.parametrize(("configuration", "expected"), CONFIGURATIONS)
def test_section_that_jupyter_ignores_is_a_problem(
    configuration: dict[str, Any], expected: str | None, make: Any
) -> None:
    problems = list(misspelt_sections(make(configuration), "x.json"))
    if expected is None:
        assert not problems
    else:
        (problem,) = problems
        assert problem.message.startswith(f"x.json has {expected}")
        assert "AutoShutdown" in problem.remedy
