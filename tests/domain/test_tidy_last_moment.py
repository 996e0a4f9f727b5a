"""An app is due for deletion in this run, and one thing changes between the plan and the deletion.

Each row is a whole run against the local AWS API. The control rows, in which nothing relevant
changes, show that the app is otherwise deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from account import all_on
from aws_account import Account, line
from tidy_run import Administrator, at_describe

from auto_shutdown.core.outcome import Result
from auto_shutdown.domain.connection import Connection


@pytest.fixture(scope="module")
def session() -> Any:
    """One for all rows; each row empties the account."""
    from boto3.session import Session

    return Session()


KEEP = [{"Key": "auto-shutdown", "Value": "keep"}]
ARN = "arn:aws:sagemaker:us-west-2:123456789012:user-profile/d-one/bob"


class Due:
    """One app whose notice time is over, and what can happen to it at the last moment."""

    def __init__(self, rule: str, account: Account, admin: Administrator) -> None:
        self.account, self.admin = account, admin
        if rule == "canvas":
            self.record = account.start("Canvas", 100)
            account.canvas_was_idle(200)
        elif rule == "without_extension":
            self.record = account.start("JupyterLab", 100, SpaceName="lab")
            account.log("d-one/other/JupyterLab/default", line())
        elif rule == "orphans":
            self.record = account.start("TensorBoard", 100)
            account.lose_owner("bob")
        else:
            self.record = account.start("RSessionGateway", 100)
        admin.run(RULES)
        admin.notices_given(timedelta(hours=2))

    def nothing(self) -> None:
        pass

    def used(self) -> None:
        self.account.canvas_was_idle(0, ago=0.5)

    def used_by_the_same_name_elsewhere(self) -> None:
        self.account.canvas_was_idle(0, ago=0.5, domain_id="d-two")

    def eleven_minutes_pass(self) -> None:
        self.admin.offset += timedelta(minutes=11)

    def listed_as_created(self, minutes: float) -> None:
        self.record.created_at = datetime.now(timezone.utc) - timedelta(minutes=minutes)

    def cloudtrail_shows_a_creation(self, minutes: float) -> None:
        trail = self.account.api.trail
        (event,) = [e for e in trail.events if e.name == "CreateApp"]
        trail.record(event.name, event.request, event.at + 100 * 3600 - minutes * 60)

    def failed(self) -> None:
        self.record.status = "Failed"

    def reported(self, domain_id: str) -> None:
        self.account.log(f"{domain_id}/lab/JupyterLab/default", line(), ago=0)

    def tagged(self) -> None:
        self.account.sagemaker.add_tags(ResourceArn=ARN, Tags=KEEP)

    def owner_made(self, domain_id: str) -> None:
        if domain_id == "d-two":
            self.account.make_domain("two")
        named = self.account.api.operations.owners.of("UserProfile")
        if (domain_id, "bob") not in named:
            self.account.sagemaker.create_user_profile(DomainId=domain_id, UserProfileName="bob")


RULES = all_on(exceptions={"tags": {"auto-shutdown": "keep"}})
DELETED = "SageMaker is deleting the app."
UNKNOWN = "Its activity is unknown"

Event = Callable[[Due], None]

#: The rule, the event, and the beginning of the reason in the audit log.
ROWS: dict[str, tuple[str, Event, str]] = {
    "nothing, Canvas": ("canvas", Due.nothing, DELETED),
    "nothing, an age": ("rstudio_sessions", Due.nothing, DELETED),
    "nothing, no extension": ("without_extension", Due.nothing, DELETED),
    "nothing, an orphan": ("orphans", Due.nothing, DELETED),
    "Canvas is used": ("canvas", Due.used, "Idle for "),
    "another domain's Canvas is used": ("canvas", Due.used_by_the_same_name_elsewhere, DELETED),
    "the point becomes old": ("canvas", Due.eleven_minutes_pass, UNKNOWN),
    "the point is older than the app": ("canvas", lambda due: due.listed_as_created(0.1), UNKNOWN),
    "the app is a new one": (
        "rstudio_sessions",
        lambda due: due.listed_as_created(5),
        "It has run for 5 m",
    ),
    "CloudTrail shows a creation late": (
        "rstudio_sessions",
        lambda due: due.cloudtrail_shows_a_creation(10),
        "It has run for 10 m",
    ),
    "the app fails": ("rstudio_sessions", Due.failed, "The app is Failed."),
    "the owner gets the tag": ("rstudio_sessions", Due.tagged, "The policy exempts resources with"),
    "its server reports": (
        "without_extension",
        lambda due: due.reported("d-one"),
        "No rule covers the app any more.",
    ),
    "another domain's server reports": (
        "without_extension",
        lambda due: due.reported("d-two"),
        DELETED,
    ),
    "its owner is made again": (
        "orphans",
        lambda due: due.owner_made("d-one"),
        "Its owner exists.",
    ),
    "another domain gets a profile of the name": (
        "orphans",
        lambda due: due.owner_made("d-two"),
        DELETED,
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_change_just_before_the_deletion_keeps_the_app(
    account: Account, connection: Connection, tmp_path: Path, row: str
) -> None:
    rule, event, reason = ROWS[row]
    admin = Administrator(account, connection, tmp_path)
    due = Due(rule, account, admin)
    at_describe(account, lambda: event(due))
    run = admin.run(RULES)
    found: list[Any] = [(a.decision.rule, a.result) for a in run.attempts]
    deleted = reason == DELETED
    assert found == [(rule, Result.REMOVED if deleted else Result.STALE)]
    assert run.attempts[0].detail.startswith(reason)
    assert account.api.count("DeleteApp") == (1 if deleted else 0)
