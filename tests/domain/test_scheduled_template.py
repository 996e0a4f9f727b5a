"""The template and the zip of the scheduled run."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aws_account import REGION, Account
from iam import actions_of, allows, lint

from auto_shutdown.cli import domain_template
from auto_shutdown.cli.main import main
from auto_shutdown.domain.policy import parse
from auto_shutdown.domain.scheduled import monthly_cost, package, template
from auto_shutdown.domain.scheduled.stack import Stack
from auto_shutdown.domain.scheduled.template import Options

ROOT = Path(__file__).resolve().parents[2]
POLICY = {
    "version": 1,
    "dry_run": False,
    "domains": ["d-one"],
    "notify": {"event_bus": "default"},
    "canvas": {"delete": True},
}
ACTING = Options(parse(POLICY), has_policy=True, bill=True)
ONLY_READING = Options()
DRY = Options(parse({**POLICY, "dry_run": True}), has_policy=True)


def resources(options: Options, kind: str) -> dict[str, Any]:
    found = template.build(options, "code.zip")["Resources"]
    return {n: r["Properties"] for n, r in found.items() if r["Type"] == kind}


def role_policy(options: Options) -> dict[str, Any]:
    """The function's policy with the references of the stack filled in."""
    role = resources(options, "AWS::IAM::Role")["Role"]
    text = json.dumps(role["Policies"][0]["PolicyDocument"])
    for name, value in {
        "${AWS::Partition}": "aws",
        "${AWS::Region}": REGION,
        "${AWS::AccountId}": "123456789012",
        "${Bucket.Arn}": "arn:aws:s3:::bucket",
        "${Topic}": "arn:aws:sns:us-west-2:123456789012:topic",
        "${LogGroup.Arn}": "arn:aws:logs:us-west-2:123456789012:log-group:own:*",
        "${Function.Arn}": "arn:aws:lambda:us-west-2:123456789012:function:f",
    }.items():
        text = text.replace(name, value)
    assert "${" not in text
    policy = json.loads(text)
    for statement in policy["Statement"]:
        texts = [r["Fn::Sub"] if isinstance(r, dict) else r for r in statement["Resource"]]
        statement["Resource"] = texts
    return dict(policy)


# -- the template ----------------------------------------------------------------------------------


def test_each_command_has_its_schedule() -> None:
    found = resources(Options(has_policy=True, every=20, hour=5), "AWS::Scheduler::Schedule")
    times = {
        json.loads(schedule["Target"]["Input"])["command"]: schedule["ScheduleExpression"]
        for schedule in found.values()
    }
    assert times == {
        "report": "cron(0 5 * * ? *)",
        "check": "cron(20 5 * * ? *)",
        "tidy": "rate(20 minutes)",
    }
    for schedule in found.values():
        assert schedule["Target"]["Arn"] == {"Fn::GetAtt": ["Function", "Arn"]}
        assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert set(resources(ONLY_READING, "AWS::Scheduler::Schedule")) == {
        "ReportSchedule",
        "CheckSchedule",
    }


def test_template_has_alarms_for_errors_and_missing_runs() -> None:
    found = resources(ACTING, "AWS::CloudWatch::Alarm")
    assert set(found) == {
        "ErrorsAlarm",
        "ReportMissingAlarm",
        "CheckMissingAlarm",
        "TidyMissingAlarm",
    }
    for name, alarm in found.items():
        assert alarm["AlarmActions"] == [{"Ref": "Topic"}]
        missing = "breaching" if "Missing" in name else "notBreaching"
        assert alarm["TreatMissingData"] == missing
        window = alarm["Period"] * alarm["EvaluationPeriods"]
        # PutMetricAlarm: a day, or seven days for periods of an hour or more.
        assert window <= (7 * 86400 if alarm["Period"] >= 3600 else 86400)
        assert alarm["Period"] % 60 == 0
    assert found["TidyMissingAlarm"]["Period"] == 3600
    assert found["CheckMissingAlarm"]["EvaluationPeriods"] == 26
    filters = resources(ACTING, "AWS::Logs::MetricFilter")
    for command in ("report", "check", "tidy"):
        name = command.capitalize()
        (metric,) = filters[f"{name}Runs"]["MetricTransformations"]
        alarm = found[f"{name}MissingAlarm"]
        assert metric["MetricName"] == alarm["MetricName"]
        assert metric["MetricNamespace"] == alarm["Namespace"]


def test_the_function_gives_a_run_its_time_and_is_not_repeated() -> None:
    (function,) = resources(ACTING, "AWS::Lambda::Function").values()
    assert function["Timeout"] == 900
    assert function["Environment"]["Variables"] == {
        "AUTO_SHUTDOWN_BUCKET": {"Ref": "Bucket"},
        "AUTO_SHUTDOWN_TOPIC": {"Ref": "Topic"},
        "AUTO_SHUTDOWN_BILL": "1",
    }
    (plain,) = resources(ONLY_READING, "AWS::Lambda::Function").values()
    assert "AUTO_SHUTDOWN_BILL" not in plain["Environment"]["Variables"]
    assert function["ReservedConcurrentExecutions"]["Fn::If"][:2] == ["IsReserved", 1]
    (invocation,) = resources(ACTING, "AWS::Lambda::EventInvokeConfig").values()
    assert invocation["MaximumRetryAttempts"] == 0
    module, name = function["Handler"].rsplit(".", 1)
    assert hasattr(sys.modules.get(module) or __import__(module, fromlist=[name]), name)


def test_the_audit_log_outlives_the_stack() -> None:
    bucket = template.build(ACTING, "code.zip")["Resources"]["Bucket"]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    rules = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    expiring = [rule.get("Prefix") for rule in rules if "ExpirationInDays" in rule]
    assert expiring == ["reports/", "checks/"]
    assert all(bucket["Properties"]["PublicAccessBlockConfiguration"].values())


@pytest.mark.parametrize(
    ("options", "may_delete"), [(ACTING, True), (DRY, False), (ONLY_READING, False)]
)
def test_role_may_delete_only_if_the_policy_deletes(options: Options, may_delete: bool) -> None:
    policy = role_policy(options)
    app = "arn:aws:sagemaker:us-west-2:123456789012:app/d-one/ada/Canvas/default"
    assert allows(policy, "sagemaker:DeleteApp", app) is may_delete
    assert not allows(policy, "sagemaker:DeleteApp", app.replace("d-one", "d-two"))
    writes = {a for a in actions_of(policy) if "Delete" in a or "Create" in a or "Put" in a}
    own = {"s3:PutObject", "logs:CreateLogStream", "logs:PutLogEvents"}
    assert writes == (own | {"sagemaker:DeleteApp", "events:PutEvents"} if may_delete else own)
    assert not allows(policy, "s3:PutObject", "arn:aws:s3:::bucket/other")
    # The audit log can be added to and not read.
    assert not allows(policy, "s3:GetObject", "arn:aws:s3:::bucket/audit/x")


def test_notices_to_the_topic_of_the_stack_need_a_subscription() -> None:
    own_topic = Options(replace(parse(POLICY), event_bus=""), has_policy=True)
    topic = "arn:aws:sns:us-west-2:123456789012:topic"
    assert allows(role_policy(own_topic), "sns:ListSubscriptionsByTopic", topic)
    assert not allows(role_policy(ACTING), "sns:ListSubscriptionsByTopic", topic)
    warning = "until somebody is subscribed"
    assert warning in domain_template._about_permissions(own_topic, "")
    assert warning not in domain_template._about_permissions(own_topic, "studio@example.com")
    assert warning not in domain_template._about_permissions(ACTING, "")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_policy_file_is_read_once(tmp_path: Path) -> None:
    """It may be a pipe (``--policy <(…)``), and may change between two reads."""
    pipe = tmp_path / "policy.json"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(json.dumps(POLICY),), daemon=True)
    writer.start()
    argv = ["domain", "template", "--policy", str(pipe), "--output", str(tmp_path / "out")]
    assert main(argv) == 0
    writer.join()
    (made,) = (tmp_path / "out").glob("*.zip")
    with zipfile.ZipFile(made) as content:
        assert json.loads(content.read("policy.json")) == POLICY


@pytest.mark.slow
def test_linters_accept_the_template_and_its_policies(tmp_path: Path) -> None:
    paths = [ROOT / "examples" / "cloudformation" / "domain-stackset.yaml"]
    paths.append(tmp_path / "template.json")
    paths[-1].write_text(json.dumps(template.build(ACTING, "code.zip"), indent=2))
    # CloudFormation's limit for a template in a request.
    assert paths[-1].stat().st_size < 51_200
    argv = [Path(sys.executable).with_name("cfn-lint"), "--format", "parseable", *paths]
    assert subprocess.run(argv, capture_output=True, text=True, check=False).stdout == ""
    known = ["RESOURCE_STAR", "['logs:GetQueryResults']"]
    for findings in lint(role_policy(ACTING), role_policy(DRY), role_policy(ONLY_READING)):
        assert findings == [known]


def test_its_cost_grows_with_what_it_reads() -> None:
    def total(options: Options, apps: int, canvas: int = 0) -> float:
        return sum(line.usd for line in monthly_cost.estimate(options, apps, canvas))

    assert 0.5 < total(ONLY_READING, 10) < total(DRY, 10) < total(DRY, 1000) < 10
    assert total(DRY, 10, 1000) - total(DRY, 10) == pytest.approx(2981 * 0.01, rel=0.01)
    queries = Options(parse({**POLICY, "without_extension": {"delete": True}}), has_policy=True)
    assert total(queries, 1000) > 5 * total(ACTING, 1000)


# -- the zip ---------------------------------------------------------------------------------------


def test_the_same_files_make_the_same_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = package.build(POLICY)
    assert package.build(dict(reversed(POLICY.items()))) == first
    copy = tmp_path / "auto_shutdown"
    for name in package.CONTENTS:
        source, target = package.PACKAGE / name, copy / name
        for file in source.rglob("*") if source.is_dir() else [source]:
            if file.is_file():
                place = target / file.relative_to(source) if source.is_dir() else target
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(file.read_bytes())
    monkeypatch.setattr(package, "PACKAGE", copy)
    assert package.build(POLICY) == first
    (copy / "core" / "formatting.py").write_text("# changed")
    assert package.digest(package.build(POLICY)) != package.digest(first)


def test_the_zip_holds_what_the_function_needs() -> None:
    archive = zipfile.ZipFile(io.BytesIO(package.build(POLICY)))
    names = archive.namelist()
    assert json.loads(archive.read("policy.json")) == POLICY
    assert "auto_shutdown/domain/scheduled/handler.py" in names
    assert "auto_shutdown/domain/page.html" in names
    assert not [n for n in names if "extension" in n.replace("/", ".").split(".") or "pyc" in n]
    assert "policy.json" not in zipfile.ZipFile(io.BytesIO(package.build(None))).namelist()


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(POLICY))
    return path


def test_template_and_zip_are_written(
    tmp_path: Path, policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["domain", "template", "--policy", str(policy_file), "--output", str(tmp_path / "out")]
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert "a month for 100 apps" in printed
    (zipped,) = (tmp_path / "out").glob("*.zip")
    written = json.loads((tmp_path / "out" / "auto-shutdown-domain.json").read_text())
    assert written["Parameters"]["CodeKey"]["Default"] == zipped.name
    assert package.digest(zipped.read_bytes()) in zipped.name


def test_invalid_policy_writes_no_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({**POLICY, "canvass": {}}))
    argv = ["domain", "template", "--policy", str(path), "--output", str(tmp_path / "out")]
    assert main(argv) == 1
    assert '"canvass" is not known here. Do you mean "canvas"?' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
def test_deploy_update_and_remove(
    account: Account,
    fast: None,
    policy_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As far as moto goes: it makes no schedules, alarms and metric filters, and it runs a function
    only in docker."""
    started = []
    monkeypatch.setattr(Stack, "start", lambda _stack, *run: started.append(run))
    deploy = ["domain", "template", "--policy", str(policy_file), "--deploy"]
    assert main(deploy) == 1
    assert "To agree, use --yes." in capsys.readouterr().err
    cloudformation = account.session.client("cloudformation")
    assert main([*deploy, "--yes", "--mail", "a@example.com", "--budget", "500"]) == 0
    printed = capsys.readouterr().out
    assert "add     AWS::Lambda::Function Function" in printed
    assert "The function deletes apps, after a notice, by these rules: canvas." in printed
    made = cloudformation.describe_stack_resources(StackName="auto-shutdown-domain")
    made = made["StackResources"]
    names = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in made if "ResourceType" in r}
    functions = account.session.client("lambda").get_function(FunctionName=names["Function"])
    configuration = functions["Configuration"]
    assert configuration["Environment"]["Variables"]["AUTO_SHUTDOWN_BUCKET"] == names["Bucket"]
    assert configuration["CodeSize"] == len(package.build(POLICY))
    assert started == [(names["Function"], "report"), (names["Function"], "check")]
    iam = account.session.client("iam")
    role = configuration["Role"].rpartition("/")[2]
    answer = iam.get_role_policy(RoleName=role, PolicyName="auto-shutdown")
    # moto answers the text of a Python value.
    policy = ast.literal_eval(answer["PolicyDocument"])
    app = "arn:aws:sagemaker:us-west-2:123456789012:app/d-one/ada/Canvas/default"
    assert allows(policy, "sagemaker:DeleteApp", app)
    assert allows(policy, "s3:PutObject", f"arn:aws:s3:::{names['Bucket']}/state.json")
    # A dry run takes the permission away.
    policy_file.write_text(json.dumps({**POLICY, "dry_run": True}))
    assert main([*deploy, "--yes"]) == 0
    assert "The function only reads" in capsys.readouterr().out
    # moto does not update the role itself.
    body = cloudformation.get_template(StackName="auto-shutdown-domain")["TemplateBody"]
    assert "sagemaker:DeleteApp" not in json.dumps(body)
    assert main([*deploy, "--yes"]) == 0
    assert main(["domain", "template", "--remove", "--yes"]) == 0
    assert f"the bucket {names['Bucket']} with the audit log" in capsys.readouterr().out
    assert main(["domain", "template", "--remove", "--yes"]) == 0
    assert "There is no stack auto-shutdown-domain" in capsys.readouterr().out
