"""The error of a refused request. It has a module of its own, because the HTTP handlers need
nothing else of this package until the extension has started."""

from __future__ import annotations

from typing import Any


class RefusedError(Exception):
    """A request is refused. ``status`` is the HTTP status, the message is one sentence for people,
    ``field`` names the wrong field of the request, and ``value`` is its value. ``remedy`` is what
    the user can do, where that is known."""

    def __init__(self, status: int, message: str, field: str, value: Any, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
        self.status = status
        self.field = field
        self.value = value
