"""What stops a command, in words for the administrator: what failed, where, what to do."""

from __future__ import annotations


class DomainError(Exception):
    """A command that cannot go on."""


class PolicyError(DomainError):
    """A policy file that cannot be understood. Nothing is done with half of a policy."""


class OutOfTimeError(DomainError):
    """The time given for a run is over. What is left is done by the next run."""


class ConflictError(DomainError):
    """Another run has written the state meanwhile; this one stops."""


class CallError(Exception):
    """An AWS call that failed for good: AWS's ``code``, a ``message`` that is safe to show, and
    the ``remedy``. AWS's own text is kept in ``text`` and never shown: it can quote secrets."""

    def __init__(self, code: str, message: str, remedy: str, text: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.code = code
        self.message = message
        self.remedy = remedy
        self.text = text
