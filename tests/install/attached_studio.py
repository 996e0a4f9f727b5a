"""A domain, a profile and a space to which scripts are attached, and the changes in them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from studio_account import ROLE

from auto_shutdown.install.attach import Studio
from auto_shutdown.install.lifecycle import Previous, Script, read_script
from auto_shutdown.install.plan import Plan
from auto_shutdown.install.target import Target

IMAGE = "arn:aws:sagemaker:us-west-2:123456789012:image/jupyter-server-3"
DOMAIN = Target("domain", "d-local")
PROFILE = Target("user-profile", "d-local", "ada")
SPACE = Target("space", "d-local", "team")
OLD = b"#!/bin/bash\necho old\n"


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
    """SageMaker's description, without the times and the names of users."""
    found = copy.deepcopy(dict(studio._calls.describe(target)))
    del found["LastModifiedTime"], found["ResponseMetadata"]
    return found


def written(description: Mapping[str, Any]) -> bytes:
    """The text of the description, because a changed order is a change, too."""
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
