"""``jupyter auto-shutdown doctor``: checks each thing that the extension needs, and names a remedy.

Each module of PARTS checks one area with its function ``examine``. The doctor works with and
without a running server. It changes and deletes nothing."""

from __future__ import annotations

from ..core.finding import Finding, Level
from . import aws, configuration, cullers, host, installation, server
from .situation import look

__all__ = ["Finding", "Level", "examine"]

#: The checks in the order in which a person would look for a problem.
PARTS = (host, installation, configuration, server, aws, cullers)


def examine(url: str | None = None, port: int | None = None) -> list[Finding]:
    """All findings about the server that ``url`` and ``port`` select, in the order of PARTS."""
    situation = look(url, port)
    return [finding for part in PARTS for finding in part.examine(situation)]
