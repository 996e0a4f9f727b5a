"""The error of a request to a server, and the exit code of the command line for it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of the command line. docs/command-line.md explains them."""

    DONE = 0
    TROUBLE = 1
    USAGE = 2
    NO_SERVER = 3
    NO_EXTENSION = 4
    REFUSED = 5
    INTERRUPTED = 130


class ServerError(Exception):
    """A request failed. ``str(error)`` says which server and why, and ``remedy`` says what the
    user can do; both are sentences. ``code`` is the exit code of the command line. ``absent``: the
    server does not run, or runs without the extension. Otherwise it may have the extension."""

    def __init__(self, code: ExitCode, message: str, remedy: str, absent: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy
        self.absent = absent
