"""The report as one self-contained HTML page: no request to anywhere, readable from a mail or a
share. Its style and script stand in ``page.html`` beside this file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).with_name("page.html")

#: The report goes in here.
PLACE = "/*REPORT*/null"


def html(report: Mapping[str, Any]) -> str:
    """The page. Names are chosen by users: within a script element only ``<`` can end it, and the
    page's own script makes text of them, never HTML."""
    data = json.dumps(report, separators=(",", ":")).replace("<", "\\u003c")
    data = data.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    before, _, after = TEMPLATE.read_text(encoding="utf-8").partition(PLACE)
    return before + data + after
