"""IAM policies of least privilege: for the role of users' apps, and for the administrator who
attaches lifecycle configurations.

AWS decides how an action can be limited. ``ListApps`` has neither a resource nor a condition: a
user who may list their own apps may list the apps of all users. ``broad_permissions`` tells the
administrator about this and other permissions that are broader than their purpose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import UsageError
from .names import DISTRIBUTION, PLATFORMS, PREFIX

Statement = dict[str, Any]

#: Variables of a policy. IAM replaces them in calls that come from inside Studio.
DOMAIN_VARIABLE = "${sagemaker:DomainId}"
PROFILE_VARIABLE = "${sagemaker:UserProfileName}"

#: The partition of the regions whose name begins with the key. All other regions are in ``aws``.
PARTITIONS = {"cn": "aws-cn", "us-gov": "aws-us-gov"}

_NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
_BUCKET_AND_KEY = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/([^\s*?$]+)")


@dataclass(frozen=True)
class Scope:
    """The account, domain and user to which a policy is limited. Where a text is empty, the policy
    uses IAM's variable, or applies to any. If ``partition`` is empty, the region decides it. Raises
    UsageError for a value that is not a name, such as a wildcard."""

    region: str = ""
    account: str = ""
    domain: str = ""
    user_profile: str = ""
    notebook_instance: str = ""
    partition: str = ""

    def __post_init__(self) -> None:
        for what, value, pattern, wanted in (
            ("partition", self.partition, r"aws(-[a-z]+)*", "a name such as aws or aws-cn"),
            ("region", self.region, r"[a-z]{2}(-[a-z]+)+-\d", "a name such as us-west-2"),
            ("account", self.account, r"\d{12}", "a number of 12 digits"),
            ("domain", self.domain, r"d-(-*[a-z0-9]){1,61}", "an id such as d-abc123"),
            ("user profile", self.user_profile, _NAME, "letters, digits and hyphens"),
            ("notebook instance", self.notebook_instance, _NAME, "letters, digits and hyphens"),
        ):
            if value and not re.fullmatch(pattern, value):
                raise UsageError(f"The {what} cannot be {value!r}. It must be {wanted}.")

        if not self.partition:
            area = self.region.rsplit("-", 2)[0]
            object.__setattr__(self, "partition", PARTITIONS.get(area, "aws"))

    def arn(self, kind: str, *parts: str) -> str:
        """The ARN of a SageMaker resource of this scope; ``parts`` are the names in it."""
        where = f"{self.region or '*'}:{self.account or '*'}"
        return f"arn:{self.partition}:sagemaker:{where}:{kind}/" + "/".join(parts)


def user_policy(
    scope: Scope,
    platforms: Sequence[str] = PLATFORMS[:2],
    shared_spaces: bool = False,
    wheel: str = "",
) -> dict[str, Any]:
    """The policy for the execution role of a domain, a user profile or a notebook instance: remove
    the user's own apps, and no apps of others. ``platforms`` are of PLATFORMS. ``shared_spaces``
    adds the apps of shared spaces. ``wheel`` is the S3 address of the wheel, if the scripts install
    it from S3. Raises UsageError if it is no such address."""
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
        # AWS may write the name in lower case in the ARN, and IAM compares case-sensitively.
        names = dict.fromkeys([scope.notebook_instance or "*", scope.notebook_instance.lower()])
        resources = [scope.arn("notebook-instance", name) for name in names if name]
        sid = "StopOwnNotebookInstance" if scope.notebook_instance else "StopAnyNotebookInstance"
        statements.append(_allow(sid, actions, resources))
    if wheel:
        statements.append(_wheel(scope, "ReadWheel", "s3:GetObject", wheel))
    return _policy(statements)


def _delete_own_classic(scope: Scope) -> Statement:
    """The condition excludes spaces. Without it, a space with the name of the user profile would
    match, because an app's ARN has both names in the same place."""
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
    """For the instance type and SageMaker's own idle shutdown, which the report shows. The
    extension works without this permission. In a shared space it does not ask for the user profile,
    because IAM does not know the user there."""
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
    """In a shared space IAM does not know the user, so this permission covers the apps of every
    shared space of the domain."""
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
    # AWS writes the app type in an ARN in both spellings, and IAM compares case-sensitively.
    domain = scope.domain or DOMAIN_VARIABLE
    return [scope.arn("app", domain, owner, t, "*") for t in (app_type, app_type.lower())]


def administrator_policy(
    scope: Scope, targets: Sequence[str] = ("domain",), wheel: str = ""
) -> dict[str, Any]:
    """The policy for the administrator who runs ``lifecycle-config``. It allows to read every
    lifecycle configuration (a new script contains the one that it replaces), to create and delete
    only those of this package, to update targets of the kinds in ``targets``, and to read the
    domain, its user profiles and its spaces for the plan. ``wheel`` is the S3 address to which the
    administrator uploads the wheel; empty for none. Raises UsageError if it is no such address."""
    config = "studio-lifecycle-config"
    make = ["sagemaker:CreateStudioLifecycleConfig", "sagemaker:DeleteStudioLifecycleConfig"]
    statements = [
        _allow(
            "ReadLifecycleConfigurations",
            ["sagemaker:DescribeStudioLifecycleConfig"],
            [scope.arn(config, "*")],
        ),
        _allow("MakeOwnLifecycleConfigurations", make, [scope.arn(config, f"{PREFIX}*")]),
        # AWS offers no way to limit these list operations to a resource.
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


#: The sentences about statements that allow more than the user's own resources, by Sid.
_BROAD = {
    "ListApps": (
        "{sid}: the user sees the names of all apps of the account. AWS offers no way to limit "
        "sagemaker:ListApps."
    ),
    "DeleteAppsOfSharedSpaces": (
        "{sid}: every user with this policy may end the apps of every shared space of the domain. "
        "IAM does not know which user acts in a shared space."
    ),
    "StopAnyNotebookInstance": (
        "{sid}: the role may stop every notebook instance{where}. Give --notebook-instance NAME to "
        "limit it to one."
    ),
}


def broad_permissions(policy: dict[str, Any]) -> list[str]:
    """One sentence for each permission of ``policy`` that is broader than its purpose: because an
    account, a region or a name is missing, or because AWS offers no way to limit the action."""
    sentences = []
    for statement in policy["Statement"]:
        arns = [r for r in statement["Resource"] if r.startswith("arn:") and ":sagemaker:" in r]
        missing = _missing(arns)
        where = "" if missing else " of this account in this region"
        if statement["Sid"] in _BROAD:
            sentences.append(_BROAD[statement["Sid"]].format(sid=statement["Sid"], where=where))
        if missing:
            options = " and ".join(f"--{each}" for each in missing)
            sentences.append(
                f"{statement['Sid']}: it applies in every {' and '.join(missing)}. Give {options} "
                "to limit it."
            )
    return sentences


def _missing(arns: Sequence[str]) -> list[str]:
    """Those of ``region`` and ``account`` that at least one of the ARNs leaves open."""
    parts = {"region": 3, "account": 4}
    return [name for name, at in parts.items() if any(arn.split(":")[at] == "*" for arn in arns)]


def _wheel(scope: Scope, sid: str, action: str, address: str) -> Statement:
    match = _BUCKET_AND_KEY.fullmatch(address)
    if not match:
        raise UsageError(
            f"--wheel {address}: not the S3 address of a wheel (s3://BUCKET/KEY) or of its folder "
            "(s3://BUCKET/PREFIX/)."
        )
    name = f"{DISTRIBUTION.replace('-', '_')}-*.whl" if address.endswith("/") else ""
    return _allow(sid, [action], [f"arn:{scope.partition}:s3:::{match[1]}/{match[2]}{name}"])


def _allow(
    sid: str, actions: list[str], resources: list[str], condition: dict[str, Any] | None = None
) -> Statement:
    statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return statement if condition is None else {**statement, "Condition": condition}


def _policy(statements: list[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}
