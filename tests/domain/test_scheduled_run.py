"""The scheduled function, called in this process against the AWS API: notices, deletions, reports,
the errors that alarms have to see, and its permissions."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aws_account import REGION, Account, line
from iam import Guard, actions_of
from scheduled_function import BUCKET, POLICY, Context, Function, make_idle

from auto_shutdown.config.traits import STOP_TAG
from auto_shutdown.domain.deletion import interrupted
from auto_shutdown.domain.policy import RULES, parse
from auto_shutdown.domain.scheduled import handler, s3, template
from auto_shutdown.domain.scheduled.handler import RunFailedError, handle
from auto_shutdown.local_studio.api import Fault


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


# -- errors that the alarms have to see ------------------------------------------------------------


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def test_last_log_line_is_what_the_alarms_count(
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
    with pytest.raises(RunFailedError, match="Notices were not sent"):
        function.run()
    assert function.memory().notices == {}
    assert function.audit() == []


def test_topic_without_a_confirmed_subscription_is_an_error(
    account: Account, function: Function
) -> None:
    make_idle(account)
    unread = account.session.client("sns").create_topic(Name="unread")["TopicArn"]
    function.set_policy({**POLICY, "notify": {"sns_topic_arn": unread}})
    with pytest.raises(RunFailedError, match="has no confirmed subscription"):
        function.run()
    assert function.memory().notices == {}
    # Rules of the event bus may notify people, too.
    function.set_policy({**POLICY, "notify": {"sns_topic_arn": unread, "event_bus": "default"}})
    assert function.run()["noticed"] == 2


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


def test_errors_never_quote_the_text_of_aws(
    account: Account, function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    account.api.faults.append(Fault("ListApps", "InvalidSignatureException", "token SECRET"))
    with pytest.raises(RunFailedError) as failed:
        function.run()
    assert failed.value.__suppress_context__
    assert "SECRET" not in str(failed.value) + capsys.readouterr().out


# -- report and check ------------------------------------------------------------------------------


def test_report_is_written_as_html_and_json(account: Account, function: Function) -> None:
    make_idle(account)
    account.log("d-one/bob/JupyterServer/default", line())
    assert function.run("report")["rows"] == 3
    page = function.read("reports/latest.html")
    assert b"<title>" in page
    found = function.s3.list_objects_v2(Bucket=BUCKET, Prefix="reports/2")["Contents"]
    html, content = sorted(entry["Key"] for entry in found)
    assert re.fullmatch(r"reports/\d{4}-\d\d-\d\d\.html", html)
    assert content == html.replace(".html", ".json")
    assert function.read(html) == page
    rows = json.loads(function.read(content))["rows"]
    assert {row["type"] for row in rows} == {"Canvas", "RSessionGateway", "SpaceStorage"}


def test_check_is_mailed_only_with_findings(account: Account, function: Function) -> None:
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


def test_role_of_the_template_is_exact(
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
