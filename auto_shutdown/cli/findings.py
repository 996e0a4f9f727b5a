"""Prints the findings of ``doctor`` and of ``domain check`` for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .text import Cell, Column, Page

if TYPE_CHECKING:
    from ..core.finding import Finding

#: The style for each level of a finding.
STYLES = {"ok": "good", "warning": "notice", "failure": "bad"}


def show_findings(page: Page, findings: Iterable[Finding]) -> None:
    """Print each finding with its remedy."""
    page.table(("", "", Column("", sentences=True)), [row for f in findings for row in _rows(f)])


def _rows(finding: Finding) -> Iterator[list[Cell]]:
    style = STYLES[finding.level.value]
    yield [(finding.level.value, style), (finding.check, "strong"), (finding.message, "")]
    if finding.remedy:
        yield [("", ""), ("", ""), (f"-> {finding.remedy}", "")]
