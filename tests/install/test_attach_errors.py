"""Errors while attaching: an operation or an update fails, or the target is missing or refused."""

from __future__ import annotations

from typing import Any

import pytest
from attached_studio import DOMAIN, OLD, attach, described, lab, make_studio
from studio_account import make_config

from auto_shutdown.install.attach import Studio
from auto_shutdown.install.calls import Calls
from auto_shutdown.install.errors import AttachError, UsageError
from auto_shutdown.install.lifecycle import Script
from auto_shutdown.install.target import Target
from auto_shutdown.local_studio.api import Api, Fault, denied


def test_change_since_the_plan_is_not_overwritten(api_client: Any, studio: Studio) -> None:
    make_studio(api_client, lab())
    plan = studio.plan_attach(DOMAIN, Script("jupyterlab"))
    theirs = {"BuiltInLifecycleConfigArn": make_config(api_client, "theirs", OLD)}
    api_client.update_domain(
        DomainId="d-local", DefaultUserSettings={"JupyterLabAppSettings": theirs}
    )
    with pytest.raises(AttachError, match="have just changed"):
        studio.apply(plan)
    block = described(studio, DOMAIN)["DefaultUserSettings"]["JupyterLabAppSettings"]
    assert block["BuiltInLifecycleConfigArn"] == theirs["BuiltInLifecycleConfigArn"]


@pytest.mark.parametrize(
    ("operation", "code", "words"),
    [
        ("DescribeDomain", "AccessDeniedException", "--for administrator"),
        ("CreateStudioLifecycleConfig", "AccessDeniedException", "--for administrator"),
        ("UpdateDomain", "ResourceInUse", "Try again in a minute"),
        ("UpdateDomain", "ThrottlingException", "fewer calls"),
        ("DescribeStudioLifecycleConfig", "InternalFailure", "Look the code up"),
    ],
)
def test_an_error_names_the_failed_operation_and_quotes_no_secret(
    api: Api, api_client: Any, studio: Studio, operation: str, code: str, words: str
) -> None:
    make_studio(api_client, lab())
    was = described(studio, DOMAIN)
    secret = denied("sagemaker:X", "arn:secret")
    api.faults.append(Fault(operation, code, secret))
    with pytest.raises(AttachError) as caught:
        attach(studio, DOMAIN, Script("jupyterlab"))
    api.faults.clear()
    assert str(caught.value).startswith(f"{operation} failed for ")
    assert words in str(caught.value)
    assert "arn:secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert described(studio, DOMAIN) == was


def test_an_update_is_waited_for(api: Api, api_client: Any) -> None:
    make_studio(api_client, {})
    domain = api._find_domain("d-local")
    domain.status = "Updating"
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        domain.status = "InService" if len(slept) == 2 else "Updating"

    attach(Studio(Calls(api_client, sleep=sleep)), DOMAIN, Script("jupyterlab"))
    assert len(slept) == 2


@pytest.mark.parametrize(
    ("status", "words"),
    [("Update_Failed", "could not update domain d-local"), ("Updating", "still being updated")],
)
def test_failed_update_is_an_error(
    api: Api, api_client: Any, studio: Studio, status: str, words: str
) -> None:
    make_studio(api_client, {})
    api._find_domain("d-local").status = status
    with pytest.raises(AttachError, match=words):
        attach(studio, DOMAIN, Script("jupyterlab"))


def test_missing_target_is_an_error(api_client: Any, studio: Studio) -> None:
    make_studio(api_client, {})
    for target in (Target("domain", "d-other"), Target("user-profile", "d-local", "bob")):
        with pytest.raises(AttachError, match="does not exist in this account and region"):
            studio.plan_attach(target, Script("jupyterlab"))


def test_attaching_to_a_notebook_instance_is_refused_with_a_remedy(studio: Studio) -> None:
    with pytest.raises(UsageError, match="takes one lifecycle configuration"):
        studio.plan_attach(DOMAIN, Script("notebook-instance"))
