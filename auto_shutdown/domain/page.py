"""The report as one self-contained HTML page. It sends no requests, so people can open it from a
mail or a file share. Its style and script are in ``page.html`` beside this file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).with_name("page.html")

#: The report replaces this text.
PLACE = "/*REPORT*/null"


def html(report: Mapping[str, Any]) -> str:
    """The page. Users choose names, so ``<`` is escaped: nothing else can end a script element. The
    page's script inserts names as text, never as HTML."""
    data = json.dumps(report, separators=(",", ":")).replace("<", "\\u003c")
    data = data.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    before, _, after = TEMPLATE.read_text(encoding="utf-8").partition(PLACE)
    return before + data + after
