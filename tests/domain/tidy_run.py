"""An administrator who runs tidy again and again against the AWS API."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from account import aged, all_on
from aws_account import Account

from auto_shutdown.core.outcome import Result
from auto_shutdown.domain.actions import TidyDecision
from auto_shutdown.domain.connection import Connection, scope_of_tidy
from auto_shutdown.domain.facts import Facts
from auto_shutdown.domain.policy import DomainPolicy
from auto_shutdown.domain.stores import FileAudit, FileState
from auto_shutdown.domain.tidy import Run, Tidy


class Notes:
    """Remembers notices; ``error`` is raised instead."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.error: Exception | None = None

    def send(self, decisions: Sequence[TidyDecision], facts: Facts, policy: DomainPolicy) -> None:
        if self.error is not None:
            raise self.error
        self.sent += [f"{d.item.owner}/{d.item.type}" for d in decisions]


class Administrator:
    """Runs tidy again and again. ``later`` moves the clock of the program, not that of AWS."""

    def __init__(self, account: Account, connection: Connection, directory: Path) -> None:
        self.account, self.connection = account, connection
        self.state, self.log = FileState(directory / "state"), directory / "audit"
        self.audit: Any = FileAudit(self.log)
        self.notes = Notes()
        self.offset = timedelta(0)
        self.connection.now = lambda: datetime.now(timezone.utc) + self.offset
        self.before_call: Callable[[], None] = lambda: None

    def run(self, rules: DomainPolicy | None = None, dry_run: bool = False) -> Run:
        rules = rules or all_on()
        reader = self.connection.reader(scope_of_tidy(("us-west-2",), rules))
        tidy = Tidy(
            reader,
            rules,
            self.state,
            self.audit,
            self.notes,
            self.connection.aws,
            self.connection.now,
        )
        return tidy.run(dry_run)

    def notices_given(self, ago: timedelta) -> None:
        """Make the notices of the state older by ``ago``, instead of the world younger."""
        memory, version = self.state.load()
        self.state.save(aged(memory, ago), version)

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.log.read_text().splitlines()]


def results(run: Run) -> list[tuple[str, Result]]:
    return [(a.decision.item.type, a.result) for a in run.attempts]


def ripe(account: Account, admin: Administrator) -> None:
    """A Canvas app whose notice is over."""
    account.start("Canvas", 10)
    account.canvas_was_idle(200)
    admin.run()
    admin.notices_given(timedelta(hours=2))


def at_describe(account: Account, event: Callable[[], None]) -> None:
    """``event`` happens between the plan and the second look."""
    original = account.api.operations.table["DescribeApp"]

    def describe(request: dict[str, Any]) -> dict[str, Any]:
        event()
        return original(request)

    account.api.operations.table["DescribeApp"] = describe
