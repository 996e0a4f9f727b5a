"""What a server answers before the extension watches, and when it could not start.

People in Studio do not see the server's log. So the reason and the remedy stand in the answer, and
the panel, the command line and the doctor show them.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from ..config.problems import ConfigurationError

#: Where the web application's settings hold a NotStarted.
STARTUP = "auto_shutdown_startup"

#: When to ask again while the extension starts.
RETRY_SECONDS = 2


@dataclass(frozen=True)
class NotStarted:
    """Why the extension does not watch. ``retry_seconds`` is None when waiting does not help."""

    message: str
    remedy: str
    retry_seconds: int | None = None


STARTING = NotStarted(
    "auto_shutdown is starting on this server.", "Try again in a few seconds.", RETRY_SECONDS
)


def why_not_started(settings: MutableMapping[str, Any]) -> NotStarted:
    """The reason that ``failed`` has noted; else the extension is still starting."""
    found = settings.get(STARTUP)
    return found if isinstance(found, NotStarted) else STARTING


def failed(settings: MutableMapping[str, Any], error: Exception) -> NotStarted:
    """Note that the extension could not start, for all requests from now on."""
    if isinstance(error, ConfigurationError):
        why, remedy = str(error), error.remedy
    else:
        why = f"{type(error).__name__}: {error}"
        remedy = "Correct what it names and restart the server; until then nothing is shut down."
    found = NotStarted(f"auto_shutdown could not start, and removes nothing. {why}", remedy)
    settings[STARTUP] = found
    return found
