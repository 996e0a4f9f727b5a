"""``iam-policy``: prints the IAM policy with the permissions that a role needs."""

from __future__ import annotations

import argparse
import json
import sys

from ..api.server_error import ExitCode
from ..install.names import PLATFORMS, TARGETS
from .options import Commands, add_scope, command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Print the IAM policy that an execution role, or an administrator, needs."
    parser = command(commands, "iam-policy", summary, run)
    option = parser.add_argument
    domain = [f"domain-{name}" for name in ("report", "check", "tidy", "teardown")]
    option(
        "--for",
        dest="role",
        choices=("user", "administrator", *domain),
        required=True,
        help="whose policy: the execution role of users' apps, the administrator who runs "
        "lifecycle-config, or the role that runs this `domain` command",
    )
    option(
        "--platform",
        action="append",
        choices=PLATFORMS,
        help="with --for user: where the apps run; may be repeated (default: studio-classic and "
        "studio-space)",
    )
    option(
        "--attach",
        action="append",
        choices=TARGETS,
        help="with --for administrator: the kind of target that they may attach the script to; "
        "may be repeated (default: domain)",
    )
    option(
        "--notebook-instance",
        default="",
        metavar="NAME",
        help="with --for user: the only instance that the role may stop (default: every instance)",
    )
    option(
        "--wheel",
        default="",
        metavar="S3",
        help="the S3 address of the wheel, or of its folder (ends with /), which allows every "
        "version of the wheel there",
    )
    add_scope(parser)


def run(arguments: argparse.Namespace) -> int:
    from ..install.commands import iam_policy  # imported here, because --help need not wait for it

    if arguments.role.startswith("domain-"):
        return _domain_policy(arguments)
    return iam_policy(arguments)


def _domain_policy(arguments: argparse.Namespace) -> int:
    """Print the policy for one of the ``domain`` commands. That of ``tidy`` covers every rule."""
    from ..domain import permissions
    from ..domain.policy import RULES, parse
    from ..install.errors import UsageError
    from ..install.iam import Scope, broad_permissions

    try:
        scope = Scope(
            partition=arguments.partition,
            region=arguments.region,
            account=arguments.account,
            domain=arguments.domain,
        )
    except UsageError as error:
        print(error, file=sys.stderr)
        return ExitCode.USAGE
    domains = (scope.domain,) if scope.domain else ()
    where = permissions.Where(scope.partition, scope.region or "*", scope.account or "*", domains)
    switches = {rule: {"delete": True} for rule in RULES}
    acting = {"version": 1, "dry_run": False, "notify": {"event_bus": "*"}, **switches}
    statements = {
        "domain-report": lambda: permissions.report(where, bill=True),
        "domain-check": lambda: permissions.check(where),
        "domain-tidy": lambda: permissions.tidy(where, parse(acting), (where.arn("sns", "*"),)),
        "domain-teardown": lambda: permissions.teardown(where),
    }[arguments.role]()
    policy = permissions.document(statements)
    print(json.dumps(policy, indent=2))
    for text in broad_permissions(policy):
        print(text, file=sys.stderr)
    return ExitCode.DONE
