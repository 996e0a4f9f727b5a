"""The answer to requests while the extension is starting, or after it failed to start.

People in Studio cannot read the server's log. So the answer (status 503) gives the reason and the
remedy, and the panel, the command line and the doctor show both.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from ..config.problems import ConfigurationError
from ..core.translatable import joined, sentence

#: The key of the web application's settings that holds a NotStarted.
STARTUP = "auto_shutdown_startup"

#: The Retry-After, in seconds, while the extension starts.
RETRY_SECONDS = 2


@dataclass(frozen=True)
class NotStarted:
    """Why the extension does not run. ``retry_seconds`` is None if it does not help to wait."""

    message: str
    remedy: str
    retry_seconds: int | None = None


STARTING = NotStarted(
    sentence("auto_shutdown is starting on this server."),
    sentence("Try again in a few seconds."),
    RETRY_SECONDS,
)


def why_not_started(settings: MutableMapping[str, Any]) -> NotStarted:
    """The failure that ``record_failure`` stored; STARTING when there is none yet."""
    failure = settings.get(STARTUP)
    return failure if isinstance(failure, NotStarted) else STARTING


def record_failure(settings: MutableMapping[str, Any], error: Exception) -> NotStarted:
    """Store in the web application's ``settings`` why the extension could not start, for the
    answers to all later requests. Returns the stored reason."""
    if isinstance(error, ConfigurationError):
        cause, remedy = str(error), error.remedy
    else:
        cause = f"{type(error).__name__}: {error}"
        remedy = sentence(
            "Correct the cause and restart the server. Until then nothing is shut down."
        )
    nothing = sentence("auto_shutdown could not start, and removes nothing.")
    failure = NotStarted(joined(nothing, cause), remedy)
    settings[STARTUP] = failure
    return failure
