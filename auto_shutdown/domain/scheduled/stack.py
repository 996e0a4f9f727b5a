"""Deploys and removes the scheduled run through CloudFormation, with an administrator's
credentials.

CloudFormation needs the zip in S3 before it creates the stack, so the zip's bucket is not part of
the stack.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import CallError, DomainError
from ..pace import Aws

#: Seconds between two requests for CloudFormation's progress, and the longest wait.
LOOK_SECONDS = 3.0
WAIT_SECONDS = 30 * 60.0

PREFIX = "auto-shutdown"


@dataclass(frozen=True)
class Change:
    """What CloudFormation will do with one resource: ``action`` is Add, Modify or Remove."""

    action: str
    name: str
    kind: str

    def __str__(self) -> str:
        return f"{self.action.lower():<7} {self.kind} {self.name}"


class Stack:
    """A stack by its name. ``tell`` gets a sentence for each step."""

    def __init__(self, aws: Aws, name: str, tell: Callable[[str], None]) -> None:
        self._aws, self.name, self._tell = aws, name, tell
        self._change_set = ""
        self._is_new = False

    # -- deploy ------------------------------------------------------------------------------

    def upload(self, bucket: str, key: str, content: bytes) -> str:
        """Put the zip into ``bucket``, and return the bucket's name. If ``bucket`` is empty, use
        one of this account and region, and create it if it does not exist. Raises CallError."""
        account = str(self._call("sts", "get_caller_identity")["Account"])
        if not bucket:
            bucket = f"{PREFIX}-code-{account}-{self._aws.region}"
            self._make_bucket(bucket, account)
        # S3 refuses the zip if the bucket of this name belongs to another account.
        owner = {"Bucket": bucket, "ExpectedBucketOwner": account}
        self._call("s3", "put_object", **owner, Key=key, Body=content)
        return bucket

    def prepare(self, template: str, parameters: Mapping[str, str]) -> list[Change]:
        """Make a change set, and return its changes (empty: there is nothing to change). Raises
        CallError, DomainError."""
        status = self.status()
        self._is_new = status in ("", "REVIEW_IN_PROGRESS")
        if status.endswith("_IN_PROGRESS") and not self._is_new:
            raise DomainError(f"The stack {self.name} is {status}: wait, and run this again.")
        if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
            raise DomainError(
                f"The stack {self.name} is {status} and cannot be updated: --remove it first."
            )
        self._change_set = f"{PREFIX}-{uuid.uuid4().hex[:12]}"
        self._call(
            "cloudformation",
            "create_change_set",
            **self._names(),
            ChangeSetType="CREATE" if self._is_new else "UPDATE",
            TemplateBody=template,
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in parameters.items()
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
        answer = self._wait(self._describe_change_set, "Status", "_IN_PROGRESS", "_PENDING")
        if answer["Status"] == "FAILED":
            reason = str(answer.get("StatusReason", ""))
            self.discard()
            # CloudFormation has no error code for a change set without changes, only two texts.
            if "didn't contain changes" in reason or "No updates are to be performed" in reason:
                return []
            raise DomainError(f"CloudFormation refuses the template: {reason}")
        changes = [entry["ResourceChange"] for entry in answer.get("Changes", ())]
        return [
            Change(str(c["Action"]), str(c["LogicalResourceId"]), str(c["ResourceType"]))
            for c in changes
        ]

    def discard(self) -> None:
        """Delete the change set, and the empty stack that CloudFormation made for it."""
        self._call("cloudformation", "delete_change_set", **self._names())
        if self._is_new:
            self._call("cloudformation", "delete_stack", StackName=self.name)

    def execute(self) -> dict[str, str]:
        """Carry out the change set, and return the names that AWS gave to the resources. Raises
        CallError, DomainError."""
        self._call("cloudformation", "execute_change_set", **self._names())
        self._tell(f"CloudFormation is working on the stack {self.name} …")
        stack = self._wait(self._describe, "StackStatus", "_IN_PROGRESS")
        if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            reasons = "\n".join(f"  {text}" for text in self._failures())
            raise DomainError(f"The stack {self.name} is {stack['StackStatus']}:\n{reasons}")
        return self._resources()

    def start(self, function: str, command: str) -> None:
        """Start one run and do not wait for it. Raises CallError."""
        event = json.dumps({"command": command}).encode()
        self._call("lambda", "invoke", FunctionName=function, InvocationType="Event", Payload=event)

    # -- remove ------------------------------------------------------------------------------

    def remove(self) -> dict[str, str] | None:
        """Delete the stack, and return the names of its resources (None: the stack does not exist).
        The bucket with the audit log is kept. Raises CallError, DomainError."""
        stack = self._describe()
        if stack is None:
            return None
        names = self._resources()
        self._call("cloudformation", "delete_stack", StackName=self.name)
        self._tell(f"CloudFormation is deleting the stack {self.name} …")
        # CloudFormation finds a deleted stack by its id, and no longer by its name.
        name, self.name = self.name, str(stack["StackId"])
        last = self._wait(self._describe, "StackStatus", "_IN_PROGRESS")
        if last.get("StackStatus", "DELETE_COMPLETE") != "DELETE_COMPLETE":
            reasons = "\n".join(f"  {text}" for text in self._failures())
            raise DomainError(f"The stack {name} is {last['StackStatus']}:\n{reasons}")
        return names

    # -- one look ----------------------------------------------------------------------------

    def status(self) -> str:
        """The stack's status; empty for a stack that does not exist."""
        stack = self._describe()
        return "" if stack is None else str(stack["StackStatus"])

    def _describe(self) -> dict[str, Any] | None:
        try:
            answer = self._call("cloudformation", "describe_stacks", StackName=self.name)
        except CallError as error:
            if error.code == "ValidationError" and "does not exist" in error.text:
                return None
            raise
        stacks: list[dict[str, Any]] = answer["Stacks"]
        return stacks[0]

    def _describe_change_set(self) -> dict[str, Any]:
        return self._call("cloudformation", "describe_change_set", **self._names())

    def _resources(self) -> dict[str, str]:
        """The name that AWS gave to each resource, by its name in the template."""
        answer = self._call("cloudformation", "describe_stack_resources", StackName=self.name)
        return {
            str(entry["LogicalResourceId"]): str(entry["PhysicalResourceId"])
            for entry in answer.get("StackResources", ())
            if entry.get("PhysicalResourceId")
        }

    def _wait(
        self, look: Callable[[], dict[str, Any] | None], member: str, *going: str
    ) -> dict[str, Any]:
        """Call ``look`` until the ``member`` of its answer does not end with one of ``going``, and
        return that answer. Empty if there is no stack."""
        pace = self._aws.pace
        give_up_at = pace.monotonic() + WAIT_SECONDS / pace.speed
        while pace.monotonic() < give_up_at:
            answer = look()
            if answer is None:
                return {}
            if not str(answer[member]).endswith(going):
                return answer
            pace.rest(LOOK_SECONDS / pace.speed)
        raise DomainError(f"CloudFormation is not done after {WAIT_SECONDS / 60:g} minutes.")

    def _failures(self) -> list[str]:
        """Why resources failed, the first failure first."""
        answer = self._call("cloudformation", "describe_stack_events", StackName=self.name)
        return [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in reversed(answer.get("StackEvents", ()))
            if str(event.get("ResourceStatus", "")).endswith("_FAILED")
        ]

    def _make_bucket(self, bucket: str, account: str) -> None:
        try:
            self._call("s3", "head_bucket", Bucket=bucket, ExpectedBucketOwner=account)
            return
        except CallError as error:
            if error.code not in ("404", "NoSuchBucket"):
                raise
        region = self._aws.region
        # S3 refuses a request that names us-east-1, its default region.
        place = {} if region == "us-east-1" else {"LocationConstraint": region}
        more: dict[str, Any] = {"CreateBucketConfiguration": place} if place else {}
        self._call("s3", "create_bucket", Bucket=bucket, **more)
        names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls")
        block = dict.fromkeys((*names, "RestrictPublicBuckets"), True)
        self._call(
            "s3",
            "put_public_access_block",
            Bucket=bucket,
            PublicAccessBlockConfiguration=block,
        )
        self._tell(f"made the bucket {bucket} for the zip")

    def _names(self) -> dict[str, str]:
        return {"StackName": self.name, "ChangeSetName": self._change_set}

    def _call(self, service: str, method: str, **request: Any) -> dict[str, Any]:
        return self._aws.call(service, method, **request)
