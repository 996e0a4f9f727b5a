"""State of the scheduled function in S3: simultaneous runs, lost leases, crashes at any call."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from aws_account import Account
from scheduled_function import BUCKET, Function, bucket_of, make_idle

from auto_shutdown.domain.errors import ConflictError, DomainError
from auto_shutdown.domain.memory import LEASE, Memory, to_json
from auto_shutdown.domain.pace import Aws
from auto_shutdown.domain.scheduled import handler
from auto_shutdown.domain.scheduled.handler import RunFailedError
from auto_shutdown.domain.scheduled.s3 import S3Audit, S3State


def test_second_run_at_the_same_time_gives_way(account: Account, function: Function) -> None:
    make_idle(account)
    function.run()
    function.age_notices()
    results: list[dict[str, Any]] = []
    original = account.api.operations.table["ListApps"]

    def during_the_first(request: dict[str, Any]) -> dict[str, Any]:
        if not results:
            results.append({})
            results[0] = function.run()
        return original(request)

    account.api.operations.table["ListApps"] = during_the_first
    assert function.run()["outcome"] == "done"
    assert results[0]["outcome"] == "gave-way"
    assert "is at work; this one gives way" in results[0]["message"]
    assert function.deletions() == 2


def test_a_run_that_loses_the_state_sends_and_deletes_nothing(
    account: Account, function: Function
) -> None:
    """Whatever wrote the state: the conditional write fails, and the run ends there."""
    make_idle(account)
    original = account.api.operations.table["ListApps"]

    def change_state(request: dict[str, Any]) -> dict[str, Any]:
        other = Memory().taken("other", datetime.now(timezone.utc) + LEASE)
        content = json.dumps(to_json(other)).encode()
        function.s3.put_object(Bucket=BUCKET, Key="state.json", Body=content)
        return original(request)

    account.api.operations.table["ListApps"] = change_state
    assert function.run()["outcome"] == "gave-way"
    assert function.mails == []
    assert function.audit() == []
    assert function.memory().run == "other"


def test_the_next_run_waits_until_a_crashed_one_must_be_over(
    account: Account, function: Function
) -> None:
    taken = Memory().taken("crashed", datetime.now(timezone.utc) + LEASE)
    content = json.dumps(to_json(taken)).encode()
    function.s3.put_object(Bucket=BUCKET, Key="state.json", Body=content)
    assert function.run()["outcome"] == "gave-way"
    function.later = LEASE
    assert function.run()["outcome"] == "done"


def test_little_time_left_means_no_deletion_and_a_clean_state(
    account: Account, function: Function
) -> None:
    make_idle(account)
    function.run()
    function.age_notices()
    with pytest.raises(RunFailedError, match="The time of the run was over"):
        function.run(seconds=handler.RESERVE_SECONDS + 0.001)
    assert function.deletions() == 0
    assert function.memory().run_until is None
    assert len(function.memory().notices) == 2
    with pytest.raises(RunFailedError, match="time-out must be more than 60 seconds"):
        function.run(seconds=handler.RESERVE_SECONDS)
    assert function.run()["attempts"] == 2


class CrashError(BaseException):
    """The process is gone: nothing catches it, and nothing is written any more."""


@pytest.mark.slow
def test_a_crash_at_any_call_neither_skips_a_notice_nor_deletes_twice(
    account: Account, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each call that changes something, the run crashes before it (which is after the call
    before). A crash in the run that gives the notice, then one in the run that deletes."""
    original = Aws.send
    points = 0

    def crash_before(point: int) -> Callable[..., Any]:
        seen = 0

        def send(aws: Aws, service: str, method: str, **request: Any) -> Any:
            nonlocal seen
            seen += method in ("put_object", "publish", "delete_app")
            # Nothing is written after the crash, not even on the way out.
            if seen >= point:
                raise CrashError
            return original(aws, service, method, **request)

        return send

    def crashes(point: int) -> bool:
        with monkeypatch.context() as patch:
            patch.setattr(Aws, "send", crash_before(point))
            try:
                function.run()
            except CrashError:
                return True
        return False

    for point in itertools.count(1):
        name = f"session-{point}"
        account.start("RSessionGateway", 50, name, UserProfileName="cleo")
        crashed_in_notice = crashes(point)
        function.later += LEASE
        assert function.run()["outcome"] == "done"
        function.age_notices()
        crashed_in_deletion = crashes(point)
        function.later += LEASE
        assert function.run()["outcome"] == "done"
        # After a crash between the state and the call, the app gets another notice.
        function.age_notices()
        assert function.run()["outcome"] == "done"
        events = [e["event"] for e in function.audit() if e["name"] == name]
        requests = [c for c in account.api.calls if c.operation == "DeleteApp"]
        # A notice, then the audit line of the deletion, then one deletion and no second one.
        assert events.index("notice") < events.index("delete")
        assert [c.request["AppName"] for c in requests].count(name) == 1
        assert f"cleo: RSessionGateway {name}" in "".join(text for _, text in function.mails)
        if not (crashed_in_notice or crashed_in_deletion):
            break
        points += 1
    # The deletion, its two audit lines, the plan, and four writes of the state: take it, forget
    # notices, use up the notice, release it.
    assert points == 8


def test_the_state_is_written_only_over_what_was_read(function: Function) -> None:
    store = S3State(bucket_of(function))
    empty, version = store.load()
    assert (empty, version) == (Memory(), "")
    taken = Memory().taken("a", datetime(2026, 1, 1, tzinfo=timezone.utc))
    second = store.save(taken, version)
    with pytest.raises(ConflictError, match=f"s3://{BUCKET}/state.json"):
        store.save(Memory(), version)
    with pytest.raises(ConflictError):
        store.save(Memory(), '"0123"')
    assert store.load() == (taken, second)
    function.s3.delete_object(Bucket=BUCKET, Key="state.json")
    with pytest.raises(ConflictError):
        store.save(Memory(), second)


def test_state_write_whose_answer_was_lost_is_recognised(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = S3State(bucket_of(function))
    original = Aws.call

    def repeat(aws: Aws, service: str, method: str, **request: Any) -> Any:
        if method == "put_object":
            original(aws, service, method, **request)
        return original(aws, service, method, **request)

    monkeypatch.setattr(Aws, "call", repeat)
    taken = Memory().taken("a", datetime(2026, 1, 1, tzinfo=timezone.utc))
    version = store.save(taken, "")
    assert store.load() == (taken, version)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"version": 2}'])
def test_unreadable_state_stops_the_run(
    account: Account, function: Function, content: bytes
) -> None:
    make_idle(account)
    function.s3.put_object(Bucket=BUCKET, Key="state.json", Body=content)
    with pytest.raises(RunFailedError, match="Delete it to begin anew"):
        function.run()
    assert function.read("state.json") == content
    assert function.mails == []


def test_an_audit_log_that_cannot_be_written_stops_the_deletion(
    account: Account, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_idle(account)
    function.run()
    function.age_notices()

    def refuse(audit: S3Audit, *entries: Any) -> None:
        raise DomainError("s3://bucket/audit: AccessDenied.")

    with monkeypatch.context() as patch:
        patch.setattr(S3Audit, "write", refuse)
        with pytest.raises(RunFailedError, match="AccessDenied"):
            function.run()
    assert function.deletions() == 0
    assert function.memory().run_until is None
    assert function.run()["attempts"] == 2


def test_notices_of_many_apps_are_one_message(function: Function) -> None:
    audit = S3Audit(bucket_of(function), "run", datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc))
    audit.write(*({"event": "notice", "number": n} for n in range(500)))
    audit.write({"event": "delete"})
    audit.write()
    found = function.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    keys = ["audit/2026/01/02/030405-run-00001.jsonl", "audit/2026/01/02/030405-run-00002.jsonl"]
    assert [entry["Key"] for entry in found] == keys
    assert len(function.audit()) == 501
