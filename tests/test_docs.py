"""The README's tables say what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from auto_shutdown.config.settings import FIELDS
from auto_shutdown.config.traits import AdminTraits
from auto_shutdown.core.signals import Signal
from auto_shutdown.core.verdict import REMOVING, Reason

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()


def table(heading: str) -> dict[str, list[str]]:
    """The rows of the first table below ``heading``, by their first cell."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [
        re.split(r"\s*\|\s*", line.strip("| ")) for line in section.splitlines() if line[:1] == "|"
    ]
    return {row[0].strip("`"): row[1:] for row in rows[2:]}


def test_settings() -> None:
    rows = table("Settings")
    assert {name: json.loads(row[0].strip("`")) for name, row in rows.items()} == {
        name: field.default for name, field in FIELDS.items()
    }
    assert {name: row[1] for name, row in rows.items()} == {n: f.doc for n, f in FIELDS.items()}


def test_traits_of_the_administrator() -> None:
    rows = table("For administrators")
    traits = {n: t for n, t in AdminTraits.class_traits(config=True).items() if n not in FIELDS}
    assert set(rows) == set(traits)
    for name, (default, text) in rows.items():
        assert text == traits[name].help
        if default.startswith("`"):
            assert json.loads(default.strip("`")) == getattr(AdminTraits(), name)


def test_signals() -> None:
    names = {value for key, value in vars(Signal).items() if key.isupper()}
    assert set(table("Signals")) == names


def test_reasons() -> None:
    rows = table("Reasons")
    assert set(rows) == {reason.value for reason in Reason}
    assert {r for r, row in rows.items() if row[0] == "remove"} == {r.value for r in REMOVING}
