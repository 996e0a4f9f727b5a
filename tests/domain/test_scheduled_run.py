"""The scheduled function, called in this process against the AWS API: state and audit log in S3,
two runs at once, crashes at every point, and errors that the alarms have to see."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from aws_account import REGION, Account, line
from iam import Guard, actions_of
from moto.sns.models import sns_backends

from auto_shutdown.config.traits import STOP_TAG
from auto_shutdown.domain import workplace
from auto_shutdown.domain.errors import ConflictError, DomainError
from auto_shutdown.domain.memory import Memory, Notice, from_json, to_json
from auto_shutdown.domain.pace import Aws, Pace
from auto_shutdown.domain.policy import RULES, parse
from auto_shutdown.domain.scheduled import handler, s3, template
from auto_shutdown.domain.scheduled.handler import RunFailedError, handle
from auto_shutdown.domain.scheduled.s3 import Bucket, S3Audit, S3State
from auto_shutdown.domain.tidy import LEASE, interrupted
from auto_shutdown.local_studio.api import Fault

BUCKET = "auto-shutdown-data"
POLICY = {
    "version": 1,
    "dry_run": False,
    "canvas": {"delete": True},
    "rstudio_sessions": {"delete": True},
}


class Context:
    """Lambda's context of one invocation with so many seconds left."""

    ids = itertools.count(1)

    def __init__(self, seconds: float = 900) -> None:
        self.seconds = seconds
        self.aws_request_id = f"request-{next(self.ids):04}"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


class Function:
    """The deployed function. ``later`` moves its clock, not that of AWS."""

    def __init__(self, account: Account, topic: str, policy_file: Path) -> None:
        self.account, self.topic, self.policy_file = account, topic, policy_file
        self.s3 = account.session.client("s3")
        self.later = timedelta(0)
        self.set_policy(POLICY)

    def set_policy(self, content: dict[str, Any]) -> None:
        self.policy_file.write_text(json.dumps(content))

    def run(self, command: str = "tidy", seconds: float = 900) -> dict[str, Any]:
        return handle({"command": command}, Context(seconds))

    @property
    def mails(self) -> list[tuple[str, str]]:
        """Subject and text of each message to the topic."""
        sent = sns_backends["123456789012"][REGION].topics[self.topic].sent_notifications
        return [(subject, text) for _, text, subject, *_ in sent]

    def memory(self) -> Memory:
        return from_json(json.loads(self.read("state.json")))

    def age_notices(self, ago: timedelta = timedelta(hours=2)) -> None:
        """Make the notices of the state as old as that, instead of the world younger."""
        memory = self.memory()
        aged = {
            key: Notice(n.rule, n.given_at - ago, n.created_at) for key, n in memory.notices.items()
        }
        content = json.dumps(to_json(memory.with_notices(aged)), indent=1)
        self.s3.put_object(Bucket=BUCKET, Key="state.json", Body=content.encode())

    def read(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def audit(self) -> list[dict[str, Any]]:
        """All lines, in order."""
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix="audit/").get("Contents", ())
        texts = [self.read(entry["Key"]).decode() for entry in found]
        return [json.loads(text) for text in "".join(texts).splitlines()]

    def deletions(self) -> int:
        return self.account.api.count("DeleteApp")


@pytest.fixture
def function(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Function:
    topic = account.session.client("sns").create_topic(Name="topic")["TopicArn"]
    account.session.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    monkeypatch.setenv(handler.BUCKET, BUCKET)
    monkeypatch.setenv(handler.TOPIC, topic)
    monkeypatch.setattr(handler, "_session", None)
    monkeypatch.setattr(handler, "POLICY_FILE", tmp_path / "policy.json")
    monkeypatch.setattr(workplace, "Pace", lambda **given: Pace(**{**given, "speed": 1000}))
    found = Function(account, topic, tmp_path / "policy.json")

    def now() -> datetime:
        return datetime.now(timezone.utc) + found.later

    connect = workplace.connect

    def connected(*given: Any, **more: Any) -> Any:
        place, regions = connect(*given, **more)
        place.now = now
        return place, regions

    monkeypatch.setattr(handler, "connect", connected)
    return found


def make_idle(account: Account) -> None:
    """An idle Canvas app and an old RStudio session."""
    account.start("Canvas", 10)
    account.canvas_was_idle(200)
    account.start("RSessionGateway", 50, "session-1", UserProfileName="cleo")


# -- tidy ------------------------------------------------------------------------------------------


def test_notice_first_and_deletion_later(account: Account, function: Function) -> None:
    make_idle(account)
    first = function.run()
    assert (first["outcome"], first["noticed"], first["attempts"]) == ("done", 2, 0)
    ((subject, text),) = function.mails
    assert subject == "Auto Shutdown: 2 apps will be deleted"
    assert "cleo: RSessionGateway session-1" in text
    assert function.run()["noticed"] == 0
    function.age_notices()
    assert function.run()["attempts"] == 2
    account.wait_for(lambda: set(account.statuses().values()) == {"Deleted"})
    steps = [(e["event"], e.get("outcome", "")) for e in function.audit()]
    assert steps == [("notice", "")] * 2 + [("delete", ""), ("outcome", "removed")] * 2
    assert interrupted(function.audit()) == []
    assert function.memory().run_until is None
    assert len(function.mails) == 1
    plan = json.loads(function.read("plans/latest.json"))
    assert {entry["type"] for entry in plan["plan"]} == {"Canvas", "RSessionGateway"}


def test_a_dry_run_leaves_its_plan_and_nothing_else(account: Account, function: Function) -> None:
    make_idle(account)
    function.set_policy({**POLICY, "dry_run": True})
    assert function.run()["dry_run"] is True
    found = function.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [entry["Key"] for entry in found] == ["plans/latest.json"]
    plan = json.loads(function.read("plans/latest.json"))
    assert [entry["step"] for entry in plan["plan"]] == ["notice", "notice"]
    assert function.mails == []


def test_of_two_runs_at_once_one_gives_way(account: Account, function: Function) -> None:
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
    original = Aws.call
    points = 0

    def crash_before(point: int) -> Callable[..., Any]:
        seen = 0

        def call(aws: Aws, service: str, method: str, **request: Any) -> Any:
            nonlocal seen
            seen += method in ("put_object", "publish", "delete_app")
            # Nothing is written after the crash, not even on the way out.
            if seen >= point:
                raise CrashError
            return original(aws, service, method, **request)

        return call

    def crashes(point: int) -> bool:
        with monkeypatch.context() as patch:
            patch.setattr(Aws, "call", crash_before(point))
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
        events = [e["event"] for e in function.audit() if e["name"] == name]
        requests = [c for c in account.api.calls if c.operation == "DeleteApp"]
        # A notice, then the audit line of the deletion, then one deletion and no second one.
        assert events.index("notice") < events.index("delete")
        assert [c.request["AppName"] for c in requests].count(name) == 1
        assert f"cleo: RSessionGateway {name}" in "".join(text for _, text in function.mails)
        if not (crashed_in_notice or crashed_in_deletion):
            break
        points += 1
    # The notice, the deletion, the audit lines, the plan, and what takes and releases the state.
    assert points == 7


# -- the store -------------------------------------------------------------------------------------


def bucket_of(function: Function) -> Bucket:
    return Bucket(Aws(REGION, function.account.session), BUCKET)


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


def test_a_write_whose_answer_was_lost_is_ours(
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
def test_a_state_that_cannot_be_understood_stops_the_run(
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


def test_notices_of_many_apps_are_one_object(function: Function) -> None:
    audit = S3Audit(bucket_of(function), "run", datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc))
    audit.write(*({"event": "notice", "number": n} for n in range(500)))
    audit.write({"event": "delete"})
    audit.write()
    found = function.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    keys = ["audit/2026/01/02/030405-run-00001.jsonl", "audit/2026/01/02/030405-run-00002.jsonl"]
    assert [entry["Key"] for entry in found] == keys
    assert len(function.audit()) == 501


# -- errors that the alarms have to see ------------------------------------------------------------


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def test_the_last_line_is_what_the_alarms_count(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.run()
    done = last_line(capsys)
    filters = template.build(template.Options(has_policy=True), "x")["Resources"]["TidyRuns"]
    for member in ("auto_shutdown_run", "outcome"):
        assert f'$.{member} = "{done[member]}"' in filters["Properties"]["FilterPattern"]
    assert done["memory_mb"] > 0


@pytest.mark.parametrize("operation", ["ListApps", "ListSpaces", "LookupEvents"])
def test_a_source_that_cannot_be_read_fails_the_run(
    account: Account,
    function: Function,
    capsys: pytest.CaptureFixture[str],
    operation: str,
) -> None:
    account.api.faults.append(Fault(operation, "AccessDeniedException"))
    with pytest.raises(RunFailedError, match=f"Allow .*{operation}"):
        function.run()
    assert last_line(capsys)["outcome"] == "failed"


def test_a_deletion_that_fails_is_an_error_and_the_others_go_on(
    account: Account, function: Function
) -> None:
    make_idle(account)
    function.run()
    function.age_notices()
    fault = Fault("DeleteApp", "AccessDeniedException", app_name="session-1")
    account.api.faults.append(fault)
    with pytest.raises(RunFailedError, match="1 deletions failed; the first, RSessionGateway"):
        function.run()
    account.wait_for(lambda: account.statuses()["bob/Canvas"] == "Deleted")


def test_notices_that_cannot_be_sent_are_an_error(account: Account, function: Function) -> None:
    make_idle(account)
    missing = f"{function.topic}-missing"
    function.set_policy({**POLICY, "notify": {"sns_topic_arn": missing}})
    with pytest.raises(RunFailedError, match="Notices were not given"):
        function.run()
    assert function.memory().notices == {}
    assert function.audit() == []


def test_the_stop_tag_stops_the_function(account: Account, function: Function) -> None:
    make_idle(account)
    function.run()
    function.age_notices()
    arn = account.sagemaker.describe_domain(DomainId="d-one")["DomainArn"]
    account.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": STOP_TAG, "Value": "incident"}])
    assert function.run()["attempts"] == 0
    assert function.deletions() == 0


@pytest.mark.parametrize("event", [{}, {"command": "teardown"}])
def test_an_unknown_command_is_an_error(function: Function, event: dict[str, Any]) -> None:
    with pytest.raises(RunFailedError, match="report, check, tidy"):
        handle(event, Context())


def test_no_error_shows_text_of_aws(
    account: Account, function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    account.api.faults.append(Fault("ListApps", "InvalidSignatureException", "token SECRET"))
    with pytest.raises(RunFailedError) as failed:
        function.run()
    assert failed.value.__suppress_context__
    assert "SECRET" not in str(failed.value) + capsys.readouterr().out


# -- report and check ------------------------------------------------------------------------------


def test_the_report_is_a_page_and_json(account: Account, function: Function) -> None:
    make_idle(account)
    account.log("d-one/bob/JupyterServer/default", line())
    assert function.run("report")["rows"] == 3
    today = f"{datetime.now(timezone.utc):%Y-%m-%d}"
    page = function.read("reports/latest.html")
    assert b"<title>" in page
    assert function.read(f"reports/{today}.html") == page
    rows = json.loads(function.read(f"reports/{today}.json"))["rows"]
    assert {row["type"] for row in rows} == {"Canvas", "RSessionGateway", "SpaceStorage"}


def test_the_check_is_mailed_if_there_is_something(account: Account, function: Function) -> None:
    make_idle(account)
    result = function.run("check")
    ((subject, text),) = function.mails
    assert subject.startswith(f"Auto Shutdown: {result['failure']} failures, ")
    assert subject.isascii()
    assert text.index("FAILURE") < text.index("WARNING")
    assert "What to do: " in text
    assert f"aws s3 cp s3://{BUCKET}/reports/latest.html ." in text
    found = json.loads(function.read("checks/latest.json"))
    assert found["counts"]["failure"] == result["failure"]


# -- permissions -----------------------------------------------------------------------------------


def test_the_role_of_the_template_suffices_and_is_not_too_much(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    guard = Guard(monkeypatch)
    account: Account = request.getfixturevalue("account")
    function: Function = request.getfixturevalue("function")
    make_idle(account)
    account.start("KernelGateway", 90, "k", UserProfileName="bob")
    account.start("JupyterLab", 90, SpaceName="lab")
    account.log("d-one/cleo/JupyterServer/default", line())
    account.make_space("gone", "ada")
    account.start("CodeEditor", 90, SpaceName="gone")
    account.lose_owner("gone", "Space")
    account.lose_owner("bob")
    account.sagemaker.create_studio_lifecycle_config(
        StudioLifecycleConfigName="script",
        StudioLifecycleConfigContent="Iw==",
        StudioLifecycleConfigAppType="JupyterLab",
    )
    account.sagemaker.create_notebook_instance(
        NotebookInstanceName="note", InstanceType="ml.t3.medium", RoleArn="arn:aws:iam::1:role/x"
    )
    switches = {name: {"delete": True} for name in RULES}
    content = {**POLICY, **switches, "domains": ["d-one"], "notify": {"event_bus": "default"}}
    function.set_policy(content)
    monkeypatch.setenv(handler.BILL, "1")
    options = template.Options(parse(content), has_policy=True, bill=True)
    names = {
        "${AWS::Partition}": "aws",
        "${AWS::Region}": REGION,
        "${AWS::AccountId}": "123456789012",
        "${Bucket.Arn}": f"arn:aws:s3:::{BUCKET}",
        "${Topic}": function.topic,
        "${LogGroup.Arn}": "arn:aws:logs:us-west-2:123456789012:log-group:own:*",
    }
    text = json.dumps({"Statement": template.role_statements(options)})
    for name, value in names.items():
        text = text.replace(name, value)
    guard.policy = json.loads(text)
    guard.calls.clear()
    for command in ("report", "check", "tidy"):
        assert function.run(command)["outcome"] == "done"
    memory = function.memory()
    guard.policy, policy = None, guard.policy
    calls = list(guard.calls)
    function.age_notices()
    guard.calls.clear()
    guard.policy = policy
    assert function.run()["attempts"] == len(memory.notices) == 4
    calls += guard.calls
    # The runtime writes the function's own log; the list right makes S3 answer 404.
    unseen = {"logs:CreateLogStream", "logs:PutLogEvents", "s3:ListBucket"}
    used = {action for action, _ in calls} - {"sts:GetCallerIdentity"}
    assert used == actions_of(policy) - unseen
    assert guard.refused == []
    assert s3.STATE == "state.json"
