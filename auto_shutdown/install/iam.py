"""IAM policies of least privilege: for the role of users' apps, and for the administrator who
attaches lifecycle configurations.

AWS decides what an action can be limited to. ``ListApps`` has neither a resource nor a condition:
a user who may list their own apps may list everybody's. ``gives_away`` says so in words.
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
    """What a policy is limited to. An empty text means any, or IAM's own variable where there is
    one. The partition follows from the region."""

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
    """For the execution role of a domain, its user profiles or a notebook instance: remove the
    user's own apps and nobody else's. ``wheel`` is its S3 address, if scripts install it from S3.
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
        sid = "StopOwnNotebookInstance" if scope.notebook_instance else "StopAnyNotebookInstance"
        statements.append(_allow(sid, actions, resources))
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
    """For the administrator who runs ``lifecycle-config``: read any lifecycle configuration (ours
    runs an earlier one first), create and delete only ours, update the target, and look at the
    domain's user profiles and spaces for the plan."""
    config = "studio-lifecycle-config"
    make = ["sagemaker:CreateStudioLifecycleConfig", "sagemaker:DeleteStudioLifecycleConfig"]
    statements = [
        _allow(
            "ReadLifecycleConfigurations",
            ["sagemaker:DescribeStudioLifecycleConfig"],
            [scope.arn(config, "*")],
        ),
        _allow("MakeOwnLifecycleConfigurations", make, [scope.arn(config, f"{PREFIX}*")]),
        # AWS lets nobody limit these lists.
        _allow(
            "ListForThePlan",
            [
                "sagemaker:ListDomains",
                "sagemaker:ListSpaces",
                "sagemaker:ListStudioLifecycleConfigs",
                "sagemaker:ListUserProfiles",
            ],
            ["*"],
        ),
    ]
    domain = scope.domain or "*"
    statements.append(
        _allow(
            "ReadSettingsForThePlan",
            [f"sagemaker:Describe{noun}" for noun in ("Domain", "Space", "UserProfile")],
            [
                scope.arn("domain", domain),
                scope.arn("space", domain, "*"),
                scope.arn("user-profile", domain, "*"),
            ],
        )
    )
    for target in targets:
        noun = "".join(word.capitalize() for word in target.split("-"))
        parts = {
            "domain": [domain],
            "user-profile": [domain, scope.user_profile or "*"],
            "space": [domain, "*"],
        }[target]
        actions = [f"sagemaker:Update{noun}"]
        statements.append(_allow(f"AttachTo{noun}", actions, [scope.arn(target, *parts)]))
    if wheel:
        statements.append(_wheel(scope, "UploadWheel", "s3:PutObject", wheel))
    return _policy(statements)


#: What a statement allows beyond the user's own, and how to narrow it, by its Sid.
_WIDE = {
    "ListApps": (
        "{sid}: the user sees the names of all apps of the account. AWS does not let anybody limit "
        "sagemaker:ListApps."
    ),
    "DeleteAppsOfSharedSpaces": (
        "{sid}: every user with this policy may end the apps of every shared space of the domain. "
        "IAM does not know who acts in a shared space."
    ),
    "StopAnyNotebookInstance": (
        "{sid}: the role may stop every notebook instance{where}. Give --notebook-instance NAME to "
        "limit it to one."
    ),
}


def gives_away(policy: dict[str, Any]) -> list[str]:
    """What ``policy`` allows beyond its purpose, one sentence each: an account, a region or a name
    that is missing, and actions that AWS does not let anybody limit."""
    found = []
    for statement in policy["Statement"]:
        arns = [r for r in statement["Resource"] if r.startswith("arn:") and ":sagemaker:" in r]
        missing = _missing(arns)
        where = "" if missing else " of this account in this region"
        if statement["Sid"] in _WIDE:
            found.append(_WIDE[statement["Sid"]].format(sid=statement["Sid"], where=where))
        if missing:
            options = " and ".join(f"--{each}" for each in missing)
            found.append(
                f"{statement['Sid']}: it holds in every {' and '.join(missing)}. Give {options} to "
                "limit it."
            )
    return found


def _missing(arns: Sequence[str]) -> list[str]:
    """Region and account, as far as one of the ARNs leaves them open."""
    parts = {"region": 3, "account": 4}
    return [name for name, at in parts.items() if any(arn.split(":")[at] == "*" for arn in arns)]


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
