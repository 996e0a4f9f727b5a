"""``jupyter auto-shutdown …``: makes the parser, runs the command, and prints its error."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .._version import __version__
from ..api.server_error import ExitCode, ServerError
from ..core.formatting import printable
from . import (
    bring_back,
    demo,
    doctor,
    domain,
    history,
    iam_policy,
    keep_alive,
    lifecycle_config,
    remove,
    settings,
    status,
    stopped,
)

#: The modules of the commands, in the order of the help text.
MODULES = (
    status,
    settings,
    keep_alive,
    remove,
    history,
    stopped,
    bring_back,
    doctor,
    lifecycle_config,
    iam_policy,
    domain,
    demo,
)

EXIT_CODES = """\
exit codes:
  0  the command did its work, and found no problem
  1  the command found a problem, or the server refused the request
  2  the command line is wrong, or does not choose one of several servers
  3  no server runs, or the server does not answer
  4  the server does not have the extension, or the extension has not started
  5  the server refuses access
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line, with all commands."""
    parser = argparse.ArgumentParser(
        prog="jupyter auto-shutdown",
        description="See and control what auto_shutdown shuts down in Amazon SageMaker Studio.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in MODULES:
        module.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in ``argv`` (default: the arguments of the process), and return its exit
    code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # for a terminal that is not UTF-8
    arguments = make_parser().parse_args(argv)
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
    except ServerError as error:
        print(printable(f"{error} {error.remedy}".strip()), file=sys.stderr)
        return int(error.code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # the program that reads the output has ended, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.DONE)
    return code
