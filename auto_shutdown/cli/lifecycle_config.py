"""``lifecycle-config``: the script that installs this in SageMaker, attaching it, and the offline
bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..install.names import ENVIRONMENTS, TARGETS
from .options import Commands, add_scope, command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Write, attach or detach the script that installs this in SageMaker."
    parser = command(commands, "lifecycle-config", summary, run)
    parser.add_argument(
        "--for", dest="platform", choices=list(ENVIRONMENTS), help="the sort of app"
    )
    _add_script(parser)
    _add_action(parser)
    add_scope(parser)


def _add_script(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument_group("what is in the script").add_argument
    option(
        "--from",
        dest="source",
        metavar="SOURCE",
        help="where the app gets the wheel: s3://BUCKET/…/WHEEL, an absolute path, or "
        "jupyterlab-auto-shutdown==VERSION for an index (default: this version)",
    )
    option("--index-url", default="", help="the index, if not pip's own")
    option(
        "--wheel",
        type=Path,
        help="that wheel on this machine: the script installs nothing else (default: the wheel "
        "that this command was installed from)",
    )
    option("--sha256", default="", help="the wheel's SHA-256, instead of --wheel")
    option("--config", type=Path, help="JSON file with the configuration (class AutoShutdown)")
    option(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one trait of the configuration, e.g. dry_run=true; may be repeated",
    )
    option("--environment", default="", help="the server's environment, if not SageMaker's usual")


def _add_action(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to do with it (default: print it)")
    what = group.add_mutually_exclusive_group()
    what.add_argument("--output", type=Path, metavar="FILE", help="write it to this file")
    what.add_argument("--attach", choices=TARGETS, help="create it, and attach it to this")
    what.add_argument("--update", choices=TARGETS, help="install this version, change nothing else")
    what.add_argument("--rollback", choices=TARGETS, help="put back what the present one replaced")
    what.add_argument("--detach", choices=TARGETS, help="undo --attach")
    what.add_argument("--show", choices=TARGETS, help="show what is attached, and what drifted")
    what.add_argument(
        "--delete-unused",
        action="store_true",
        help="delete those of ours that are attached nowhere",
    )
    what.add_argument("--bundle", type=Path, metavar="DIR", help="make an offline bundle there")
    option = group.add_argument
    option(
        "--format",
        choices=("script", "cloudformation"),
        default="script",
        help="of --output: the script, or a CloudFormation template with it",
    )
    option("--space", default="", help="names of spaces, or patterns")
    option(
        "--replace",
        action="store_true",
        help="do not run the lifecycle configuration that was there before",
    )
    option("--yes", action="store_true", help="do as planned without asking")


def run(arguments: argparse.Namespace) -> int:
    from ..install.commands import lifecycle_config  # --help need not wait for it

    return lifecycle_config(arguments)
