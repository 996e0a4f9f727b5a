"""``domain template``: writes, deploys or removes the scheduled run of report, check and tidy: a
CloudFormation template, and a zip with the code of its AWS Lambda function."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..api.server_error import ExitCode
from .options import number
from .text import Page

if TYPE_CHECKING:
    from ..domain.connection import Connection
    from ..domain.scheduled.stack import Stack
    from ..domain.scheduled.template import Options

#: The default name of the stack, and the file name of the template.
STACK = "auto-shutdown-domain"
TEMPLATE = "auto-shutdown-domain.json"

#: Stands for the topic of the stack, which does not exist yet when the policy file is checked.
ANY_TOPIC = "arn:aws:sns:us-east-1:123456789012:topic"


def add_options(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option(
        "--output", type=Path, default=Path("."), metavar="FOLDER", help="where to write both files"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--deploy", action="store_true", help="create or update the stack")
    how.add_argument("--remove", action="store_true", help="delete the stack; the audit log stays")
    option("--stack", default=STACK, metavar="NAME", help=f"its name (default: {STACK})")
    option("--yes", action="store_true", help="do not ask before --deploy and --remove")
    option(
        "--every",
        type=number(5, 60, " minutes", whole=True),
        default=15,
        metavar="MIN",
        help="minutes between two runs of tidy (default: 15)",
    )
    option(
        "--hour",
        type=number(0, 23, whole=True),
        default=6,
        metavar="H",
        help="the hour of the daily report and check (default: 6)",
    )
    option(
        "--time-zone",
        default="UTC",
        metavar="ZONE",
        help="the time zone of that hour, such as Europe/Berlin (default: UTC)",
    )
    option("--bill", action="store_true", help="ask Cost Explorer once a day, for one cent")
    option(
        "--mail",
        default="",
        metavar="ADDRESS",
        help="send alarms, notices and the result of the check to this address",
    )
    option(
        "--budget",
        type=number(0, unit=" US dollars", whole=True),
        default=0,
        metavar="USD",
        help="create an AWS budget with this limit for a month (default: no budget)",
    )
    option(
        "--code-bucket",
        default="",
        metavar="NAME",
        help="the S3 bucket for the zip (default: the command creates one)",
    )
    option(
        "--permissions-boundary",
        default="",
        metavar="ARN",
        help="the permissions boundary of both roles of the stack",
    )
    option(
        "--no-reserved-concurrency",
        action="store_true",
        help="for an account whose limit of concurrent executions is too low to reserve one",
    )
    option(
        "--apps",
        type=number(0, whole=True),
        default=100,
        metavar="N",
        help="the number of apps for the estimate of the cost (default: 100)",
    )
    option(
        "--canvas-apps",
        type=number(0, whole=True),
        default=0,
        metavar="N",
        help="the number of Canvas apps for the estimate of the cost (default: 0)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write both files, or deploy or remove the stack. Prints an error as one sentence. Returns the
    exit code."""
    from ..domain.errors import CallError, DomainError

    work = _deploy if arguments.deploy else _remove if arguments.remove else _write
    try:
        return work(arguments)
    except (DomainError, CallError) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or 'A file'}: {error.strerror or error}.", file=sys.stderr)
    return ExitCode.TROUBLE


def _parts(arguments: argparse.Namespace) -> tuple[Options, str, str, bytes]:
    """The options, the template, and the zip with its key. Raises DomainError."""
    from ..domain.connection import read_policy_file
    from ..domain.policy import DomainPolicy
    from ..domain.scheduled import package, template

    path, policy, content = arguments.policy, DomainPolicy(), None
    if path is not None:
        policy, content = read_policy_file(path, ANY_TOPIC)
        if not content.get("notify", {}).get("sns_topic_arn"):
            # The function uses the topic of its stack, for which it always has the permission.
            from dataclasses import replace

            policy = replace(policy, sns_topic_arn="")
    options = template.Options(
        policy, path is not None, arguments.every, arguments.hour, arguments.bill
    )
    zipped = package.build(content)
    key = f"auto-shutdown-domain-{package.digest(zipped)}.zip"
    text = json.dumps(template.build(options, key), indent=2) + "\n"
    return options, text, key, zipped


def _write(arguments: argparse.Namespace) -> int:
    options, text, key, zipped = _parts(arguments)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / TEMPLATE).write_text(text, encoding="utf-8")
    (arguments.output / key).write_bytes(zipped)
    page = Page()
    files = [str(arguments.output / TEMPLATE), str(arguments.output / key)]
    if arguments.json:
        page.json(
            {"template": files[0], "zip": files[1], "usd_a_month": _costs(arguments, options)}
        )
        return ExitCode.DONE
    for file in files:
        page.line(file)
    _show_costs(page, arguments, options)
    page.line(
        "Next, use --deploy, or copy the zip to S3 and deploy the template (docs/scheduled.md)."
    )
    return ExitCode.DONE


def _deploy(arguments: argparse.Namespace) -> int:
    options, text, key, zipped = _parts(arguments)
    page, stack = Page(), _stack(arguments)
    bucket = stack.upload(arguments.code_bucket, key, zipped)
    parameters = {
        "CodeBucket": bucket,
        "CodeBucketPerRegion": "false",
        "CodeKey": key,
        "Mail": arguments.mail,
        "MonthlyBudget": str(arguments.budget),
        "TimeZone": arguments.time_zone,
        "ReserveConcurrency": "false" if arguments.no_reserved_concurrency else "true",
        "PermissionsBoundary": arguments.permissions_boundary,
    }
    changes = stack.prepare(text, parameters)
    if not changes:
        page.line(f"The stack {stack.name} is up to date: nothing changes.")
        return ExitCode.DONE
    for change in changes:
        _printer(arguments)(str(change))
    if not arguments.json:
        _show_costs(page, arguments, options)
        page.line(_about_permissions(options, arguments.mail), "strong")
    if not _agreed(arguments, "Deploy this?"):
        stack.discard()
        return ExitCode.TROUBLE
    names = stack.execute()
    for command in ("report", "check"):
        _start(stack, names, command, arguments)
    if arguments.json:
        page.json({"resources": names, "usd_a_month": _costs(arguments, options)})
    else:
        page.line(f"Deployed. Reports and the audit log: s3://{names.get('Bucket')}", "good")
    return ExitCode.DONE


def _about_permissions(options: Options, mail: str) -> str:
    """Sentences that say whether the scheduled runs can delete anything. ``mail`` is the address
    that gets the notices; empty for none."""
    if not options.has_policy:
        return "The function only reads: without a policy file it does not run tidy."
    if options.policy.dry_run or not options.policy.deletes:
        return "The function only reads: the policy file has dry_run, or no rule with delete."
    rules = [name for name, rule in options.policy.rules.items() if rule.delete]
    text = f"The function deletes apps, after a notice, by these rules: {', '.join(rules)}."
    if not (mail or options.policy.sns_topic_arn or options.policy.event_bus):
        text += " It deletes nothing until somebody is subscribed to its topic: add --mail."
    return text


def _start(
    stack: Stack, names: dict[str, str], command: str, arguments: argparse.Namespace
) -> None:
    """Start a first run, which shows whether the function has all permissions that it needs."""
    from ..domain.errors import CallError

    try:
        stack.start(names["Function"], command)
        _printer(arguments)(f"started a first {command}")
    except (CallError, KeyError) as error:
        print(f"The first {command} could not be started: {error}", file=sys.stderr)


def _remove(arguments: argparse.Namespace) -> int:
    stack, page = _stack(arguments), Page()
    if not stack.status():
        page.line(f"There is no stack {stack.name} in this region: nothing to do.")
        return ExitCode.DONE
    if not _agreed(arguments, f"Delete the stack {stack.name}?"):
        return ExitCode.TROUBLE
    names = stack.remove() or {}
    bucket = names.get("Bucket", "")
    remains = [
        f"the bucket {bucket} with the audit log. Empty and delete it in S3's console.",
        "the bucket with the zip (auto-shutdown-code-…), which other stacks may use.",
    ]
    if arguments.json:
        page.json({"removed": True, "remains": remains})
        return ExitCode.DONE
    page.line(f"The stack {arguments.stack} is gone.", "good")
    for line in remains:
        page.line(f"remains: {line}")
    return ExitCode.DONE


def _stack(arguments: argparse.Namespace) -> Stack:
    from ..domain.connection import connect
    from ..domain.errors import DomainError
    from ..domain.scheduled.stack import Stack

    connection: Connection
    connection, regions = connect(arguments.region, arguments.all_regions, arguments.profile)
    if len(regions) != 1:
        message = "A stack is in one region, so use --region once. For several, use a StackSet."
        raise DomainError(f"{message} docs/scheduled.md has an example.")
    return Stack(connection.aws(regions[0]), arguments.stack, _printer(arguments))


def _agreed(arguments: argparse.Namespace, question: str) -> bool:
    if arguments.yes:
        return True
    if sys.stdin.isatty() and not arguments.json:
        if input(f"{question} [y/N] ").strip().lower() in ("y", "yes"):
            return True
    else:
        print(f"{question} To agree, use --yes.", file=sys.stderr)
    print("Nothing was changed.", file=sys.stderr)
    return False


def _printer(arguments: argparse.Namespace) -> Callable[[str], None]:
    """A function that prints a step for a person. With ``--json`` it prints nothing, so that
    standard output is JSON alone."""
    return (lambda text: None) if arguments.json else (lambda text: Page().line(text))


def _costs(arguments: argparse.Namespace, options: Options) -> dict[str, Any]:
    from ..domain.scheduled.monthly_cost import estimate

    lines = estimate(options, arguments.apps, arguments.canvas_apps)
    parts = {line.what: round(line.usd, 2) for line in lines}
    return {"total": round(sum(line.usd for line in lines), 2), "parts": parts}


def _show_costs(page: Page, arguments: argparse.Namespace, options: Options) -> None:
    from ..domain.scheduled.monthly_cost import PRICED_AS_OF

    costs = _costs(arguments, options)
    page.line(
        f"It costs about ${costs['total']:.2f} a month for {arguments.apps} apps (an estimate from "
        f"the list prices of us-east-1, {PRICED_AS_OF}, without any free tier; --apps N):"
    )
    for what, usd in costs["parts"].items():
        page.line(f"  {usd:8.2f}  {what}")
