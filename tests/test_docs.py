"""The documentation agrees with the code, and its references lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

from auto_shutdown.config.settings import FIELDS
from auto_shutdown.config.traits import AdminTraits
from auto_shutdown.core.signals import Signal
from auto_shutdown.core.verdict import REMOVING, Reason

ROOT = Path(__file__).resolve().parents[1]
DECISIONS = ROOT / "docs" / "decisions"
REFERENCE = ROOT / "docs" / "reference"


def table(page: str, heading: str = "") -> dict[str, list[str]]:
    """The rows of a page's first table, or of the first below ``heading``, by their first cell."""
    text = (REFERENCE / page).read_text()
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0] if heading else text
    rows = [
        re.split(r"\s*\|\s*", line.strip("| ")) for line in section.splitlines() if line[:1] == "|"
    ]
    return {row[0].strip("`"): row[1:] for row in rows[2:]}


def test_settings_page_lists_every_setting_with_its_default() -> None:
    rows = table("settings.md", "Settings of a user")
    assert {name: json.loads(row[0].strip("`")) for name, row in rows.items()} == {
        name: field.default for name, field in FIELDS.items()
    }
    assert {name: row[1] for name, row in rows.items()} == {n: f.doc for n, f in FIELDS.items()}


def test_settings_page_lists_every_trait_with_its_default() -> None:
    rows = table("settings.md", "Traits of the administrator")
    traits = {n: t for n, t in AdminTraits.class_traits(config=True).items() if n not in FIELDS}
    assert set(rows) == set(traits)
    for name, (default, text) in rows.items():
        assert text == traits[name].help
        if default.startswith("`"):
            assert json.loads(default.strip("`")) == getattr(AdminTraits(), name)


def test_signals_page_lists_every_signal() -> None:
    names = {value for key, value in vars(Signal).items() if key.isupper()}
    assert set(table("signals.md")) == names


def test_reasons_page_lists_every_reason_with_its_action() -> None:
    rows = table("reasons.md")
    assert set(rows) == {reason.value for reason in Reason}
    assert {r for r, row in rows.items() if row[0] == "remove"} == {r.value for r in REMOVING}


def test_decisions_are_numbered_without_gaps() -> None:
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    assert [int(page.name[:3]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        assert page.read_text().startswith(f"# {int(page.name[:3])}. "), page.name


def test_functions_that_the_pages_name_exist() -> None:
    """`Class.name` and `_name`, in the pages that lead through the code."""
    package = "\n".join(path.read_text() for path in (ROOT / "auto_shutdown").rglob("*.py"))
    functions = set(re.findall(r"\bdef (\w+)", package))
    fields = set(re.findall(r"^ *(\w+)(?:: [^=\n]+)?(?: = |$)", package, re.MULTILINE))
    for page in ("docs/architecture.md", "docs/developers.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text()
        names = re.findall(r"`[A-Z]\w+\.(?!md|cff)(\w+)`|`(_\w+)`", text)
        missing = {method or name for method, name in names} - functions - fields
        assert not missing, f"{page}: {missing}"


def test_references_to_decisions_lead_to_a_page() -> None:
    numbers = {page.name[:3] for page in DECISIONS.glob("[0-9]*.md")}
    texts = [
        path
        for folder in ("auto_shutdown", "bench", "docs", "tests", "labextension/src")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".md", ".py", ".sh", ".ts", ".tsx", ".yml") and path.is_file()
    ]
    for path in [*texts, *ROOT.glob("*.md")]:
        for found in re.finditer(r"decisions/(\d{3})|\bdecision (\d+)\b", path.read_text()):
            number = (found[1] or found[2]).zfill(3)
            assert number in numbers, f"{path.relative_to(ROOT)}: {found[0]}"
