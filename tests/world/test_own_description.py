"""SageMaker's own idle shutdown: the setting in force, and settings that the role may not read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from auto_shutdown.world.own_description import Description, describe, idle_minutes
from auto_shutdown.world.platform import Platform

SPACE = Platform("studio-space", "d-1", None, "mine", app_type="JupyterLab", app_name="default")


def lab(settings: str, **idle: Any) -> dict[str, Any]:
    """One level, with these idle settings of JupyterLab."""
    return {settings: {"JupyterLabAppSettings": {"AppLifecycleManagement": {"IdleSettings": idle}}}}


def domain(**idle: Any) -> dict[str, Any]:
    return lab("DefaultUserSettings", **{"LifecycleManagement": "ENABLED", **idle})


def profile(**idle: Any) -> dict[str, Any]:
    return lab("UserSettings", **idle)


def space(sharing: str = "Private", **idle: Any) -> dict[str, Any]:
    return {**lab("SpaceSettings", **idle), "SpaceSharingSettings": {"SharingType": sharing}}


def shared_domain(**idle: Any) -> dict[str, Any]:
    shared = lab("DefaultSpaceSettings", LifecycleManagement="ENABLED", **idle)
    return {**domain(IdleTimeoutInMinutes=120), **shared}


TWO_HOURS = domain(IdleTimeoutInMinutes=120)
BOUNDED = domain(IdleTimeoutInMinutes=120, MinIdleTimeoutInMinutes=60, MaxIdleTimeoutInMinutes=240)

#: What holds, by domain, user profile and space; None is one that cannot be read.
SETTINGS: dict[str, tuple[Any, Any, Any, float | None]] = {
    "the domain's": (TWO_HOURS, {}, space(), 120),
    "nothing is set": ({}, {}, {}, None),
    "off": (domain(LifecycleManagement="DISABLED", IdleTimeoutInMinutes=120), {}, space(), None),
    "on, without a time": (domain(), {}, space(), None),
    "the profile's": (TWO_HOURS, profile(IdleTimeoutInMinutes=90), space(), 90),
    "off for this profile": (TWO_HOURS, profile(LifecycleManagement="DISABLED"), space(), None),
    "the space's": (BOUNDED, {}, space(IdleTimeoutInMinutes=180), 180),
    "the space's is below the least": (BOUNDED, {}, space(IdleTimeoutInMinutes=30), 60),
    "the space's is above the most": (BOUNDED, {}, space(IdleTimeoutInMinutes=999), 240),
    "a shared space": (shared_domain(IdleTimeoutInMinutes=75), {}, space("Shared"), 75),
    "a shared space, nothing set for those": (TWO_HOURS, {}, space("Shared"), None),
    "the space cannot be read": (TWO_HOURS, {}, None, None),
    "the domain cannot be read": (None, {}, space(), None),
    "but the profile says all": (
        None,
        profile(LifecycleManagement="ENABLED", IdleTimeoutInMinutes=90),
        space(),
        90,
    ),
    "the profile cannot be read": (TWO_HOURS, None, space(), None),
    "foreign": ({"DefaultUserSettings": "?"}, {}, {"SpaceSettings": []}, None),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_space_setting_overrides_profile_and_domain_settings(name: str) -> None:
    *levels, expected = SETTINGS[name]
    assert idle_minutes("JupyterLabAppSettings", *levels) == expected


class Answers:
    """SageMaker's answers by operation; an exception for what is missing."""

    def __init__(self, **answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.requests: list[tuple[str, Mapping[str, Any]]] = []

    def __call__(self, operation: str, method: str, request: Mapping[str, Any]) -> Any:
        assert method.replace("_", "") == operation.lower()
        self.requests.append((operation, dict(request)))
        if operation not in self.answers:
            raise PermissionError("not allowed")
        return self.answers[operation]


OWNED = {**space(), "OwnershipSettings": {"OwnerUserProfileName": "ada"}}
APP = {"ResourceSpec": {"InstanceType": "ml.g5.xlarge"}}


def test_owner_of_a_private_space_is_described_too() -> None:
    """The metadata file of a space does not name one."""
    invoke = Answers(
        DescribeApp=APP,
        DescribeSpace=OWNED,
        DescribeUserProfile=profile(IdleTimeoutInMinutes=90),
        DescribeDomain=TWO_HOURS,
    )
    assert describe(invoke, SPACE) == Description("ml.g5.xlarge", 90)
    requests = dict(invoke.requests)
    assert requests["DescribeUserProfile"] == {"DomainId": "d-1", "UserProfileName": "ada"}
    assert requests["DescribeApp"]["SpaceName"] == "mine"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, Description()),
        ({"DescribeApp": APP}, Description("ml.g5.xlarge")),
        ({"DescribeApp": {}, "DescribeDomain": TWO_HOURS}, Description()),
        ({"DescribeSpace": OWNED, "DescribeDomain": TWO_HOURS}, Description()),
    ],
)
def test_denied_description_leaves_the_values_unknown(answers: Any, expected: Description) -> None:
    assert describe(Answers(**answers), SPACE) == expected


def test_code_editor_uses_its_own_idle_settings() -> None:
    idle = {"LifecycleManagement": "ENABLED", "IdleTimeoutInMinutes": 60}
    editor = {"CodeEditorAppSettings": {"AppLifecycleManagement": {"IdleSettings": idle}}}
    both = {"DefaultUserSettings": {**TWO_HOURS["DefaultUserSettings"], **editor}}
    invoke = Answers(DescribeSpace=space(), DescribeDomain=both)
    here = Platform("studio-space", "d-1", None, "mine", app_type="CodeEditor", app_name="default")
    assert describe(invoke, here).native_idle_minutes == 60


def test_notebook_instance_has_no_idle_settings() -> None:
    invoke = Answers(DescribeNotebookInstance={"InstanceType": "ml.t3.medium"})
    here = Platform("notebook-instance", app_name="mine")
    assert describe(invoke, here) == Description("ml.t3.medium")
    assert invoke.requests == [("DescribeNotebookInstance", {"NotebookInstanceName": "mine"})]
