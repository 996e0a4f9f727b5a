"""``domain tidy`` against the AWS API: notice, second look, deletion, audit."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from aws_account import Account, line

from auto_shutdown.config.traits import STOP_TAG
from auto_shutdown.core.verdict import Result
from auto_shutdown.domain import facts as f
from auto_shutdown.domain.actions import Decision, Step
from auto_shutdown.domain.errors import CallError, ConflictError, DomainError, OutOfTimeError
from auto_shutdown.domain.facts import Facts
from auto_shutdown.domain.policy import DomainPolicy, parse
from auto_shutdown.domain.stores import FileAudit, FileState
from auto_shutdown.domain.tidy import LEASE, Run, Tidy, interrupted
from auto_shutdown.domain.workplace import Workplace, scope_of_tidy
from auto_shutdown.local_studio.api import Fault, denied

RULES = ("canvas", "rstudio_sessions", "tensorboard", "without_extension", "orphans")


def policy(**more: Any) -> DomainPolicy:
    rules = {name: {"delete": True} for name in RULES}
    fixed = {"version": 1, "dry_run": False, "notify": {"event_bus": "default"}}
    return parse({**fixed, **rules, **more})


class Notes:
    """Remembers notices; ``error`` is raised instead."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.error: Exception | None = None

    def send(self, decisions: Sequence[Decision], facts: Facts, policy: DomainPolicy) -> None:
        if self.error is not None:
            raise self.error
        self.sent += [f"{d.item.owner}/{d.item.type}" for d in decisions]


class Administrator:
    """Runs tidy again and again. ``later`` moves the clock of the program, not that of AWS."""

    def __init__(self, account: Account, place: Workplace, directory: Path) -> None:
        self.account, self.place = account, place
        self.state, self.log = FileState(directory / "state"), directory / "audit"
        self.audit: Any = FileAudit(self.log)
        self.notes = Notes()
        self.offset = timedelta(0)
        self.place.now = lambda: datetime.now(timezone.utc) + self.offset
        self.before_call: Callable[[], None] = lambda: None

    def run(self, rules: DomainPolicy | None = None, dry_run: bool = False) -> Run:
        rules = rules or policy()
        reader = self.place.reader(scope_of_tidy(("us-west-2",), rules))
        tidy = Tidy(
            reader, rules, self.state, self.audit, self.notes, self.place.aws, self.place.now
        )
        return tidy.run(dry_run)

    def notices_given(self, ago: timedelta) -> None:
        """Make the notices of the state as old as that, instead of the world younger."""
        memory, version = self.state.load()
        aged = {
            key: type(n)(n.rule, n.given_at - ago, n.created_at)
            for key, n in memory.notices.items()
        }
        self.state.save(memory.with_notices(aged), version)

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.log.read_text().splitlines()]


@pytest.fixture
def admin(account: Account, place: Workplace, tmp_path: Path) -> Administrator:
    return Administrator(account, place, tmp_path)


def results(run: Run) -> list[tuple[str, Result]]:
    return [(a.decision.item.type, a.result) for a in run.attempts]


def test_notice_and_then_deletion(account: Account, admin: Administrator) -> None:
    account.start("Canvas", 10)
    account.canvas_was_idle(200)
    account.start("RSessionGateway", 50, "session-1", UserProfileName="cleo")
    first = admin.run()
    assert sorted(admin.notes.sent) == ["bob/Canvas", "cleo/RSessionGateway"]
    assert first.attempts == []
    second = admin.run()
    assert [d.step for d in second.plan.decisions] == [Step.WAIT, Step.WAIT]
    admin.notices_given(timedelta(hours=2))
    third = admin.run()
    assert results(third) == [
        ("Canvas", Result.REMOVED),
        ("RSessionGateway", Result.REMOVED),
    ]
    account.wait_for(lambda: set(account.statuses().values()) == {"Deleted"})
    events = [(e["event"], e.get("outcome", "")) for e in admin.entries()]
    assert events == [("notice", "")] * 2 + [("delete", ""), ("outcome", "removed")] * 2
    assert interrupted(admin.entries()) == []
    assert len(admin.notes.sent) == 2
    assert admin.run().plan.of_step(Step.DELETE, Step.NOTICE) == ()
    assert admin.state.load()[0].notices == {}


@pytest.mark.parametrize("rules", [policy(dry_run=True), None])
def test_a_dry_run_changes_nothing(
    account: Account, admin: Administrator, rules: DomainPolicy | None
) -> None:
    account.start("RSessionGateway", 50, "session-1")
    run = admin.run(rules, dry_run=rules is None)
    assert [d.step for d in run.plan.decisions] == [Step.NOTICE]
    assert admin.notes.sent == []
    assert not admin.log.exists()
    assert admin.state.load()[1] == ""


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


@pytest.mark.parametrize("renewed", [True, False], ids=["new CreationTime", "old CreationTime"])
def test_an_app_created_again_between_plan_and_act_stays(
    account: Account, admin: Administrator, renewed: bool
) -> None:
    ripe(account, admin)
    account.api.apps.renew_creation_time = renewed

    def again() -> None:
        account.api.apps.renew_creation_time = renewed
        app = {"DomainId": "d-one", "UserProfileName": "bob", "AppType": "Canvas"}
        account.sagemaker.delete_app(**app, AppName="default")
        account.wait_for(lambda: account.statuses()["bob/Canvas"] == "Deleted")
        account.sagemaker.create_app(**app, AppName="default")
        account.wait_for(lambda: account.statuses()["bob/Canvas"] == "InService")

    at_describe(account, again)
    assert results(admin.run()) == [("Canvas", Result.STALE)]
    assert account.statuses() == {"bob/Canvas": "InService"}
    assert admin.state.load()[0].notices == {}
    account.api.apps.renew_creation_time = False


def test_an_app_that_became_active_after_the_plan_stays(
    account: Account, admin: Administrator
) -> None:
    ripe(account, admin)
    at_describe(account, lambda: account.canvas_was_idle(0, ago=0.5))
    assert results(admin.run()) == [("Canvas", Result.STALE)]
    assert account.statuses() == {"bob/Canvas": "InService"}


def test_an_app_that_got_the_extension_after_the_plan_stays(
    account: Account, admin: Administrator
) -> None:
    account.start("JupyterLab", 60, SpaceName="lab")
    account.log("d-one/other/JupyterLab/default", line())
    admin.run()
    assert admin.notes.sent == ["lab/JupyterLab"]
    admin.notices_given(timedelta(hours=2))
    at_describe(account, lambda: account.log("d-one/lab/JupyterLab/default", line(), ago=0))
    assert results(admin.run()) == [("JupyterLab", Result.STALE)]
    assert account.statuses() == {"lab/JupyterLab": "InService"}


@pytest.mark.parametrize("resource", ["user-profile/d-one/bob", "app/d-one/bob/canvas/default"])
def test_a_tag_that_was_set_after_the_plan_keeps_the_app(
    account: Account, admin: Administrator, resource: str
) -> None:
    ripe(account, admin)
    arn = f"arn:aws:sagemaker:us-west-2:123456789012:{resource}"
    tags = [{"Key": "auto-shutdown", "Value": "keep"}]
    at_describe(account, lambda: account.sagemaker.add_tags(ResourceArn=arn, Tags=tags))
    run = admin.run(policy(exceptions={"tags": {"auto-shutdown": "keep"}}))
    assert results(run) == [("Canvas", Result.STALE)]
    assert "auto-shutdown=keep" in run.attempts[0].detail
    assert account.statuses() == {"bob/Canvas": "InService"}


@pytest.mark.parametrize("minutes", [0, 3])
def test_a_report_line_that_arrives_while_the_run_reads_keeps_the_app(
    minutes: float, account: Account, admin: Administrator
) -> None:
    """After the lines were read, and before the reading is over. CloudWatch may find a line some
    minutes after it was written."""
    account.start("JupyterLab", 60, SpaceName="lab")
    account.log("d-one/other/JupyterLab/default", line())
    admin.run()
    admin.notices_given(timedelta(hours=2))
    original = account.api.operations.table["ListSpaces"]
    before = account.api.count("GetQueryResults")

    def list_spaces(request: dict[str, Any]) -> dict[str, Any]:
        account.wait_for(lambda: account.api.count("GetQueryResults") >= before + 2)
        account.log("d-one/lab/JupyterLab/default", line(), ago=60 * minutes)
        return original(request)

    account.api.operations.table["ListSpaces"] = list_spaces
    assert results(admin.run()) == [("JupyterLab", Result.STALE)]
    assert account.statuses() == {"lab/JupyterLab": "InService"}


def test_a_notice_that_is_withdrawn_is_named(account: Account, admin: Administrator) -> None:
    ripe(account, admin)
    account.canvas_was_idle(0, ago=0.5)
    run = admin.run()
    assert [item.owner for item in run.withdrawn] == ["bob"]
    assert run.attempts == []


def test_an_owner_who_came_back_keeps_the_app(account: Account, admin: Administrator) -> None:
    account.start("TensorBoard", 60)
    account.lose_owner("bob")
    admin.run()
    admin.notices_given(timedelta(hours=2))

    def back() -> None:
        named = account.api.operations.owners.of("UserProfile")
        if ("d-one", "bob") not in named:
            account.sagemaker.create_user_profile(DomainId="d-one", UserProfileName="bob")

    at_describe(account, back)
    assert results(admin.run()) == [("TensorBoard", Result.STALE)]
    assert account.statuses() == {"bob/TensorBoard": "InService"}


@pytest.mark.parametrize("when", ["before the run", "between plan and act"])
def test_the_stop_tag_stops_it(account: Account, admin: Administrator, when: str) -> None:
    ripe(account, admin)
    arn = account.sagemaker.describe_domain(DomainId="d-one")["DomainArn"]
    tag = {"Key": f.STOP_TAG, "Value": "incident 7"}

    def stop() -> None:
        account.sagemaker.add_tags(ResourceArn=arn, Tags=[tag])

    if when == "before the run":
        stop()
    else:
        at_describe(account, stop)
    run = admin.run()
    assert account.statuses() == {"bob/Canvas": "InService"}
    said = [d.detail for d in run.plan.decisions] + [a.detail for a in run.attempts]
    assert "stopped by the tag auto-shutdown:stop of the domain: incident 7" in said[-1]
    assert f.STOP_TAG == STOP_TAG


def test_tags_that_cannot_be_read_keep(account: Account, admin: Administrator) -> None:
    ripe(account, admin)
    text = denied("sagemaker:ListTags", "arn")
    account.api.faults.append(Fault("ListTags", "AccessDeniedException", text))
    run = admin.run()
    assert results(run) == [("Canvas", Result.TEMPORARY)]
    assert "sagemaker:ListTags" in run.attempts[0].detail
    assert account.statuses() == {"bob/Canvas": "InService"}


def test_a_failure_of_one_app_does_not_affect_the_others(
    account: Account, admin: Administrator
) -> None:
    account.start("RSessionGateway", 50, "one")
    account.start("RSessionGateway", 50, "two", UserProfileName="cleo")
    admin.run()
    admin.notices_given(timedelta(hours=2))
    text = denied("sagemaker:DeleteApp", "arn")
    account.api.faults.append(Fault("DeleteApp", "AccessDeniedException", text, app_name="one"))
    run = admin.run()
    assert [r for _, r in results(run)] == [Result.PERMANENT, Result.REMOVED]
    assert run.failed
    assert "sagemaker:DeleteApp" in run.attempts[0].detail
    assert "StudioRole" not in admin.log.read_text()
    # Its notice still holds: the next run tries again.
    account.api.faults.clear()
    assert results(admin.run()) == [("RSessionGateway", Result.REMOVED)]


def test_without_a_notice_nothing_is_deleted(account: Account, admin: Administrator) -> None:
    account.start("RSessionGateway", 50, "one")
    admin.notes.error = CallError("NotFound", "The topic does not exist.", "Make it.")
    run = admin.run()
    assert run.failed
    assert "The topic does not exist" in run.ended
    assert admin.state.load()[0].notices == {}
    admin.notes.error = None
    assert admin.run().noticed


class BrokenAudit:
    def write(self, entry: Any) -> None:
        raise DomainError("The disk is full.")


def test_without_an_audit_line_nothing_is_deleted(account: Account, admin: Administrator) -> None:
    ripe(account, admin)
    admin.audit = BrokenAudit()
    with pytest.raises(DomainError, match="disk is full"):
        admin.run()
    assert account.statuses() == {"bob/Canvas": "InService"}
    assert account.api.count("DeleteApp") == 0


def test_two_runs_at_once(account: Account, admin: Administrator) -> None:
    ripe(account, admin)
    memory, version = admin.state.load()
    admin.state.save(memory.taken("another", admin.place.now() + LEASE), version)
    with pytest.raises(ConflictError, match="gives way"):
        admin.run()
    assert account.api.count("DeleteApp") == 0
    admin.offset = LEASE  # that run crashed: its time is over
    account.canvas_was_idle(200, ago=-LEASE.total_seconds() / 60 + 1)
    assert results(admin.run()) == [("Canvas", Result.REMOVED)]


def test_a_state_that_changed_under_the_run_ends_it(account: Account, admin: Administrator) -> None:
    ripe(account, admin)
    memory, version = admin.state.load()
    admin.state.save(memory, version)
    with pytest.raises(ConflictError):
        admin.state.save(memory.taken("late", admin.place.now()), "another version")


@pytest.mark.parametrize("crash_at", ["delete", "outcome"])
def test_a_crash_leaves_a_line_and_deletes_nothing_twice(
    account: Account, admin: Administrator, crash_at: str
) -> None:
    ripe(account, admin)

    class Crash(BaseException):
        pass

    real = admin.audit

    class CrashingAudit:
        def write(self, entry: Any) -> None:
            if entry["event"] == crash_at and crash_at == "outcome":
                raise Crash
            real.write(entry)
            if entry["event"] == crash_at:
                raise Crash

    admin.audit = CrashingAudit()
    with pytest.raises(Crash):
        admin.run()
    assert len(interrupted(admin.entries())) == 1
    admin.audit = real
    deleted = account.api.count("DeleteApp")
    assert deleted == (1 if crash_at == "outcome" else 0)
    account.wait_for(lambda: account.statuses()["bob/Canvas"] != "Deleting")
    admin.run()
    assert account.api.count("DeleteApp") == 1


def test_what_is_left_when_the_time_is_over(account: Account, admin: Administrator) -> None:
    account.start("RSessionGateway", 50, "one")
    account.start("RSessionGateway", 50, "two", UserProfileName="cleo")
    admin.run()
    admin.notices_given(timedelta(hours=2))
    aws = admin.place.aws("us-west-2")
    call, deleted = aws.call, []

    def late(service: str, method: str, **request: Any) -> Any:
        if method == "delete_app":
            if deleted:
                raise OutOfTimeError("The time of this run is over.")
            deleted.append(request)
        return call(service, method, **request)

    aws.call = late  # type: ignore[method-assign]
    run = admin.run()
    assert (run.left, len(run.attempts)) == (1, 1)
    assert interrupted(admin.entries()) == []
    aws.call = call  # type: ignore[method-assign]
    assert results(admin.run()) == [("RSessionGateway", Result.REMOVED)]


def test_at_most_so_many_deletions_a_run(account: Account, admin: Administrator) -> None:
    for name in ("one", "two", "three"):
        account.start("RSessionGateway", 50, name)
    rules = policy(max_deletions=2)
    admin.run(rules)
    admin.notices_given(timedelta(hours=2))
    run = admin.run(rules)
    assert (len(run.attempts), run.left) == (2, 1)


def test_an_app_that_is_gone_is_no_failure(account: Account, admin: Administrator) -> None:
    ripe(account, admin)
    at_describe(account, account.api.apps.forget)
    assert results(admin.run()) == [("Canvas", Result.GONE)]
