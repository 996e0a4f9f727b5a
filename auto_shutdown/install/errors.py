"""What goes wrong, in words for the administrator: the text says what to do."""

from __future__ import annotations


class UsageError(Exception):
    """Something asked for that cannot be: what, and what to do instead."""


class AttachError(Exception):
    """A call of the SageMaker API that failed, or what it did not lead to."""
