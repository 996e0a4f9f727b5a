"""``jupyter auto-shutdown doctor``: checks one by one everything that the extension needs. It
changes nothing, deletes nothing, and works with and without a running server."""

from __future__ import annotations

from ..core.finding import Finding, Level
from . import aws, configuration, cullers, host, installation, server
from .situation import look

__all__ = ["Finding", "Level", "examine"]

#: In the order in which a person would look.
PARTS = (host, installation, configuration, server, aws, cullers)


def examine(url: str | None = None, port: int | None = None) -> list[Finding]:
    """All findings, in order."""
    situation = look(url, port)
    return [finding for part in PARTS for finding in part.examine(situation)]
