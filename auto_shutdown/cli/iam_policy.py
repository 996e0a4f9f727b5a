"""``iam-policy``: the permissions that a user's role, or an administrator, needs."""

from __future__ import annotations

import argparse

from ..install.names import PLATFORMS, TARGETS
from .options import Commands, add_scope, command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Print the IAM policy that a user's role, or an administrator, needs."
    parser = command(commands, "iam-policy", summary, run)
    option = parser.add_argument
    option("--for", dest="role", choices=("user", "administrator"), required=True)
    option(
        "--platform",
        action="append",
        choices=PLATFORMS,
        help="user: where the apps run; may be repeated (default: both sorts of Studio)",
    )
    option(
        "--attach",
        action="append",
        choices=TARGETS,
        help="administrator: what is attached to; may be repeated (default: domain)",
    )
    option(
        "--notebook-instance", default="", help="its name (default: any, and the command says so)"
    )
    option("--wheel", default="", metavar="S3", help="S3 address from which the wheel is installed")
    add_scope(parser)


def run(arguments: argparse.Namespace) -> int:
    from ..install.commands import iam_policy  # --help need not wait for it

    return iam_policy(arguments)
