"""The options that several commands share, and the client that they choose."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from getpass import getpass
from typing import Any

from ..api.client import Client
from ..api.discovery import find

Commands = argparse._SubParsersAction  # the only name argparse has for it
Run = Callable[[argparse.Namespace], int]


def command(
    commands: Commands[argparse.ArgumentParser], name: str, summary: str, run: Run
) -> argparse.ArgumentParser:
    """Add a parser with ``--json`` to ``commands``."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.add_argument("--json", action="store_true", help="write JSON for programs")
    parser.set_defaults(run=run)
    return parser


def number(
    lowest: float, highest: float | None = None, unit: str = "", whole: bool = False
) -> Callable[[str], Any]:
    """A ``type`` for argparse: a number from ``lowest`` to ``highest`` (None: without end), and a
    ``whole`` one if asked for. ``unit`` stands in the error behind the bounds."""
    to = f" or more{unit}" if highest is None else f" to {highest:g}{unit}"
    wanted = f"{'a whole number, ' if whole else ''}{lowest:g}{to}"

    def parse(text: str) -> float:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from None
        # A NaN is in no range.
        if not lowest <= value <= (math.inf if highest is None else highest):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return parse


def add_server(parser: argparse.ArgumentParser) -> None:
    """``--url`` and ``--port``."""
    group = parser.add_argument_group("which server, where several run")
    group.add_argument("--url", help="the server's address, as jupyter server list shows it")
    group.add_argument("--port", type=int, help="the port it listens on")


def add_scope(parser: argparse.ArgumentParser) -> None:
    """The AWS account, domain and user that a policy or a script is for."""
    option = parser.add_argument_group("for which account, domain and user").add_argument
    several = "; lifecycle-config takes several, separated by commas"
    option("--domain", default="", help=f"the Studio domain (d-…){several}, and patterns")
    option("--user-profile", default="", help=f"the user profile{several}, and patterns")
    option("--region", default="", help=f"the AWS region{several}")
    option("--account", default="", help="for policies: the AWS account's number")
    option("--partition", default="", help="for policies, if it does not follow from the region")
    option(
        "--shared-spaces",
        action="store_true",
        help="for policies: also the apps of shared spaces, which cannot be limited to one's own",
    )


def client_of(arguments: argparse.Namespace) -> Client:
    """A client of the server that the arguments choose. At a terminal it asks for the password of
    a server that wants one. Raises ServerError."""
    return find(arguments.url, arguments.port, _ask_password if sys.stdin.isatty() else None)


def _ask_password(url: str) -> str:
    return getpass(f"Password of the server at {url}: ")
