"""The policies: checked by a linter, and by cases that they allow or forbid."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from iam import actions_of, lint
from policy_rules import allows

from auto_shutdown.cli.main import main
from auto_shutdown.install.errors import UsageError
from auto_shutdown.install.iam import Scope, administrator_policy, broad_permissions, user_policy
from auto_shutdown.install.names import PLATFORMS, TARGETS
from auto_shutdown.local_studio.api import Api

WORLD = Path(__file__).resolve().parents[2] / "auto_shutdown" / "world"
SCOPE = Scope(region="us-west-2", account="123456789012", domain="d-1")
WIDE = Scope()
WHEEL = "s3://bucket/a/jupyterlab_auto_shutdown-0.1.0-py3-none-any.whl"


def findings(policy: Mapping[str, Any]) -> list[list[str]]:
    """What the policy linter finds. It does not know the length of a variable's value, and would
    take it for a mismatch."""
    (found,) = lint(json.loads(re.sub(r"\$\{sagemaker:(\w+)\}", r"x\1", json.dumps(policy))))
    return found


@pytest.mark.parametrize("scope", [SCOPE, WIDE, Scope("cn-north-1", "123456789012")])
def test_policy_linter_accepts_the_policies(scope: Scope) -> None:
    assert findings(user_policy(scope, PLATFORMS, shared_spaces=True, wheel=WHEEL)) == []
    assert findings(administrator_policy(scope, TARGETS, WHEEL)) == []


def test_policy_linter_finds_planted_errors() -> None:
    policy = user_policy(SCOPE)
    policy["Statement"][0]["Action"] = ["sagemaker:ListApp"]
    policy["Statement"][1]["Resource"] = ["arn:aws:sagemaker:us-west-2:123456789012:domain/d-1"]
    issues = {issue for issue, _ in findings(policy)}
    assert {"UNKNOWN_ACTION", "RESOURCE_MISMATCH"} <= issues


# -- what they allow, by IAM's rules --------------------------------------------------------------


def arn(kind: str, path: str, account: str = "123456789012") -> str:
    return f"arn:aws:sagemaker:us-west-2:{account}:{kind}/{path}"


ADA = {"sagemaker:DomainId": "d-1", "sagemaker:UserProfileName": "ada"}
ADAS = {
    "sagemaker:OwnerUserProfileArn": arn("user-profile", "d-1/ada"),
    "sagemaker:SpaceSharingType": "Private",
}
BOBS = {**ADAS, "sagemaker:OwnerUserProfileArn": arn("user-profile", "d-1/bob")}
#: In a shared space IAM does not know whose session it is.
TEAM = {"sagemaker:DomainId": "d-1", "sagemaker:SpaceSharingType": "Shared"}


@pytest.mark.parametrize("scope", [SCOPE, WIDE], ids=["domain given", "any domain"])
@pytest.mark.parametrize(
    ("app", "context", "plain", "shared"),
    [
        ("d-1/ada/KernelGateway/x", ADA, True, True),
        ("d-1/ada/kernelgateway/x", ADA, True, True),
        ("d-1/bob/KernelGateway/x", ADA, False, False),
        ("d-2/ada/KernelGateway/x", ADA, False, False),
        ("d-1/ada/JupyterServer/default", ADA, False, False),
        ("d-1/ada/Canvas/default", ADA, False, False),
        # a space of bob's that he has named after ada
        ("d-1/ada/KernelGateway/x", {**ADA, **BOBS}, False, False),
        ("d-1/ada/JupyterLab/default", {**ADA, **BOBS}, False, False),
        ("d-1/mine/JupyterLab/default", {**ADA, **ADAS}, True, True),
        ("d-1/mine/jupyterlab/default", {**ADA, **ADAS}, True, True),
        ("d-1/mine/CodeEditor/default", {**ADA, **ADAS}, False, False),
        ("d-1/his/JupyterLab/default", {**ADA, **BOBS}, False, False),
        ("d-1/team/JupyterLab/default", TEAM, False, True),
        ("d-1/team/KernelGateway/x", TEAM, False, True),
        ("d-1/team/JupyterServer/default", TEAM, False, False),
        ("d-2/team/JupyterLab/default", TEAM, False, False),
    ],
)
def test_user_may_delete_only_apps_in_scope(
    scope: Scope, app: str, context: dict[str, str], plain: bool, shared: bool
) -> None:
    action, resource = "sagemaker:DeleteApp", arn("app", app)
    assert allows(user_policy(scope), action, resource, context) is plain
    policy = user_policy(scope, shared_spaces=True)
    assert allows(policy, action, resource, context) is shared


@pytest.mark.parametrize(
    ("given", "partition"),
    [
        ({}, "aws"),
        ({"region": "eu-central-1"}, "aws"),
        ({"region": "cn-north-1"}, "aws-cn"),
        ({"region": "us-gov-west-1"}, "aws-us-gov"),
        ({"region": "eu-central-1", "partition": "aws-eusc"}, "aws-eusc"),
    ],
)
def test_the_partition_follows_from_the_region(given: dict[str, str], partition: str) -> None:
    assert Scope(**given).arn("domain", "x").startswith(f"arn:{partition}:sagemaker:")


def test_policy_allows_no_other_account_or_region() -> None:
    policy = user_policy(SCOPE)
    context = {**ADA, **ADAS}
    mine = "d-1/mine/JupyterLab/default"
    assert allows(policy, "sagemaker:DeleteApp", arn("app", mine), context)
    assert not allows(policy, "sagemaker:DeleteApp", arn("app", mine, "2" * 12), context)


@pytest.mark.parametrize("scope", [SCOPE, WIDE], ids=["domain given", "any domain"])
@pytest.mark.parametrize(
    ("operation", "resource", "allowed"),
    [
        ("DescribeApp", arn("app", "d-1/mine/JupyterLab/default"), True),
        ("DescribeApp", arn("app", "d-1/mine/Canvas/default"), False),
        ("DescribeSpace", arn("space", "d-1/mine"), True),
        ("DescribeSpace", arn("space", "d-2/mine"), False),
        ("DescribeUserProfile", arn("user-profile", "d-1/ada"), True),
        ("DescribeUserProfile", arn("user-profile", "d-1/bob"), False),
        ("DescribeDomain", arn("domain", "d-1"), True),
        ("DescribeDomain", arn("domain", "d-2"), False),
    ],
)
def test_policy_allows_the_descriptions_that_the_panel_shows(
    scope: Scope, operation: str, resource: str, allowed: bool
) -> None:
    assert allows(user_policy(scope), f"sagemaker:{operation}", resource, ADA) is allowed
    classic = user_policy(scope, ["studio-classic"])
    assert not allows(classic, f"sagemaker:{operation}", resource, ADA)


def test_policy_allows_a_notebook_instance_to_stop_itself() -> None:
    policy = user_policy(Scope(notebook_instance="My-Instance"), ["notebook-instance"])
    for action in ("sagemaker:StopNotebookInstance", "sagemaker:DescribeNotebookInstance"):
        for spelling in ("My-Instance", "my-instance"):
            assert allows(policy, action, arn("notebook-instance", spelling))
        assert not allows(policy, action, arn("notebook-instance", "other"))
    assert not allows(policy, "sagemaker:StartNotebookInstance", arn("notebook-instance", "*"))


@pytest.mark.parametrize(
    ("scope", "platforms", "sentences"),
    [
        (SCOPE, ["studio-space"], []),
        (SCOPE, ["studio-classic"], ["ListApps: the user sees the names of all apps"]),
        (WIDE, ["studio-space"],
         ["DeleteAppsOfOwnSpaces: it applies in every region and account. Give --region and --",
          "ReadWhatIsShownOfSpaces: it applies in every region and account."]),
        (WIDE, ["notebook-instance"],
         ["StopAnyNotebookInstance: the role may stop every notebook instance. Give --notebook-",
          "StopAnyNotebookInstance: it applies in every region and account."]),
        (SCOPE, ["notebook-instance"],
         ["StopAnyNotebookInstance: the role may stop every notebook instance of this account in"]),
        (Scope("us-west-2", "123456789012", notebook_instance="nb"), ["notebook-instance"], []),
        (Scope("us-west-2", notebook_instance="nb"), ["notebook-instance"],
         ["StopOwnNotebookInstance: it applies in every account. Give --account to limit it."]),
    ],
)  # fmt: skip
def test_a_policy_says_what_it_gives_away(
    scope: Scope, platforms: list[str], sentences: list[str]
) -> None:
    # The statement for the tag that stops everything follows the same scope as the others.
    found = [t for t in broad_permissions(user_policy(scope, platforms)) if "StopSwitch" not in t]
    assert len(found) == len(sentences)
    assert all(text.startswith(words) for text, words in zip(found, sentences)), found


def test_the_policy_says_that_shared_spaces_belong_to_everybody() -> None:
    (text,) = broad_permissions(user_policy(SCOPE, ["studio-space"], shared_spaces=True))
    assert "may end the apps of every shared space of the domain" in text


def test_users_get_what_the_extension_calls_and_nothing_else() -> None:
    called = {
        f"sagemaker:{name}"
        for path in WORLD.glob("*.py")
        for name in re.findall(r'(?:invoke|ask)\(\s*"([A-Z]\w+)"', path.read_text())
    }
    assert {"sagemaker:ListApps", "sagemaker:DeleteApp", "sagemaker:DescribeSpace"} < called
    assert actions_of(user_policy(WIDE, PLATFORMS)) == called


@pytest.mark.parametrize(
    ("kind", "name"), [("domain", ""), ("user-profile", "ada"), ("space", "s")]
)
def test_administrators_get_what_attaching_calls(
    account: Api, sagemaker: Any, kind: str, name: str
) -> None:
    """The administrator's policy allows the calls of ``lifecycle-config``, and nothing else."""
    sagemaker.create_domain(
        DomainName="1",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": "arn:aws:iam::123456789012:role/Role"},
        SubnetIds=["subnet-1"],
        VpcId="vpc-1",
    )
    sagemaker.create_user_profile(DomainId="d-1", UserProfileName="ada")
    sagemaker.create_space(DomainId="d-1", SpaceName="s")
    account.calls.clear()
    target = ("--domain", "d-*", f"--{kind}", name) if name else ("--domain", "d-*")
    where = (*target, "--region", "us-west-2", "--yes", "--sha256", "a" * 64)
    for platform in ("jupyterlab", "jupyter-server"):
        for action in (
            ("--attach", kind),
            ("--attach", kind, "--set", "dry_run=true"),
            ("--rollback", kind),
            ("--update", kind, "--from", "jupyterlab-auto-shutdown==9.9"),
            ("--show", kind),
            ("--detach", kind),
            ("--delete-unused",),
        ):
            assert main(["lifecycle-config", "--for", platform, *where, *action]) == 0, action
    policy = administrator_policy(SCOPE, [kind])
    for call in account.calls:
        given = call.request
        if "StudioLifecycleConfigName" in given:
            resource = arn("studio-lifecycle-config", given["StudioLifecycleConfigName"])
        elif call.operation.startswith("List"):
            resource = "*"
        else:
            noun = re.sub(
                r"(?<=.)(?=[A-Z])", "-", re.sub("^[A-Z][a-z]+", "", call.operation)
            ).lower()
            names = (given["DomainId"], given.get("UserProfileName"), given.get("SpaceName"))
            resource = arn(noun, "/".join(v for v in names if v))
        assert allows(policy, f"sagemaker:{call.operation}", resource), call.operation
    assert actions_of(policy) == {f"sagemaker:{call.operation}" for call in account.calls}


def test_administrators_touch_no_configuration_of_others() -> None:
    policy = administrator_policy(SCOPE, TARGETS)
    theirs, ours = (arn("studio-lifecycle-config", n) for n in ("theirs", "auto-shutdown-x"))
    assert allows(policy, "sagemaker:DescribeStudioLifecycleConfig", theirs)
    for action in (
        "sagemaker:CreateStudioLifecycleConfig",
        "sagemaker:DeleteStudioLifecycleConfig",
    ):
        assert allows(policy, action, ours)
        assert not allows(policy, action, theirs)
    assert not allows(policy, "sagemaker:UpdateDomain", arn("domain", "d-2"))


def test_policy_allows_reading_the_wheel_in_s3() -> None:
    place = "arn:aws:s3:::bucket/a/jupyterlab_auto_shutdown-0.1.0-py3-none-any.whl"
    assert allows(user_policy(SCOPE, wheel=WHEEL), "s3:GetObject", place)
    assert allows(administrator_policy(SCOPE, wheel=WHEEL), "s3:PutObject", place)
    assert not allows(user_policy(SCOPE, wheel=WHEEL), "s3:PutObject", place)


def test_policy_for_a_folder_in_s3_allows_each_version_of_the_wheel_and_nothing_else() -> None:
    policy = user_policy(SCOPE, wheel="s3://bucket/a/")
    newer = "arn:aws:s3:::bucket/a/jupyterlab_auto_shutdown-0.2.0-py3-none-any.whl"
    assert allows(policy, "s3:GetObject", newer)
    assert not allows(policy, "s3:GetObject", "arn:aws:s3:::bucket/a/other.whl")
    assert not allows(policy, "s3:GetObject", newer.replace("/a/", "/b/"))


@pytest.mark.parametrize(
    "given",
    [
        {"partition": "AWS"},
        {"region": "us-west-2:*"},
        {"account": "12"},
        {"domain": "*"},
        {"domain": "d-1/*"},
        {"user_profile": "a*"},
        {"notebook_instance": "a/b"},
    ],
)
def test_names_that_would_widen_the_policy_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        Scope(**given)


def test_a_wheel_must_be_one_object() -> None:
    for address in ("s3://bucket/*", "s3://bucket", "https://bucket/x", "s3://b/${aws:username}"):
        with pytest.raises(UsageError, match="not the S3 address"):
            user_policy(SCOPE, wheel=address)
