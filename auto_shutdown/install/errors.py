"""The errors of this package. Each text is for the administrator: it says what failed and what to
do about it."""

from __future__ import annotations


class UsageError(Exception):
    """The options ask for something that cannot be done. Nothing was changed."""


class AttachError(Exception):
    """A call of the SageMaker API failed, or its change was not applied. ``code`` is AWS's error
    code, or the name of boto3's exception; empty if there is neither."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code
