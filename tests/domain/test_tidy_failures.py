"""``domain tidy`` when something fails: a crash, a full disk, throttling, a lost answer, another
run, a machine that sleeps. No app is deleted without a notice and an audit line, and none twice."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from account import all_on
from aws_account import REGION, Account
from tidy_run import Administrator, at_describe, results, ripe

from auto_shutdown.core.outcome import Result
from auto_shutdown.domain.actions import Step
from auto_shutdown.domain.deletion import interrupted
from auto_shutdown.domain.errors import CallError, ConflictError, DomainError, OutOfTimeError
from auto_shutdown.domain.memory import LEASE
from auto_shutdown.domain.stores import FileAudit
from auto_shutdown.local_studio.api import Fault, denied


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


def test_run_stops_while_another_run_holds_the_lease(
    account: Account, admin: Administrator
) -> None:
    ripe(account, admin)
    memory, version = admin.state.load()
    admin.state.save(memory.taken("another", admin.connection.now() + LEASE), version)
    with pytest.raises(ConflictError, match="gives way"):
        admin.run()
    assert account.api.count("DeleteApp") == 0
    admin.offset = LEASE  # that run crashed: its time is over
    account.canvas_was_idle(200, ago=-LEASE.total_seconds() / 60 + 1)
    assert results(admin.run()) == [("Canvas", Result.REMOVED)]


def test_state_changed_by_another_run_ends_the_run(account: Account, admin: Administrator) -> None:
    ripe(account, admin)
    memory, version = admin.state.load()
    admin.state.save(memory, version)
    with pytest.raises(ConflictError):
        admin.state.save(memory.taken("late", admin.connection.now()), "another version")


@pytest.mark.parametrize("crash_at", ["delete", "outcome"])
def test_crash_leaves_an_audit_line_and_nothing_is_deleted_twice(
    account: Account, admin: Administrator, crash_at: str
) -> None:
    ripe(account, admin)

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


def test_deletions_without_time_left_are_postponed(account: Account, admin: Administrator) -> None:
    account.start("RSessionGateway", 50, "one")
    account.start("RSessionGateway", 50, "two", UserProfileName="cleo")
    admin.run()
    admin.notices_given(timedelta(hours=2))
    pace = admin.connection.aws("us-west-2").pace
    wait, deletions = pace.wait, []

    def wait_until_the_end(service: str, method: str, again: bool = False) -> None:
        if method == "delete_app":
            if deletions:
                raise OutOfTimeError("The time of this run is over.")
            deletions.append(method)
        wait(service, method, again)

    pace.wait = wait_until_the_end  # type: ignore[method-assign]
    run = admin.run()
    assert (run.left, len(run.attempts)) == (1, 1)
    assert interrupted(admin.entries()) == []
    pace.wait = wait  # type: ignore[method-assign]
    assert results(admin.run()) == [("RSessionGateway", Result.REMOVED)]


def test_deletions_in_one_run_are_bounded(account: Account, admin: Administrator) -> None:
    for name in ("one", "two", "three"):
        account.start("RSessionGateway", 50, name)
    rules = all_on(max_deletions=2)
    admin.run(rules)
    admin.notices_given(timedelta(hours=2))
    run = admin.run(rules)
    assert (len(run.attempts), run.left) == (2, 1)


class Crash(BaseException):
    """The process ends here."""


def test_crash_right_before_the_call_costs_another_notice(
    account: Account, admin: Administrator
) -> None:
    """The state no longer has the notice. If it had, the next run could delete an app that was
    created again meanwhile, because CloudTrail shows a creation only minutes later."""
    ripe(account, admin)
    aws, store = admin.connection.aws(REGION), admin.state
    send = aws.send

    def write_nothing(*state: Any) -> str:
        raise Crash

    with pytest.MonkeyPatch.context() as patch:

        def crash(service: str, method: str, **request: Any) -> Any:
            if method == "delete_app":
                patch.setattr(store, "save", write_nothing)
                raise Crash
            return send(service, method, **request)

        patch.setattr(aws, "send", crash)
        with pytest.raises(Crash):
            admin.run()
    assert len(interrupted(admin.entries())) == 1
    assert store.load()[0].notices == {}
    admin.offset = LEASE
    account.canvas_was_idle(200, ago=-LEASE.total_seconds() / 60 + 1)
    assert [d.step for d in admin.run().plan.decisions] == [Step.NOTICE]
    assert account.api.count("DeleteApp") == 0
    admin.notices_given(timedelta(hours=2))
    assert results(admin.run()) == [("Canvas", Result.REMOVED)]


@pytest.mark.parametrize("code", ["InternalFailure", "ServiceUnavailable", "SomethingNew"])
def test_deletion_with_an_unknown_outcome_is_not_repeated(
    account: Account, admin: Administrator, code: str
) -> None:
    ripe(account, admin)
    account.api.faults.append(Fault("DeleteApp", code, status=500))
    assert results(admin.run()) == [("Canvas", Result.TEMPORARY)]
    assert account.api.count("DeleteApp") == 1
    assert [d.step for d in admin.run().plan.decisions] == [Step.NOTICE]
    assert account.api.count("DeleteApp") == 1


def test_throttled_deletion_is_tried_again(account: Account, admin: Administrator) -> None:
    ripe(account, admin)
    account.api.faults.append(Fault("DeleteApp", "ThrottlingException", times=2))
    assert results(admin.run()) == [("Canvas", Result.REMOVED)]
    assert account.api.count("DeleteApp") == 3
    events = [(e["event"], e.get("code", "")) for e in admin.entries() if e["event"] != "notice"]
    throttled = [("delete", ""), ("outcome", "ThrottlingException")]
    assert events == [*throttled, *throttled, ("delete", ""), ("outcome", "")]


def test_app_used_while_its_deletion_is_throttled_is_kept(
    account: Account, admin: Administrator
) -> None:
    ripe(account, admin)
    account.api.faults.append(Fault("DeleteApp", "ThrottlingException"))
    looks = []

    def look() -> None:
        looks.append(True)
        if len(looks) == 2:
            account.canvas_was_idle(0, ago=0.5)

    at_describe(account, look)
    assert results(admin.run()) == [("Canvas", Result.STALE)]
    assert account.api.count("DeleteApp") == 1
    assert account.statuses() == {"bob/Canvas": "InService"}


def test_machine_that_sleeps_between_the_look_and_the_call_deletes_nothing(
    account: Account, admin: Administrator
) -> None:
    ripe(account, admin)
    audit = admin.audit

    class SleepingAudit:
        def write(self, *entries: Any) -> None:
            audit.write(*entries)
            if entries[0]["event"] == "delete":
                admin.offset = timedelta(hours=8)

    admin.audit = SleepingAudit()
    run = admin.run()
    assert results(run) == [("Canvas", Result.STALE)]
    assert run.attempts[0].detail == "Not tried: the last look at the app was 8 h ago."
    assert account.api.count("DeleteApp") == 0
    assert interrupted(admin.entries()) == []
    # The notice still holds.
    admin.audit, admin.offset = audit, timedelta(0)
    assert results(admin.run()) == [("Canvas", Result.REMOVED)]


def test_run_that_loses_the_state_at_the_last_moment_deletes_nothing(
    account: Account, admin: Administrator
) -> None:
    ripe(account, admin)

    def another_run_begins() -> None:
        memory, version = admin.state.load()
        admin.state.save(memory.taken("another", admin.connection.now() + LEASE), version)

    at_describe(account, another_run_begins)
    with pytest.raises(ConflictError):
        admin.run()
    assert account.api.count("DeleteApp") == 0
    outcome = admin.entries()[-1]
    assert (outcome["event"], outcome["outcome"]) == ("outcome", "stale")
    assert outcome["outcome_detail"].startswith("Not tried: Another run has changed")


def test_runs_for_two_domains_share_the_state(account: Account, admin: Administrator) -> None:
    account.make_domain("two")
    account.start("RSessionGateway", 50, "one")
    admin.run(all_on(domains=["d-one"]))
    admin.notices_given(timedelta(hours=2))
    assert admin.run(all_on(domains=["d-two"])).attempts == []
    found = results(admin.run(all_on(domains=["d-one"])))
    assert found == [("RSessionGateway", Result.REMOVED)]
    assert len(admin.notes.sent) == 1


def test_line_that_a_crash_cut_off_does_not_damage_the_next_line(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    path.write_text('{"event": "del')
    audit = FileAudit(path)
    audit.write({"event": "notice"}, {"event": "delete"})
    audit.write({"event": "outcome"})
    first, *lines = path.read_text().splitlines()
    assert first == '{"event": "del'
    assert [json.loads(text)["event"] for text in lines] == ["notice", "delete", "outcome"]
