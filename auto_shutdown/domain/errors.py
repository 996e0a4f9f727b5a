"""Errors that end a command. Their text says what failed, where, and what to do."""

from __future__ import annotations


class DomainError(Exception):
    """The command cannot continue."""


class PolicyError(DomainError):
    """The policy file is invalid. A command never uses a part of a policy."""


class OutOfTimeError(DomainError):
    """The time of the run is over. The next run does the rest."""


class ConflictError(DomainError):
    """Another run has written the state, so this run ends."""


class CallError(Exception):
    """An AWS call failed, and repetitions did not help. ``code`` is AWS's; ``message`` is safe to
    show; ``remedy`` says what to do. ``text`` is AWS's own text. It is never shown, because it can
    quote secrets."""

    def __init__(self, code: str, message: str, remedy: str, text: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.code = code
        self.message = message
        self.remedy = remedy
        self.text = text
