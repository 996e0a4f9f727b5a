"""The errors of this package. Their texts are for the administrator, and say what to do."""

from __future__ import annotations


class UsageError(Exception):
    """A request that cannot be fulfilled: the text says why, and what to do instead."""


class AttachError(Exception):
    """A call of the SageMaker API failed, or had no effect. ``code`` is AWS's, if there is one."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code
