"""``doctor``: shows the problems of this installation, with a remedy for each."""

from __future__ import annotations

import argparse

from ..api.server_error import ExitCode
from .findings import show_findings
from .options import Commands, add_server, command
from .text import Page


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Look for problems that keep the extension from working; changes and deletes nothing."
    parser = command(commands, "doctor", summary, run)
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    # Imported here, because it loads Jupyter for half a second, and --help need not wait for that.
    from ..doctor import Level, examine

    findings = examine(arguments.url, arguments.port)
    failures = sum(finding.level is Level.FAILURE for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    page = Page()
    if arguments.json:
        answer = [finding.to_json() for finding in findings]
        page.json({"findings": answer, "failures": failures, "warnings": warnings})
    else:
        show_findings(page, findings)
        page.line()
        page.line(f"{counted(failures, 'failure')}, {counted(warnings, 'warning')}.")
    return ExitCode.TROUBLE if failures else ExitCode.DONE


def counted(number: int, noun: str) -> str:
    """The number and the noun, which is in the plural except for 1."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
