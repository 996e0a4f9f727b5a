"""The options that several commands share, and the client of the server that they choose."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from getpass import getpass
from typing import Any

from ..api.client import Client
from ..api.discovery import find
from ..core.formatting import printable

#: The type of the object that adds parsers of commands. argparse has no public name for it.
Commands = argparse._SubParsersAction

#: Runs a command with its parsed arguments, and returns the exit code.
Run = Callable[[argparse.Namespace], int]


def command(
    commands: Commands[argparse.ArgumentParser], name: str, summary: str, run: Run
) -> argparse.ArgumentParser:
    """Add a parser with the option ``--json`` to ``commands``, and return it."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.add_argument("--json", action="store_true", help="write JSON for programs")
    parser.set_defaults(run=run)
    return parser


def number(
    lowest: float, highest: float | None = None, unit: str = "", whole: bool = False
) -> Callable[[str], Any]:
    """A ``type`` for argparse that accepts a number from ``lowest`` to ``highest`` (None: any
    larger number), with ``whole`` only a whole number. In an error ``unit`` follows the bounds."""
    to = f" or more{unit}" if highest is None else f" to {highest:g}{unit}"
    wanted = f"{'a whole number, ' if whole else ''}{lowest:g}{to}"

    def parse(text: str) -> float:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from None
        # This comparison also refuses a NaN.
        if not lowest <= value <= (math.inf if highest is None else highest):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return parse


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add ``--url`` and ``--port``, which choose the server."""
    group = parser.add_argument_group("the server, if several run")
    group.add_argument("--url", help="its address, as `jupyter server list` shows it")
    group.add_argument("--port", type=int, help="the port on which it listens")


def add_scope(parser: argparse.ArgumentParser) -> None:
    """Add the options for the AWS account, domain and user of a policy or a script."""
    option = parser.add_argument_group("the account, the domain and the user").add_argument
    several = "lifecycle-config takes several, separated by commas"
    option("--domain", default="", help=f"the id of the domain (d-…); {several}, and patterns")
    option("--user-profile", default="", help=f"the user profile; {several}, and patterns")
    option("--region", default="", help=f"the AWS region; {several}")
    option("--account", default="", help="for policies: the number of the AWS account")
    option(
        "--partition",
        default="",
        help="for policies: the AWS partition (default: the partition of the region)",
    )
    option(
        "--shared-spaces",
        action="store_true",
        help="for policies: allow deleting the apps of every shared space, also other users' apps",
    )


def client_of(arguments: argparse.Namespace, acts: bool = False) -> Client:
    """A client of the server that the arguments choose. If the server wants a password, the client
    asks for it at a terminal. ``acts``: the command changes or removes something. Then it needs a
    choice if several servers may have the extension; another command shows the one that answers,
    and names the others on standard error. Raises ServerError."""
    ask_password = _ask_password if sys.stdin.isatty() else None
    return find(arguments.url, arguments.port, ask_password, None if acts else _tell)


def _tell(text: str) -> None:
    print(printable(text), file=sys.stderr)


def _ask_password(url: str) -> str:
    return getpass(f"Password of the server at {url}: ")
