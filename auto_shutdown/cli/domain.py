"""``domain``: what an administrator sees, checks and tidies above one server."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ..api.server_error import ExitCode
from . import domain_template
from .domain_text import run_as_json, show_findings, show_report, show_run
from .options import Commands, Run, command, number
from .text import Page

if TYPE_CHECKING:
    from ..domain.policy import DomainPolicy
    from ..domain.workplace import Workplace

LEVELS = ("failure", "warning", "never")

#: The rate of the list operations of an account and region. The other rates are in proportion.
LISTS_A_SECOND = 2.0


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "See, check and tidy whole SageMaker domains, with an administrator's credentials."
    parser = commands.add_parser("domain", help=summary, description=summary)
    below = parser.add_subparsers(dest="domain_command", metavar="COMMAND", required=True)
    _add_report(below)
    _add_check(below)
    _add_tidy(below)
    _add_teardown(below)
    summary = "Write, deploy or remove the scheduled run of report, check and tidy (AWS Lambda)."
    domain_template.add_options(_common(below, "template", summary, domain_template.run))


def _common(
    below: Commands[argparse.ArgumentParser], name: str, summary: str, run: Run
) -> argparse.ArgumentParser:
    parser = command(below, name, summary, run)
    option = parser.add_argument_group("where").add_argument
    option("--region", action="append", default=[], help="an AWS region; may be repeated")
    option("--all-regions", action="store_true", help="every region with SageMaker")
    option("--profile", help="a profile of the AWS configuration")
    option("--policy", type=Path, metavar="FILE", help="the policy file (JSON, docs/domain.md)")
    option(
        "--calls-a-second",
        type=number(0.05, 100),
        default=LISTS_A_SECOND,
        metavar="N",
        help=f"lists a second (default: {LISTS_A_SECOND:g}, what the account has); "
        "less leaves more to others",
    )
    return parser


def _add_domains(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--domain", action="append", default=[], metavar="ID", help="a domain (default: all)"
    )
    parser.add_argument(
        "--reports-within",
        type=_hours,
        default=timedelta(hours=24),
        metavar="HOURS",
        help="how far back the servers' report lines are read (default: 24)",
    )


def _hours(text: str) -> timedelta:
    return timedelta(hours=number(0.01, 24 * 90, " hours")(text))


def _add_report(below: Commands[argparse.ArgumentParser]) -> None:
    summary = "Everything billed: owner, age, price, cost, idle since when; changes nothing."
    parser = _common(below, "report", summary, report)
    _add_domains(parser)
    option = parser.add_argument
    option("--html", type=Path, metavar="FILE", help="write one self-contained page")
    option("--csv", type=Path, metavar="FILE", help="write a CSV file (- for standard output)")
    option("--bill", action="store_true", help="also ask Cost Explorer (one cent a time)")
    option(
        "-n",
        "--limit",
        type=number(0, whole=True),
        default=40,
        metavar="N",
        help="rows of the table (default: 40)",
    )


def _add_check(below: Commands[argparse.ArgumentParser]) -> None:
    summary = "Findings with a remedy, and an exit code, for CI or a daily mail; changes nothing."
    parser = _common(below, "check", summary, check)
    _add_domains(parser)
    option = parser.add_argument
    option("--fail-on", choices=LEVELS, default="failure", help="exit 1 from this level on")
    option(
        "--describe",
        type=number(0, whole=True),
        default=500,
        metavar="N",
        help="describe user profiles one by one if there are at most N (5 a second)",
    )


def _add_tidy(below: Commands[argparse.ArgumentParser]) -> None:
    summary = "Give notice of, and then delete, what the policy file covers; dry unless it says so."
    parser = _common(below, "tidy", summary, tidy)
    option = parser.add_argument
    option("--dry-run", action="store_true", help="only show the plan, whatever the policy says")
    state = "auto-shutdown-domain-state.json"
    option("--state", type=Path, default=Path(state), metavar="FILE", help="the notices given")
    audit = "auto-shutdown-domain-audit.jsonl"
    option("--audit", type=Path, default=Path(audit), metavar="FILE", help="the audit log")
    option("--all", action="store_true", help="also list each app that is kept, with the reason")
    option(
        "--minutes", type=number(0), metavar="N", help="end after N minutes; a later run goes on"
    )


def _add_teardown(below: Commands[argparse.ArgumentParser]) -> None:
    summary = "Remove a whole domain in the order that works; may be interrupted and run again."
    parser = _common(below, "teardown", summary, teardown)
    option = parser.add_argument
    option("--domain", required=True, metavar="ID", help="the domain")
    option("--confirm", default="", metavar="NAME", help="the domain's name, instead of typing it")
    option(
        "--delete-spaces", action="store_true", help="agree that the files in its spaces are lost"
    )
    option(
        "--delete-files",
        action="store_true",
        help="also delete its file system with all home directories (default: it is kept)",
    )
    audit = "auto-shutdown-domain-audit.jsonl"
    option("--audit", type=Path, default=Path(audit), metavar="FILE", help="the audit log")


# -- what they do ------------------------------------------------------------------------------


def report(arguments: argparse.Namespace) -> int:
    def work(place: Workplace, regions: tuple[str, ...], policy: DomainPolicy) -> int:
        from ..domain import report as reporting
        from ..domain.workplace import scope_of_report

        scope = scope_of_report(regions, policy, arguments.reports_within, arguments.bill)
        found = reporting.build(place.read(scope), policy)
        if arguments.html:
            from ..domain.page import html

            arguments.html.write_text(html(found), encoding="utf-8")
        if arguments.csv:
            _write_csv(arguments.csv, reporting.csv_rows(found))
        if arguments.json:
            Page().json(found)
        elif str(arguments.csv) != "-":
            show_report(Page(), found, arguments.limit)
        return ExitCode.DONE

    return _with_policy(arguments, work)


def check(arguments: argparse.Namespace) -> int:
    def work(place: Workplace, regions: tuple[str, ...], policy: DomainPolicy) -> int:
        from ..core.finding import counts
        from ..domain.findings import examine
        from ..domain.workplace import scope_of_check

        scope = scope_of_check(regions, policy, arguments.reports_within, arguments.describe)
        findings = examine(place.read(scope), policy)
        found = counts(findings)
        if arguments.json:
            Page().json({"findings": [x.to_json() for x in findings], "counts": found})
        else:
            show_findings(Page(), findings)
        levels = {"failure": ("failure",), "warning": ("failure", "warning"), "never": ()}
        bad = any(found[level] for level in levels[arguments.fail_on])
        return ExitCode.TROUBLE if bad else ExitCode.DONE

    return _with_policy(arguments, work)


def tidy(arguments: argparse.Namespace) -> int:
    def work(place: Workplace, regions: tuple[str, ...], policy: DomainPolicy) -> int:
        from ..domain.notices import AwsNotifier
        from ..domain.stores import FileAudit, FileState
        from ..domain.tidy import Tidy
        from ..domain.workplace import scope_of_tidy

        reader = place.reader(scope_of_tidy(regions, policy))
        store, audit = FileState(arguments.state), FileAudit(arguments.audit)
        notifier = AwsNotifier(place.aws)
        found = Tidy(reader, policy, store, audit, notifier, place.aws, place.now)
        run = found.run(arguments.dry_run)
        if arguments.json:
            Page().json(run_as_json(run))
        else:
            show_run(Page(), run, arguments.all)
        return ExitCode.TROUBLE if run.failed else ExitCode.DONE

    if arguments.policy is None:
        print("domain tidy needs a policy file: --policy FILE (docs/domain.md).", file=sys.stderr)
        return ExitCode.USAGE
    return _with_policy(arguments, work)


def teardown(arguments: argparse.Namespace) -> int:
    def work(place: Workplace, regions: tuple[str, ...], policy: DomainPolicy) -> int:
        from ..domain.stores import FileAudit
        from ..domain.teardown import Teardown

        if len(regions) != 1:
            print("domain teardown works in one region: --region.", file=sys.stderr)
            return ExitCode.USAGE
        page, audit = Page(), FileAudit(arguments.audit)

        def tell(text: str) -> None:
            if not arguments.json:
                page.line(text)

        def write(entry: Mapping[str, object]) -> None:
            from ..core.words import iso

            about = {"at": iso(place.now()), "region": regions[0], "domain_id": arguments.domain}
            audit.write({**about, **entry})

        keep = not arguments.delete_files
        aws, spaces = place.aws(regions[0]), arguments.delete_spaces
        found = Teardown(aws, arguments.domain, keep, spaces, tell, write)
        contents = found.look()
        for line in found.plan(contents):
            tell(line)
        if contents.domain is None:
            return ExitCode.DONE
        if not _agreed(arguments, contents):
            print("Nothing was deleted.", file=sys.stderr)
            return ExitCode.TROUBLE
        result = found.run()
        if arguments.json:
            page.json(vars(result))
            return ExitCode.DONE if result.done else ExitCode.TROUBLE
        for line in result.failed:
            page.line(line, "bad")
        page.line("The domain is gone." if result.done else "The domain is not gone yet.")
        for line in result.remains:
            page.line(f"remains: {line}")
        return ExitCode.DONE if result.done else ExitCode.TROUBLE

    return _with_policy(arguments, work)


def _agreed(arguments: argparse.Namespace, contents: object) -> bool:
    """Whether the domain's name was typed, and the loss of the spaces' files agreed to."""
    from ..domain.teardown import Contents

    assert isinstance(contents, Contents)
    assert contents.domain is not None
    name = str(contents.domain.get("DomainName") or arguments.domain)
    if contents.spaces and not arguments.delete_spaces:
        message = f"It has {len(contents.spaces)} spaces with files: --delete-spaces agrees."
        print(message, file=sys.stderr)
        return False
    typed = arguments.confirm
    if not typed and sys.stdin.isatty() and not arguments.json:
        typed = input(f"Type the domain's name ({name}) to delete it: ").strip()
    if typed != name:
        print(f"The domain's name is {name}: --confirm {name}.", file=sys.stderr)
    return bool(typed == name)


def _with_policy(
    arguments: argparse.Namespace,
    work: Callable[[Workplace, tuple[str, ...], DomainPolicy], int],
) -> int:
    """Load the policy, connect, and do ``work``; errors are one sentence."""
    from dataclasses import replace

    from ..domain.errors import CallError, DomainError
    from ..domain.workplace import connect, load_policy

    try:
        policy = load_policy(arguments.policy)
        domains = getattr(arguments, "domain", None)
        if isinstance(domains, list) and domains:
            policy = replace(policy, domains=frozenset(domains))
        minutes = getattr(arguments, "minutes", None)
        seconds = None if minutes is None else minutes * 60
        place, regions = connect(
            arguments.region, arguments.all_regions, arguments.profile, seconds
        )
        place.speed = arguments.calls_a_second / LISTS_A_SECOND
        return work(place, regions, policy)
    except (DomainError, CallError) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or 'A file'}: {error.strerror or error}.", file=sys.stderr)
    return ExitCode.TROUBLE


def _write_csv(path: Path, rows: object) -> None:
    if str(path) == "-":
        csv.writer(sys.stdout).writerows(rows)  # type: ignore[arg-type]
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)  # type: ignore[arg-type]
