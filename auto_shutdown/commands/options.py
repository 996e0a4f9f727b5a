"""The options that several commands have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ..client import Client, find

Commands = argparse._SubParsersAction  # the only name argparse has for it
Run = Callable[[argparse.Namespace], int]


def command(
    commands: Commands[argparse.ArgumentParser], name: str, summary: str, run: Run
) -> argparse.ArgumentParser:
    """A parser below ``commands`` with ``--json``."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.add_argument("--json", action="store_true", help="write JSON for programs")
    parser.set_defaults(run=run)
    return parser


def add_server(parser: argparse.ArgumentParser) -> None:
    """``--url`` and ``--port``."""
    group = parser.add_argument_group("which server, where several run")
    group.add_argument("--url", help="the server's address, as jupyter server list shows it")
    group.add_argument("--port", type=int, help="the port it listens on")


def client_of(arguments: argparse.Namespace) -> Client:
    """A client of the server that the arguments choose. Raises ServerError."""
    return find(arguments.url, arguments.port)
