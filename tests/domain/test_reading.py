"""What is read from the AWS API, over the wire."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from aws_account import line

from auto_shutdown.core.finding import Level
from auto_shutdown.domain import facts as f
from auto_shutdown.domain import report
from auto_shutdown.domain.connection import Connection, scope_of_check, scope_of_report
from auto_shutdown.domain.findings import examine
from auto_shutdown.domain.policy import DomainPolicy, parse
from auto_shutdown.domain.resources import APP, USER_PROFILE
from auto_shutdown.local_studio.api import Fault, denied

REGIONS = ("us-west-2",)
DAY = timedelta(days=1)
ARN = "arn:aws:sagemaker:us-west-2:123456789012:studio-lifecycle-config/x"


def read(connection: Connection, **more: Any) -> f.Facts:
    return connection.read(scope_of_report(REGIONS, DomainPolicy(), DAY, **more))


def fill(account: Any) -> None:
    """One of each sort."""
    account.start("JupyterLab", 30, SpaceName="lab")
    account.start("Canvas", 10)
    account.start("RSessionGateway", 50, "session-1", UserProfileName="cleo")
    account.start("KernelGateway", 3, "datascience", UserProfileName="ada")
    account.start("JupyterServer", 3, UserProfileName="ada")
    account.start("TensorBoard", 5, UserProfileName="cleo")
    account.canvas_was_idle(200)
    account.sagemaker.create_notebook_instance(
        NotebookInstanceName="old", InstanceType="ml.t3.medium", RoleArn="arn:aws:iam::1:role/r"
    )
    account.sagemaker.create_mlflow_tracking_server(
        TrackingServerName="runs", ArtifactStoreUri="s3://bucket/x", RoleArn="arn:aws:iam::1:role/r"
    )
    idle = {"type": "JupyterLab", "name": "default", "action": "keep", "reason": "idle"}
    sums = {"instance_hours": 2, "usd": 1.5, "unpriced_hours": 0}
    account.log(
        "d-one/Lab/JupyterLab/default",
        line(saved={**sums, "instance_hours": 1, "usd": 0.5}),
        "[I 2026-11-28 ServerApp] something else",
        line(saved=sums, apps=[{**idle, "idle_since": "2026-11-01T00:00:00Z"}]),
    )


def test_report_names_everything_billed(account: Any, connection: Connection) -> None:
    fill(account)
    found = report.build(read(connection), DomainPolicy())
    assert found["unread"] == []
    rows = {row["type"]: row for row in found["rows"]}
    assert set(rows) == {
        "JupyterLab",
        "Canvas",
        "RSessionGateway",
        "KernelGateway",
        "TensorBoard",
        "NotebookInstance",
        "MLflowTrackingServer",
        "SpaceStorage",
    }
    lab, canvas, kernel = rows["JupyterLab"], rows["Canvas"], rows["KernelGateway"]
    assert (lab["owner"], lab["space"], lab["team"]) == ("ada", "lab", "red")
    assert (lab["extension"], lab["extension_version"], lab["dry_run"]) == ("seen", "1.0", False)
    assert lab["idle_since"] == "2026-11-01T00:00:00.000Z"
    assert lab["usd_per_hour"] == 0.115
    assert lab["usd"] == pytest.approx(30 * 0.115, abs=0.01)
    assert canvas["idle_known_by"] == "canvas-metric"
    assert canvas["extension"] is None
    assert kernel["idle_since"] is None
    assert kernel["extension"] == "no report seen"
    assert rows["MLflowTrackingServer"]["usd_per_hour"] is None
    assert rows["SpaceStorage"]["storage_gb"] == 5
    assert found["saved"]["usd"] == 1.0  # the growth in the time that was read
    assert found["saved"]["by_team"] == [
        {"name": "red", "instance_hours": 1.0, "usd": 1.0, "unpriced_hours": 0.0}
    ]
    assert found["account"] == "123456789012"
    assert found["totals"]["all"]["unpriced"] == 2


def test_metric_of_a_user_profile_is_not_that_of_a_space_of_the_same_name(
    account: Any, connection: Connection
) -> None:
    account.make_space("bob", "ada")
    account.start("Canvas", 10, SpaceName="bob")
    account.start("Canvas", 10)
    account.canvas_was_idle(200)
    assert [key.owner_kind for key in read(connection).canvas] == [USER_PROFILE]


def test_all_pages_of_a_list_are_read(account: Any, connection: Connection) -> None:
    for number in range(230):
        account.api.operations.create_app(
            {
                "DomainId": "d-one",
                "UserProfileName": "ada",
                "AppType": "KernelGateway",
                "AppName": f"app-{number}",
            }
        )
    account.api.calls.clear()
    assert len([i for i in read(connection).items if i.kind == APP]) == 230
    assert account.api.count("ListApps") == 3


def test_throttled_calls_are_made_again(account: Any, connection: Connection) -> None:
    fill(account)
    account.api.faults.append(Fault("ListApps", "ThrottlingException", times=6))
    found = read(connection)
    assert found.unread == ()
    assert any(i.type == "JupyterLab" for i in found.items)


def test_failing_source_is_named_and_the_rest_is_read(account: Any, connection: Connection) -> None:
    fill(account)
    text = denied("sagemaker:ListSpaces", "*")
    account.api.faults.append(Fault("ListSpaces", "AccessDeniedException", text))
    found = read(connection)
    (unread,) = found.unread
    assert (unread.source, unread.code) == (f.SPACES, "AccessDeniedException")
    assert "Allow sagemaker:ListSpaces" in unread.remedy
    assert "StudioRole" not in unread.message + unread.remedy
    assert report.build(found, DomainPolicy())["rows"]


def test_malformed_answer_is_not_an_empty_list(account: Any, connection: Connection) -> None:
    fill(account)
    account.api.faults.append(Fault("ListApps", garbage=True))
    found = read(connection)
    assert [u.source for u in found.unread] == [f.APPS]


def test_repeated_token_ends_the_list(account: Any, connection: Connection) -> None:
    operations = account.api.operations
    again = operations.list_apps({})
    operations.table["ListApps"] = lambda request: {**again, "NextToken": "again"}
    found = read(connection)
    assert (f.APPS, "RepeatedToken") in [(u.source, u.code) for u in found.unread]


def test_checks_of_a_domain_find_each_problem(account: Any, connection: Connection) -> None:
    fill(account)
    account.lose_owner("cleo")
    domain = account.sagemaker.describe_domain(DomainId="d-one")["DomainArn"]
    for arn in (domain, domain.replace("domain/d-one", "notebook-instance/old")):
        tag = {"Key": "auto-shutdown:stop", "Value": "incident 7"}
        account.sagemaker.add_tags(ResourceArn=arn, Tags=[tag])
    script = "aW1wb3J0IG9zCiMgYXV0b19zdG9wX2lkbGUucHk="
    account.sagemaker.create_studio_lifecycle_config(
        StudioLifecycleConfigName="theirs",
        StudioLifecycleConfigContent=script,
        StudioLifecycleConfigAppType="JupyterLab",
    )
    account.sagemaker.update_user_profile(
        DomainId="d-one",
        UserProfileName="bob",
        UserSettings={"JupyterLabAppSettings": {"LifecycleConfigArns": [ARN]}},
    )
    policy = parse({"version": 1, "check": {"long_running_hours": 40, "idle_hours": 1}})
    found = examine(connection.read(scope_of_check(REGIONS, policy, DAY, 500)), policy)
    bad = {x.check: x for x in found if x.level is not Level.OK}
    assert set(bad) == {
        "long-running",
        "idle",
        "extension",
        "overriding-profiles",
        "other-auto-stop",
        "irreversible",
        "orphans",
        "budget",
        "stopped-removals",
        "unread",
    }
    assert "(d-one: incident 7, old: incident 7)" in bad["stopped-removals"].message
    assert "cleo" in bad["long-running"].message
    assert "Billed, and idle for more than 1 h: 2 (" in bad["idle"].message
    assert "datascience" in bad["extension"].message
    assert "d-one/bob (JupyterLabAppSettings)" in bad["overriding-profiles"].message
    assert "theirs (auto_stop_idle.py)" in bad["other-auto-stop"].message
    assert bad["orphans"].count == 2
    assert all(x.remedy for x in bad.values())
    assert "service-quotas" in bad["unread"].message  # moto knows the quotas of one service
