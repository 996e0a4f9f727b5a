"""``domain tidy`` against the AWS API: notice, second look, deletion, audit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from account import all_on
from aws_account import Account, line
from tidy_run import Administrator, at_describe, results, ripe

from auto_shutdown.config.traits import STOP_TAG
from auto_shutdown.core.outcome import Result
from auto_shutdown.domain import facts as f
from auto_shutdown.domain.actions import Step
from auto_shutdown.domain.deletion import interrupted
from auto_shutdown.domain.policy import DomainPolicy
from auto_shutdown.local_studio.api import Fault, denied


def test_tidy_gives_notice_and_then_deletes(account: Account, admin: Administrator) -> None:
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


@pytest.mark.parametrize("rules", [all_on(dry_run=True), None])
def test_a_dry_run_changes_nothing(
    account: Account, admin: Administrator, rules: DomainPolicy | None
) -> None:
    account.start("RSessionGateway", 50, "session-1")
    run = admin.run(rules, dry_run=rules is None)
    assert [d.step for d in run.plan.decisions] == [Step.NOTICE]
    assert admin.notes.sent == []
    assert not admin.log.exists()
    assert admin.state.load()[1] == ""


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
    run = admin.run(all_on(exceptions={"tags": {"auto-shutdown": "keep"}}))
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


def test_withdrawn_notice_is_announced(account: Account, admin: Administrator) -> None:
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
def test_stop_tag_stops_deletions(account: Account, admin: Administrator, when: str) -> None:
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


def test_unreadable_tags_keep_the_app(account: Account, admin: Administrator) -> None:
    ripe(account, admin)
    text = denied("sagemaker:ListTags", "arn")
    account.api.faults.append(Fault("ListTags", "AccessDeniedException", text))
    run = admin.run()
    assert results(run) == [("Canvas", Result.TEMPORARY)]
    assert "sagemaker:ListTags" in run.attempts[0].detail
    assert account.statuses() == {"bob/Canvas": "InService"}


def test_app_that_is_already_gone_is_no_failure(account: Account, admin: Administrator) -> None:
    ripe(account, admin)
    at_describe(account, account.api.apps.forget)
    assert results(admin.run()) == [("Canvas", Result.GONE)]
