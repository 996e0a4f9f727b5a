"""``lifecycle-config``: writes the script that installs the extension in SageMaker, attaches and
detaches it, and makes the offline bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..install.names import ENVIRONMENTS, TARGETS
from .options import Commands, add_scope, command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Write, attach or detach the script that installs the extension in SageMaker."
    parser = command(commands, "lifecycle-config", summary, run)
    parser.add_argument(
        "--for",
        dest="platform",
        choices=list(ENVIRONMENTS),
        help="the kind of app: jupyter-server is Studio Classic, jupyterlab a space of Studio",
    )
    _add_script(parser)
    _add_action(parser)
    add_scope(parser)


def _add_script(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument_group("the contents of the script").add_argument
    option(
        "--from",
        dest="source",
        metavar="SOURCE",
        help="where the app gets the wheel: s3://BUCKET/… or an absolute path, of the wheel or its "
        "folder (ends with /), or jupyterlab-auto-shutdown==VERSION from a package index "
        "(default: this version from an index)",
    )
    option("--index-url", default="", help="the package index (default: pip's own)")
    option(
        "--wheel",
        type=Path,
        metavar="FILE",
        help="the same wheel on this machine: the script installs no wheel with another SHA-256 "
        "(default: the wheel from which this command was installed)",
    )
    option("--sha256", default="", help="the SHA-256 of the wheel, instead of --wheel")
    option(
        "--config",
        type=Path,
        metavar="FILE",
        help="a JSON file with the configuration (traits of the class AutoShutdown)",
    )
    option(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one trait of the configuration, such as dry_run=true; may be repeated",
    )
    option(
        "--environment",
        default="",
        metavar="PATH",
        help="the Python environment of the server (default: SageMaker's own)",
    )


def _add_action(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the action (default: print the script)")
    what = group.add_mutually_exclusive_group()
    action = what.add_argument
    action("--output", type=Path, metavar="FILE", help="write the script to this file")
    action("--attach", choices=TARGETS, help="attach the script to targets of this kind")
    action("--update", choices=TARGETS, help="install this version, and keep the configuration")
    action("--rollback", choices=TARGETS, help="restore the script that the present one replaced")
    action("--detach", choices=TARGETS, help="restore the settings from before --attach")
    action("--show", choices=TARGETS, help="show which scripts are attached, and their differences")
    action(
        "--delete-unused",
        action="store_true",
        help="delete the lifecycle configurations of auto_shutdown that are attached nowhere",
    )
    action("--bundle", type=Path, metavar="FOLDER", help="write an offline bundle to this folder")
    option = group.add_argument
    option(
        "--format",
        choices=("script", "cloudformation"),
        default="script",
        help="what --output writes: the script, or a CloudFormation template that contains it",
    )
    option("--space", default="", help="the spaces: names and patterns, separated by commas")
    option(
        "--replace",
        action="store_true",
        help="do not run the script of the lifecycle configuration that is replaced",
    )
    option("--yes", action="store_true", help="carry out the plan without a question")


def run(arguments: argparse.Namespace) -> int:
    # Imported here, because --help need not wait for it.
    from ..install.commands import lifecycle_config

    return lifecycle_config(arguments)
