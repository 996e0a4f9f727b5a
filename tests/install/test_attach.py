"""Attach and detach with the local SageMaker API: after a detachment, all settings are as
before."""

from __future__ import annotations

from typing import Any

import pytest
from attached_studio import (
    CUSTOM,
    DOMAIN,
    IDLE,
    IMAGE,
    OLD,
    PROFILE,
    SPACE,
    attach,
    classic,
    described,
    detach,
    lab,
    make_studio,
    previous_of,
    written,
)
from studio_account import ROLE, make_config, script_text

from auto_shutdown.install.attach import Studio
from auto_shutdown.install.lifecycle import Script
from auto_shutdown.install.target import Target
from auto_shutdown.local_studio.api import Api

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
    api_client: Any, studio: Studio, target: Target, platform: str, before: str
) -> None:
    arns = make_config(api_client, "first", OLD), make_config(api_client, "second", OLD)
    make_studio(api_client, BEFORE[platform][before](*arns))
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


def test_attach_on_classic_sets_the_default_and_keeps_the_list(
    api_client: Any, studio: Studio
) -> None:
    old = make_config(api_client, "old", OLD)
    make_studio(api_client, classic(old, (old,)))
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
    previous = previous_of(script_text(api_client, ours))
    assert previous is not None
    assert (previous.arn, previous.content) == (old, OLD)
    text = "\n".join(plan.lines())
    assert f"Create the lifecycle configuration {name}." in text
    assert "contains a copy of old, runs it first" in text


def test_attach_in_jupyterlab_uses_the_built_in_configuration(
    api_client: Any, studio: Studio
) -> None:
    """The script gets the slot that AWS provides for administrators. Users can still choose their
    own."""
    old = make_config(api_client, "old", OLD)
    make_studio(api_client, lab(default=old))
    attach(studio, PROFILE, Script("jupyterlab"))
    block = described(studio, PROFILE)["UserSettings"]["JupyterLabAppSettings"]
    assert "/auto-shutdown-jupyterlab-" in block["BuiltInLifecycleConfigArn"]
    assert block["DefaultResourceSpec"] == {"LifecycleConfigArn": old}
    assert block["LifecycleConfigArns"] == [old]
    assert (block["CustomImages"], block["AppLifecycleManagement"]) == (CUSTOM, IDLE)
    assert previous_of(script_text(api_client, block["BuiltInLifecycleConfigArn"])) is None


def test_replaced_script_is_not_run_and_is_restored_by_detach(
    api_client: Any, studio: Studio
) -> None:
    old = make_config(api_client, "old", OLD)
    make_studio(api_client, lab(built_in=old))
    was = described(studio, DOMAIN)
    plan = attach(studio, DOMAIN, Script("jupyterlab"), run_previous=False)
    assert plan.changes[0].script is not None
    previous = previous_of(plan.changes[0].script)
    assert previous is not None
    assert b"old" not in previous.content
    assert "does not run (--replace)" in "\n".join(plan.lines())
    detach(studio, DOMAIN, "jupyterlab")
    assert described(studio, DOMAIN) == was


def test_update_leaves_one_configuration_attached(api_client: Any, studio: Studio) -> None:
    old = make_config(api_client, "old", OLD)
    make_studio(api_client, classic(old, (old,)))
    attach(studio, PROFILE, Script("jupyter-server"))
    attach(studio, PROFILE, Script("jupyter-server", source="jupyterlab-auto-shutdown==9.9"))
    block = described(studio, PROFILE)["UserSettings"]["JupyterServerAppSettings"]
    first, second = block["LifecycleConfigArns"]
    assert first == old
    assert "auto-shutdown-jupyter-server-9-9-" in second
    previous = previous_of(script_text(api_client, second))
    assert previous is not None
    assert (previous.arn, previous.content) == (old, OLD)


def test_detach_keeps_settings_changed_by_others(api_client: Any, studio: Studio) -> None:
    make_studio(api_client, classic())
    attach(studio, PROFILE, Script("jupyter-server"))
    theirs = make_config(api_client, "theirs", OLD)
    block = described(studio, PROFILE)["UserSettings"]["JupyterServerAppSettings"]
    block["LifecycleConfigArns"].append(theirs)
    api_client.update_user_profile(**PROFILE.key, UserSettings={"JupyterServerAppSettings": block})
    detach(studio, PROFILE, "jupyter-server")
    block = described(studio, PROFILE)["UserSettings"]["JupyterServerAppSettings"]
    assert block["LifecycleConfigArns"] == [theirs]
    assert "LifecycleConfigArn" not in block["DefaultResourceSpec"]


def test_a_plan_changes_nothing(api: Api, api_client: Any, studio: Studio) -> None:
    make_studio(api_client, lab())
    api.calls.clear()
    studio.plan_attach(DOMAIN, Script("jupyterlab"))
    studio.plan_detach(DOMAIN, "jupyterlab")
    assert {call.operation[:8] for call in api.calls} == {"Describe"}


def test_a_domain_without_shared_spaces_gets_none(api_client: Any, studio: Studio) -> None:
    api_client.create_domain(
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
