"""Records the AWS calls of this process as IAM sees them, and refuses those that a policy does not
allow. Works on every botocore session that begins while it is installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import botocore.handlers
import pytest
from botocore.exceptions import ClientError

ACCOUNT, REGION = "123456789012", "us-west-2"

#: Where the prefix of a service's actions is not the name that signs its requests.
PREFIXES = {"tagging": "tag", "monitoring": "cloudwatch"}

#: Where an action is not named like the operation.
ACTIONS = {"DescribeBudgets": "ViewBudget", "HeadBucket": "ListBucket"}

#: "No permissions are required to perform this operation" (API reference of STS).
FREE = {"sts:GetCallerIdentity"}


class Guard:
    """``policy`` None: everything is allowed, and recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.policy: Mapping[str, Any] | None = None
        self.calls: list[tuple[str, str]] = []
        self.refused: list[tuple[str, str]] = []
        hook = ("before-parameter-build.*.*", self._check)
        known = [*botocore.handlers.BUILTIN_HANDLERS, hook]
        monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", known)

    @property
    def actions(self) -> set[str]:
        return {action for action, _ in self.calls} - FREE

    def _check(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        signer = model.service_model.signing_name
        action = f"{PREFIXES.get(signer, signer)}:{ACTIONS.get(model.name, model.name)}"
        resource = resource_of(model.name, params)
        self.calls.append((action, resource))
        if self.policy is None or action in FREE or allows(self.policy, action, resource):
            return
        self.refused.append((action, resource))
        error = {"Error": {"Code": "AccessDeniedException", "Message": f"{action} on {resource}"}}
        raise ClientError(error, model.name)


def resource_of(operation: str, params: Mapping[str, Any]) -> str:
    """The ARN that IAM checks; ``*`` for an operation without a resource."""

    def arn(service: str, resource: str) -> str:
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"

    owner = params.get("SpaceName") or params.get("UserProfileName")
    if "Bucket" in params:
        key = f"/{params['Key']}" if "Key" in params else ""
        return f"arn:aws:s3:::{params['Bucket']}{key}"
    if operation == "DescribeBudgets":
        return f"arn:aws:budgets::{ACCOUNT}:budget/*"
    if operation == "PutEvents":
        (bus,) = {entry["EventBusName"] for entry in params["Entries"]}
        return arn("events", f"event-bus/{bus}")
    for member in ("TopicArn", "ResourceArn"):
        if member in params:
            return str(params[member])
    if "logGroupName" in params:
        return arn("logs", f"log-group:{params['logGroupName']}:*")
    if operation.startswith("List") or "DomainIdEquals" in params:
        return "*"
    kinds = {
        "App": f"app/{params.get('DomainId')}/{owner}/{params.get('AppType')}/x",
        "Space": f"space/{params.get('DomainId')}/{owner}",
        "UserProfile": f"user-profile/{params.get('DomainId')}/{owner}",
        "Domain": f"domain/{params.get('DomainId')}",
        "NotebookInstance": f"notebook-instance/{params.get('NotebookInstanceName')}",
        "StudioLifecycleConfig": (
            f"studio-lifecycle-config/{params.get('StudioLifecycleConfigName')}"
        ),
    }
    kind = re.sub("^(Create|Describe|Update|Delete)", "", operation)
    return arn("sagemaker", kinds[kind]) if kind in kinds else "*"


def allows(policy: Mapping[str, Any], action: str, resource: str) -> bool:
    return any(
        action in statement["Action"]
        and any(fnmatchcase(resource, pattern) for pattern in statement["Resource"])
        for statement in policy["Statement"]
    )


def actions_of(policy: Mapping[str, Any]) -> set[str]:
    return {action for statement in policy["Statement"] for action in statement["Action"]}


#: Run by an interpreter of its own: it warns in ways that the suite takes for errors.
LINT = """
import json, sys, parliament
found = [parliament.analyze_policy_string(text).findings for text in json.load(sys.stdin)]
print(json.dumps([[[f.issue, str(f.detail)] for f in findings] for findings in found]))
"""


def lint(*policies: Mapping[str, Any]) -> list[list[list[str]]]:
    """What parliament finds in each policy. One call for all, because its start takes seconds."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LINT],
        input=json.dumps([json.dumps(policy) for policy in policies]),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[list[list[str]]] = json.loads(done.stdout)
    return found
