"""IAM policies of least privilege: for the role that users' apps run with, and for whoever
attaches lifecycle configurations (platform.md 7).

What an action can be limited to is AWS's, not ours: ``ListApps`` knows no resource and no
condition, so that whoever may list their own apps may list everybody's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import UsageError
from .names import PLATFORMS, PREFIX

Statement = dict[str, Any]

#: Filled in by IAM itself for calls made from inside Studio.
DOMAIN_VARIABLE = "${sagemaker:DomainId}"
PROFILE_VARIABLE = "${sagemaker:UserProfileName}"

#: By the beginning of the region's name; elsewhere it is ``aws``.
PARTITIONS = {"cn": "aws-cn", "us-gov": "aws-us-gov"}

_NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
_BUCKET_AND_KEY = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/([^\s*?$]+)")


@dataclass(frozen=True)
class Scope:
    """What a policy is for; an empty text is anything, or IAM's own variable where it has one.
    The partition follows from the region."""

    region: str = ""
    account: str = ""
    domain: str = ""
    user_profile: str = ""
    notebook_instance: str = ""
    partition: str = ""

    def __post_init__(self) -> None:
        for what, value, pattern, wanted in (
            ("partition", self.partition, r"aws(-[a-z]+)*", "such as aws or aws-cn"),
            ("region", self.region, r"[a-z]{2}(-[a-z]+)+-\d", "such as us-west-2"),
            ("account", self.account, r"\d{12}", "a number of 12 digits"),
            ("domain", self.domain, r"d-(-*[a-z0-9]){1,61}", "its id, d-…"),
            ("user profile", self.user_profile, _NAME, "letters, digits, hyphens"),
            ("notebook instance", self.notebook_instance, _NAME, "letters, digits, hyphens"),
        ):
            if value and not re.fullmatch(pattern, value):
                raise UsageError(f"The {what} cannot be {value!r}: {wanted}.")

        if not self.partition:
            area = self.region.rsplit("-", 2)[0]
            object.__setattr__(self, "partition", PARTITIONS.get(area, "aws"))

    def arn(self, kind: str, *parts: str) -> str:
        where = f"{self.region or '*'}:{self.account or '*'}"
        return f"arn:{self.partition}:sagemaker:{where}:{kind}/" + "/".join(parts)


def user_policy(
    scope: Scope,
    platforms: Sequence[str] = PLATFORMS[:2],
    shared_spaces: bool = False,
    wheel: str = "",
) -> dict[str, Any]:
    """For the execution role of a domain, its user profiles or a notebook instance: remove one's
    own apps, and nobody else's. ``wheel`` is its S3 address, if the scripts install it from there.
    """
    statements: list[Statement] = []
    if "studio-classic" in platforms:
        statements.append(_allow("ListApps", ["sagemaker:ListApps"], ["*"]))
        statements.append(_delete_own_classic(scope))
    if "studio-space" in platforms:
        statements.append(_delete_own_space(scope))
        statements.append(_read_own_space(scope))
    if shared_spaces:
        statements.append(_delete_shared(scope, platforms))
    if {"studio-classic", "studio-space"} & set(platforms):
        domain = scope.arn("domain", scope.domain or DOMAIN_VARIABLE)
        statements.append(_allow("ReadStopSwitch", ["sagemaker:ListTags"], [domain]))
    if "notebook-instance" in platforms:
        actions = [
            "sagemaker:DescribeNotebookInstance",
            "sagemaker:ListTags",
            "sagemaker:StopNotebookInstance",
        ]
        # In ARNs the name was seen in lower case; IAM compares to the letter.
        names = dict.fromkeys([scope.notebook_instance or "*", scope.notebook_instance.lower()])
        resources = [scope.arn("notebook-instance", name) for name in names if name]
        statements.append(_allow("StopOwnNotebookInstance", actions, resources))
    if wheel:
        statements.append(_wheel(scope, "ReadWheel", "s3:GetObject", wheel))
    return _policy(statements)


def _delete_own_classic(scope: Scope) -> Statement:
    """Without the condition, a space that is named like a user profile would match too: both
    stand in the same place of an app's ARN."""
    return _allow(
        "DeleteOwnAppsInStudioClassic",
        ["sagemaker:DeleteApp"],
        _apps(scope, scope.user_profile or PROFILE_VARIABLE, "KernelGateway"),
        {"Null": {"sagemaker:OwnerUserProfileArn": "true"}},
    )


def _delete_own_space(scope: Scope) -> Statement:
    owner = scope.arn(
        "user-profile", scope.domain or DOMAIN_VARIABLE, scope.user_profile or PROFILE_VARIABLE
    )
    return _allow(
        "DeleteAppsOfOwnSpaces",
        ["sagemaker:DeleteApp"],
        _apps(scope, "*", "JupyterLab"),
        {
            "ArnLike": {"sagemaker:OwnerUserProfileArn": owner},
            "StringEquals": {"sagemaker:SpaceSharingType": "Private"},
        },
    )


def _read_own_space(scope: Scope) -> Statement:
    """Instance type and SageMaker's own idle shutdown, which are only shown: it works without. In
    shared spaces the user profile is not asked for, and IAM does not know it."""
    domain, profile = scope.domain or DOMAIN_VARIABLE, scope.user_profile or PROFILE_VARIABLE
    kinds = ("App", "Space", "UserProfile", "Domain")
    return _allow(
        "ReadWhatIsShownOfSpaces",
        [f"sagemaker:Describe{kind}" for kind in kinds],
        [
            *_apps(scope, "*", "JupyterLab"),
            scope.arn("space", domain, "*"),
            scope.arn("user-profile", domain, profile),
            scope.arn("domain", domain),
        ],
    )


def _delete_shared(scope: Scope, platforms: Sequence[str]) -> Statement:
    """In a shared space IAM does not know the user, so this cannot be limited to one's own: who
    has it may end the apps of any shared space of the domain."""
    resources: list[str] = []
    if "studio-classic" in platforms:
        resources += _apps(scope, "*", "KernelGateway")
    if "studio-space" in platforms:
        resources += _apps(scope, "*", "JupyterLab")
    return _allow(
        "DeleteAppsOfSharedSpaces",
        ["sagemaker:DeleteApp"],
        resources,
        {"StringEquals": {"sagemaker:SpaceSharingType": "Shared"}},
    )


def _apps(scope: Scope, owner: str, app_type: str) -> list[str]:
    # ARNs were seen with the type in either spelling, and IAM compares to the letter.
    domain = scope.domain or DOMAIN_VARIABLE
    return [scope.arn("app", domain, owner, t, "*") for t in (app_type, app_type.lower())]


def administrator_policy(
    scope: Scope, targets: Sequence[str] = ("domain",), wheel: str = ""
) -> dict[str, Any]:
    """For whoever runs ``lifecycle-config --attach`` and ``--detach``: read any lifecycle
    configuration (what was attached before is run first), make and delete only ours, and update
    what is attached to."""
    config = "studio-lifecycle-config"
    make = ["sagemaker:CreateStudioLifecycleConfig", "sagemaker:DeleteStudioLifecycleConfig"]
    statements = [
        _allow(
            "ReadLifecycleConfigurations",
            ["sagemaker:DescribeStudioLifecycleConfig"],
            [scope.arn(config, "*")],
        ),
        _allow("MakeOwnLifecycleConfigurations", make, [scope.arn(config, f"{PREFIX}*")]),
    ]
    domain = scope.domain or "*"
    for target in targets:
        noun = "".join(word.capitalize() for word in target.split("-"))
        parts = {
            "domain": [domain],
            "user-profile": [domain, scope.user_profile or "*"],
            "space": [domain, "*"],
        }[target]
        actions = [f"sagemaker:Describe{noun}", f"sagemaker:Update{noun}"]
        statements.append(_allow(f"AttachTo{noun}", actions, [scope.arn(target, *parts)]))
    if wheel:
        statements.append(_wheel(scope, "UploadWheel", "s3:PutObject", wheel))
    return _policy(statements)


def _wheel(scope: Scope, sid: str, action: str, address: str) -> Statement:
    found = _BUCKET_AND_KEY.fullmatch(address)
    if not found:
        raise UsageError(f"{address!r} is not the S3 address of a wheel (s3://BUCKET/KEY).")
    return _allow(sid, [action], [f"arn:{scope.partition}:s3:::{found[1]}/{found[2]}"])


def _allow(
    sid: str, actions: list[str], resources: list[str], condition: dict[str, Any] | None = None
) -> Statement:
    statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return statement if condition is None else {**statement, "Condition": condition}


def _policy(statements: list[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}
