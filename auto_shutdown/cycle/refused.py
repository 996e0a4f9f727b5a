"""The error of a request that is refused. Its module is small: the HTTP handlers need nothing else
of a cycle until the extension has started."""

from __future__ import annotations

from typing import Any


class RefusedError(Exception):
    """A request that is refused: HTTP ``status``, a sentence, the field and its value."""

    def __init__(self, status: int, message: str, field: str, value: Any) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.value = value
