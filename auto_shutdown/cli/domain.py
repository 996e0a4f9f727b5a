"""``domain``: reports on whole SageMaker domains, checks them, tidies them and removes them, with
an administrator's credentials and without a server."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..api.server_error import ExitCode
from . import domain_options, domain_template
from .domain_text import run_as_json, show_report, show_run
from .findings import show_findings
from .options import Commands
from .text import Page

if TYPE_CHECKING:
    from ..domain.connection import Connection
    from ..domain.policy import DomainPolicy


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Report on, check and tidy whole SageMaker domains, as their administrator."
    parser = commands.add_parser("domain", help=summary, description=summary)
    below = parser.add_subparsers(dest="domain_command", metavar="COMMAND", required=True)
    domain_options.add_report(below, report)
    domain_options.add_check(below, check)
    domain_options.add_tidy(below, tidy)
    domain_options.add_teardown(below, teardown)
    summary = "Write, deploy or remove a scheduled run of report, check and tidy (AWS Lambda)."
    template = domain_options.add_parser(below, "template", summary, domain_template.run)
    domain_template.add_options(template)


def report(arguments: argparse.Namespace) -> int:
    """Print the report of the domains, and write the files that the options name."""

    def work(connection: Connection, regions: tuple[str, ...], policy: DomainPolicy) -> int:
        from ..domain import report as reporting
        from ..domain.connection import scope_of_report

        scope = scope_of_report(regions, policy, arguments.reports_within, arguments.bill)
        content = reporting.build(connection.read(scope), policy)
        if arguments.html:
            from ..domain.page import html

            arguments.html.write_text(html(content), encoding="utf-8")
        if arguments.csv:
            _write_csv(arguments.csv, reporting.csv_rows(content))
        if arguments.json:
            Page().json(content)
        elif str(arguments.csv) != "-":
            show_report(Page(), content, arguments.limit)
        return ExitCode.DONE

    return _with_policy(arguments, work)


def check(arguments: argparse.Namespace) -> int:
    """Print the findings. Returns the exit code that ``--fail-on`` asks for."""

    def work(connection: Connection, regions: tuple[str, ...], policy: DomainPolicy) -> int:
        from ..core.finding import counts
        from ..domain.connection import scope_of_check
        from ..domain.findings import examine

        scope = scope_of_check(regions, policy, arguments.reports_within, arguments.describe)
        findings = examine(connection.read(scope), policy)
        numbers = counts(findings)
        if arguments.json:
            Page().json({"findings": [x.to_json() for x in findings], "counts": numbers})
        else:
            show_findings(Page(), findings)
        levels = {"failure": ("failure",), "warning": ("failure", "warning"), "never": ()}
        bad = any(numbers[level] for level in levels[arguments.fail_on])
        return ExitCode.TROUBLE if bad else ExitCode.DONE

    return _with_policy(arguments, work)


def tidy(arguments: argparse.Namespace) -> int:
    """Give the notices that the policy asks for, and delete the apps whose notice has ended."""

    def work(connection: Connection, regions: tuple[str, ...], policy: DomainPolicy) -> int:
        from ..domain.connection import scope_of_tidy
        from ..domain.notices import AwsNotifier
        from ..domain.stores import FileAudit, FileState
        from ..domain.tidy import Tidy

        reader = connection.reader(scope_of_tidy(regions, policy))
        store, audit = FileState(arguments.state), FileAudit(arguments.audit)
        notifier = AwsNotifier(connection.aws)
        tidying = Tidy(reader, policy, store, audit, notifier, connection.aws, connection.now)
        run = tidying.run(arguments.dry_run)
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
    """Show the contents of the domain, ask for its name, and delete everything."""

    def work(connection: Connection, regions: tuple[str, ...], policy: DomainPolicy) -> int:
        from ..domain.stores import FileAudit
        from ..domain.teardown import Teardown

        if len(regions) != 1:
            print("domain teardown needs one region: --region REGION.", file=sys.stderr)
            return ExitCode.USAGE
        page, audit = Page(), FileAudit(arguments.audit)

        def show_step(text: str) -> None:
            if not arguments.json:
                page.line(text)

        def write(entry: Mapping[str, object]) -> None:
            from ..core.formatting import iso

            about = {
                "at": iso(connection.now()),
                "region": regions[0],
                "domain_id": arguments.domain,
            }
            audit.write({**about, **entry})

        keep = not arguments.delete_files
        aws, spaces = connection.aws(regions[0]), arguments.delete_spaces
        removal = Teardown(aws, arguments.domain, keep, spaces, show_step, write)
        contents = removal.look()
        for line in removal.plan(contents):
            show_step(line)
        if contents.domain is None:
            return ExitCode.DONE
        if not _agreed(arguments, contents):
            print("Nothing was deleted.", file=sys.stderr)
            return ExitCode.TROUBLE
        result = removal.run()
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
    """Whether the user typed the name of the domain, and agreed to lose the files of the spaces."""
    from ..domain.teardown import Contents

    assert isinstance(contents, Contents)
    assert contents.domain is not None
    name = str(contents.domain.get("DomainName") or arguments.domain)
    if contents.spaces and not arguments.delete_spaces:
        count = len(contents.spaces)
        message = f"The domain has {count} spaces with files. To agree, use --delete-spaces."
        print(message, file=sys.stderr)
        return False
    typed = arguments.confirm
    if not typed and sys.stdin.isatty() and not arguments.json:
        typed = input(f"Type the domain's name ({name}) to delete it: ").strip()
    if typed != name:
        message = f"The domain's name is {name}. To confirm, use --confirm {name}."
        print(message, file=sys.stderr)
    return bool(typed == name)


def _with_policy(
    arguments: argparse.Namespace,
    work: Callable[[Connection, tuple[str, ...], DomainPolicy], int],
) -> int:
    """Load the policy, connect to AWS, and call ``work``. Prints an error as one sentence. Returns
    the exit code."""
    from dataclasses import replace

    from ..domain.connection import connect, load_policy
    from ..domain.errors import CallError, DomainError

    try:
        policy = load_policy(arguments.policy)
        domains = getattr(arguments, "domain", None)
        if isinstance(domains, list) and domains:
            policy = replace(policy, domains=frozenset(domains))
        minutes = getattr(arguments, "minutes", None)
        seconds = None if minutes is None else minutes * 60
        connection, regions = connect(
            arguments.region, arguments.all_regions, arguments.profile, seconds
        )
        connection.speed = arguments.calls_a_second / domain_options.LISTS_A_SECOND
        return work(connection, regions, policy)
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
