"""Attach and detach against the local SageMaker API: all that was there before is there after."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest
from studio_account import ROLE, emptied, make_config, script_text

from auto_shutdown.install.attach import Studio
from auto_shutdown.install.calls import Calls
from auto_shutdown.install.errors import AttachError, UsageError
from auto_shutdown.install.lifecycle import Previous, Script, read_script
from auto_shutdown.install.plan import Plan
from auto_shutdown.install.target import Target
from auto_shutdown.local_studio.api import Api, Fault, denied

IMAGE = "arn:aws:sagemaker:us-west-2:123456789012:image/jupyter-server-3"
DOMAIN = Target("domain", "d-local")
PROFILE = Target("user-profile", "d-local", "ada")
SPACE = Target("space", "d-local", "team")
OLD = b"#!/bin/bash\necho old\n"


@pytest.fixture(params=[False, True], ids=["update merges", "update replaces"])
def api(server: Api, request: pytest.FixtureRequest) -> Api:
    """The empty API server, in both ways in which AWS may apply an update."""
    return emptied(server, request.param)


@pytest.fixture
def client(api: Api, sagemaker: Any) -> Any:
    assert api.faults == []
    return sagemaker


@pytest.fixture
def studio(client: Any) -> Studio:
    return Studio(Calls(client, sleep=lambda _seconds: None))


def make_studio(client: Any, app_settings: Mapping[str, Any]) -> None:
    """A domain, a profile and a space with these settings and others beside them."""
    beside = {"ExecutionRole": ROLE, "SecurityGroups": ["sg-1"]}
    client.create_domain(
        DomainName="local",
        AuthMode="IAM",
        DefaultUserSettings={**beside, **app_settings},
        DefaultSpaceSettings={**beside, **app_settings},
        SubnetIds=["subnet-1"],
        VpcId="vpc-1",
    )
    client.create_user_profile(
        DomainId="d-local", UserProfileName="ada", UserSettings={**beside, **app_settings}
    )
    in_space = dict(app_settings)
    if "JupyterLabAppSettings" in in_space:  # which has fewer members there
        block = in_space.pop("JupyterLabAppSettings")
        if "DefaultResourceSpec" in block:
            kept = {"DefaultResourceSpec": block["DefaultResourceSpec"]}
            in_space["JupyterLabAppSettings"] = kept
    client.create_space(DomainId="d-local", SpaceName="team", SpaceSettings=in_space)


def described(studio: Studio, target: Target) -> dict[str, Any]:
    """As SageMaker has it, but for when and by whose request."""
    found = copy.deepcopy(dict(studio._calls.describe(target)))
    del found["LastModifiedTime"], found["ResponseMetadata"]
    return found


def written(description: Mapping[str, Any]) -> bytes:
    """To the byte: an order that has changed is a change, too."""
    return json.dumps(description, default=str).encode()


def attach(studio: Studio, target: Target, script: Script, **more: Any) -> Plan:
    plan = studio.plan_attach(target, script, **more)
    studio.apply(plan)
    return plan


def detach(studio: Studio, target: Target, platform: str) -> Plan:
    plan = studio.plan_detach(target, platform)
    studio.apply(plan)
    return plan


def previous_of(text: str) -> Previous | None:
    script = read_script(text)
    assert script is not None
    return script.previous


CUSTOM = [{"ImageName": "ours", "AppImageConfigName": "c"}]
IDLE = {"IdleSettings": {"LifecycleManagement": "ENABLED", "IdleTimeoutInMinutes": 120}}


def classic(default: str | None = None, listed: tuple[str, ...] = ()) -> dict[str, Any]:
    spec = {"InstanceType": "system", "SageMakerImageArn": IMAGE}
    block: dict[str, Any] = {"DefaultResourceSpec": spec}
    if default:
        spec["LifecycleConfigArn"] = default
    if listed:
        block["LifecycleConfigArns"] = list(listed)
    gateway = {"KernelGatewayAppSettings": {"LifecycleConfigArns": list(listed)}} if listed else {}
    return {"JupyterServerAppSettings": block, **gateway}


def lab(built_in: str | None = None, default: str | None = None) -> dict[str, Any]:
    block: dict[str, Any] = {"CustomImages": CUSTOM, "AppLifecycleManagement": IDLE}
    if built_in:
        block["BuiltInLifecycleConfigArn"] = built_in
    if default:
        block["DefaultResourceSpec"] = {"LifecycleConfigArn": default}
        block["LifecycleConfigArns"] = [default]
    return {"JupyterLabAppSettings": block}


BEFORE = {
    "jupyter-server": {
        "nothing": lambda _a, _b: {},
        "an image": lambda _a, _b: classic(),
        "one in the list": lambda a, _b: classic(listed=(a,)),
        "a default": lambda a, b: classic(a, (b, a)),
        "a default outside of the list": lambda a, b: classic(a, (b,)),
    },
    "jupyterlab": {
        "nothing": lambda _a, _b: {},
        "custom images": lambda _a, _b: lab(),
        "a default": lambda a, _b: lab(default=a),
        "a built-in one": lambda a, b: lab(built_in=a, default=b),
    },
}
CASES = [(platform, name) for platform, cases in BEFORE.items() for name in cases]


@pytest.mark.parametrize("target", [DOMAIN, PROFILE, SPACE], ids=lambda t: t.kind)
@pytest.mark.parametrize(("platform", "before"), CASES)
def test_detach_restores_the_settings_from_before_attach(
    client: Any, studio: Studio, target: Target, platform: str, before: str
) -> None:
    arns = make_config(client, "first", OLD), make_config(client, "second", OLD)
    make_studio(client, BEFORE[platform][before](*arns))
    was = {t: described(studio, t) for t in (DOMAIN, PROFILE, SPACE)}
    attach(studio, target, Script(platform))
    attached = described(studio, target)
    assert attached != was[target]
    assert all(described(studio, other) == was[other] for other in was if other is not target)
    again = studio.plan_attach(target, Script(platform))
    assert again.changes == ()
    attach(studio, target, Script(platform, configuration={"dry_run": True}))
    assert described(studio, target) != attached
    detach(studio, target, platform)
    assert written(described(studio, target)) == written(was[target])
    assert studio.plan_detach(target, platform).changes == ()


def test_attach_on_classic_sets_the_default_and_keeps_the_list(client: Any, studio: Studio) -> None:
    old = make_config(client, "old", OLD)
    make_studio(client, classic(old, (old,)))
    plan = attach(studio, DOMAIN, Script("jupyter-server"))
    found = described(studio, DOMAIN)
    for group in ("DefaultUserSettings", "DefaultSpaceSettings"):
        block = found[group]["JupyterServerAppSettings"]
        ours = block["DefaultResourceSpec"]["LifecycleConfigArn"]
        assert block["LifecycleConfigArns"] == [old, ours]
        assert block["DefaultResourceSpec"]["SageMakerImageArn"] == IMAGE
        assert found[group]["KernelGatewayAppSettings"] == {"LifecycleConfigArns": [old]}
        assert found[group]["ExecutionRole"] == ROLE
    name = plan.changes[0].name
    assert ours.endswith(f"studio-lifecycle-config/{name}")
    previous = previous_of(script_text(client, ours))
    assert previous is not None
    assert (previous.arn, previous.content) == (old, OLD)
    text = "\n".join(plan.lines())
    assert f"Create the lifecycle configuration {name}." in text
    assert "contains a copy of old, runs it first" in text


def test_attach_in_jupyterlab_uses_the_built_in_configuration(client: Any, studio: Studio) -> None:
    """AWS's place for administrators; what users choose stays theirs."""
    old = make_config(client, "old", OLD)
    make_studio(client, lab(default=old))
    attach(studio, PROFILE, Script("jupyterlab"))
    block = described(studio, PROFILE)["UserSettings"]["JupyterLabAppSettings"]
    assert "/auto-shutdown-jupyterlab-" in block["BuiltInLifecycleConfigArn"]
    assert block["DefaultResourceSpec"] == {"LifecycleConfigArn": old}
    assert block["LifecycleConfigArns"] == [old]
    assert (block["CustomImages"], block["AppLifecycleManagement"]) == (CUSTOM, IDLE)
    assert previous_of(script_text(client, block["BuiltInLifecycleConfigArn"])) is None


def test_replaced_script_is_not_run_and_is_restored_by_detach(client: Any, studio: Studio) -> None:
    old = make_config(client, "old", OLD)
    make_studio(client, lab(built_in=old))
    was = described(studio, DOMAIN)
    plan = attach(studio, DOMAIN, Script("jupyterlab"), run_previous=False)
    assert plan.changes[0].script is not None
    previous = previous_of(plan.changes[0].script)
    assert previous is not None
    assert b"old" not in previous.content
    assert "does not run (--replace)" in "\n".join(plan.lines())
    detach(studio, DOMAIN, "jupyterlab")
    assert described(studio, DOMAIN) == was


def test_update_leaves_one_configuration_attached(client: Any, studio: Studio) -> None:
    old = make_config(client, "old", OLD)
    make_studio(client, classic(old, (old,)))
    attach(studio, PROFILE, Script("jupyter-server"))
    attach(studio, PROFILE, Script("jupyter-server", source="jupyterlab-auto-shutdown==9.9"))
    block = described(studio, PROFILE)["UserSettings"]["JupyterServerAppSettings"]
    first, second = block["LifecycleConfigArns"]
    assert first == old
    assert "auto-shutdown-jupyter-server-9-9-" in second
    previous = previous_of(script_text(client, second))
    assert previous is not None
    assert (previous.arn, previous.content) == (old, OLD)


def test_detach_keeps_settings_changed_by_others(client: Any, studio: Studio) -> None:
    make_studio(client, classic())
    attach(studio, PROFILE, Script("jupyter-server"))
    theirs = make_config(client, "theirs", OLD)
    block = described(studio, PROFILE)["UserSettings"]["JupyterServerAppSettings"]
    block["LifecycleConfigArns"].append(theirs)
    client.update_user_profile(**PROFILE.key, UserSettings={"JupyterServerAppSettings": block})
    detach(studio, PROFILE, "jupyter-server")
    block = described(studio, PROFILE)["UserSettings"]["JupyterServerAppSettings"]
    assert block["LifecycleConfigArns"] == [theirs]
    assert "LifecycleConfigArn" not in block["DefaultResourceSpec"]


def test_change_since_the_plan_is_not_overwritten(client: Any, studio: Studio) -> None:
    make_studio(client, lab())
    plan = studio.plan_attach(DOMAIN, Script("jupyterlab"))
    theirs = {"BuiltInLifecycleConfigArn": make_config(client, "theirs", OLD)}
    client.update_domain(DomainId="d-local", DefaultUserSettings={"JupyterLabAppSettings": theirs})
    with pytest.raises(AttachError, match="have just changed"):
        studio.apply(plan)
    block = described(studio, DOMAIN)["DefaultUserSettings"]["JupyterLabAppSettings"]
    assert block["BuiltInLifecycleConfigArn"] == theirs["BuiltInLifecycleConfigArn"]


def test_a_plan_changes_nothing(api: Api, client: Any, studio: Studio) -> None:
    make_studio(client, lab())
    api.calls.clear()
    studio.plan_attach(DOMAIN, Script("jupyterlab"))
    studio.plan_detach(DOMAIN, "jupyterlab")
    assert {call.operation[:8] for call in api.calls} == {"Describe"}


def test_a_domain_without_shared_spaces_gets_none(client: Any, studio: Studio) -> None:
    client.create_domain(
        DomainName="local",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": ROLE},
        SubnetIds=["subnet-1"],
        VpcId="vpc-1",
    )
    plan = attach(studio, DOMAIN, Script("jupyterlab"))
    assert [change.slot.group for change in plan.changes] == ["DefaultUserSettings"]
    assert "no settings for shared spaces" in "\n".join(plan.lines())
    assert not described(studio, DOMAIN).get("DefaultSpaceSettings")


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
    api: Api, client: Any, studio: Studio, operation: str, code: str, words: str
) -> None:
    make_studio(client, lab())
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


def test_an_update_is_waited_for(api: Api, client: Any) -> None:
    make_studio(client, {})
    domain = api._find_domain("d-local")
    domain.status = "Updating"
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        domain.status = "InService" if len(slept) == 2 else "Updating"

    attach(Studio(Calls(client, sleep=sleep)), DOMAIN, Script("jupyterlab"))
    assert len(slept) == 2


@pytest.mark.parametrize(
    ("status", "words"),
    [("Update_Failed", "could not update domain d-local"), ("Updating", "still being updated")],
)
def test_failed_update_is_an_error(
    api: Api, client: Any, studio: Studio, status: str, words: str
) -> None:
    make_studio(client, {})
    api._find_domain("d-local").status = status
    with pytest.raises(AttachError, match=words):
        attach(studio, DOMAIN, Script("jupyterlab"))


def test_missing_target_is_an_error(client: Any, studio: Studio) -> None:
    make_studio(client, {})
    for target in (Target("domain", "d-other"), Target("user-profile", "d-local", "bob")):
        with pytest.raises(AttachError, match="does not exist in this account and region"):
            studio.plan_attach(target, Script("jupyterlab"))


def test_attaching_to_a_notebook_instance_is_refused_with_a_remedy(studio: Studio) -> None:
    with pytest.raises(UsageError, match="takes one lifecycle configuration"):
        studio.plan_attach(DOMAIN, Script("notebook-instance"))
