"""The parsers and options of the ``domain`` commands."""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path

from .options import Commands, Run, command, number

#: The values of ``check --fail-on``.
LEVELS = ("failure", "warning", "never")

#: How many list operations a second AWS allows in an account and region. The commands limit the
#: other operations in proportion.
LISTS_A_SECOND = 2.0

#: The files of notices and of the audit log, in the working directory of the command.
STATE = Path("auto-shutdown-domain-state.json")
AUDIT = Path("auto-shutdown-domain-audit.jsonl")


def add_parser(
    below: Commands[argparse.ArgumentParser], name: str, summary: str, run: Run
) -> argparse.ArgumentParser:
    """Add a parser with the options that every ``domain`` command has, and return it."""
    parser = command(below, name, summary, run)
    option = parser.add_argument_group("the account and the policy").add_argument
    option(
        "--region",
        action="append",
        default=[],
        help="an AWS region; may be repeated (default: the AWS configuration's)",
    )
    option("--all-regions", action="store_true", help="all regions with SageMaker")
    option("--profile", help="a profile of the AWS configuration")
    option(
        "--policy", type=Path, metavar="FILE", help="the domain policy file (JSON, docs/domain.md)"
    )
    option(
        "--calls-a-second",
        type=number(0.05, 100),
        default=LISTS_A_SECOND,
        metavar="N",
        help=f"how many list operations to call in a second (default: {LISTS_A_SECOND:g}, the "
        "account's whole quota; a lower number leaves a part of it to other programs)",
    )
    return parser


def _add_domains(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--domain",
        action="append",
        default=[],
        metavar="ID",
        help="only this domain; may be repeated (default: all domains)",
    )
    parser.add_argument(
        "--reports-within",
        type=_hours,
        default=timedelta(hours=24),
        metavar="HOURS",
        help="read the report lines of this number of hours (default: 24)",
    )


def _hours(text: str) -> timedelta:
    """A ``type`` for argparse: a duration from 0.01 hours to 90 days."""
    return timedelta(hours=number(0.01, 24 * 90, " hours")(text))


def add_report(below: Commands[argparse.ArgumentParser], run: Run) -> None:
    summary = "Report all that is billed: owner, age, price, cost, idle time; changes nothing."
    parser = add_parser(below, "report", summary, run)
    _add_domains(parser)
    option = parser.add_argument
    option("--html", type=Path, metavar="FILE", help="also write an HTML page to this file")
    option("--csv", type=Path, metavar="FILE", help="also write a CSV file (- is standard output)")
    option(
        "--bill",
        action="store_true",
        help="also ask Cost Explorer for the bill, which costs one cent each time",
    )
    option(
        "-n",
        "--limit",
        type=number(0, whole=True),
        default=40,
        metavar="N",
        help="how many rows the table has (default: 40)",
    )


def add_check(below: Commands[argparse.ArgumentParser], run: Run) -> None:
    summary = "Find problems, with a remedy for each and an exit code for CI; changes nothing."
    parser = add_parser(below, "check", summary, run)
    _add_domains(parser)
    option = parser.add_argument
    option(
        "--fail-on",
        choices=LEVELS,
        default="failure",
        help="exit with code 1 on a finding of this level or a worse one (default: failure)",
    )
    option(
        "--describe",
        type=number(0, whole=True),
        default=500,
        metavar="N",
        help="describe each user profile, 5 a second, if there are at most N (default: 500)",
    )


def add_tidy(below: Commands[argparse.ArgumentParser], run: Run) -> None:
    summary = "Give notice of, and later delete, apps by the rules of the policy file."
    parser = add_parser(below, "tidy", summary, run)
    option = parser.add_argument
    option("--dry-run", action="store_true", help="only show the plan, also if the policy deletes")
    option("--state", type=Path, default=STATE, metavar="FILE", help="the file of notices")
    option("--audit", type=Path, default=AUDIT, metavar="FILE", help="the file of the audit log")
    option("--all", action="store_true", help="also list each app that is kept, with the reason")
    option(
        "--minutes",
        type=number(0),
        metavar="N",
        help="end after N minutes; the next run continues",
    )


def add_teardown(below: Commands[argparse.ArgumentParser], run: Run) -> None:
    summary = "Delete a whole domain and all in it; an interrupted run can be repeated."
    parser = add_parser(below, "teardown", summary, run)
    option = parser.add_argument
    option("--domain", required=True, metavar="ID", help="the id of the domain")
    option(
        "--confirm",
        default="",
        metavar="NAME",
        help="the name of the domain, which the command otherwise asks you to type",
    )
    option(
        "--delete-spaces",
        action="store_true",
        help="also delete the spaces of the domain, with their files",
    )
    option(
        "--delete-files",
        action="store_true",
        help="also delete the file system of the domain, with all home directories (default: keep)",
    )
    option("--audit", type=Path, default=AUDIT, metavar="FILE", help="the file of the audit log")
