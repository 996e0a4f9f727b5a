"""Attaches an ``on-start`` script to a domain, user profile or space, and detaches it, through
the SageMaker API.

First a plan that can be read, then its steps. What was there before stays: everything beside the
slot as it is, and the lifecycle configuration that had the slot is run first by ours. The script
itself says whose place it took, so that it can be undone from anywhere, years later.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..world.aws_errors import CREDENTIALS, DENIED, GONE, THROTTLED, UNREACHABLE, read_error
from .errors import AttachError, UsageError
from .lifecycle import Previous, Script, previous_of, version_of
from .names import APP_TYPES, PREFIX
from .slots import Slot, slots

#: An update is under way for seconds; it is waited for so long.
WAIT_SECONDS = 120.0
LOOK_SECONDS = 2.0

_NOUNS = {"domain": "Domain", "user-profile": "UserProfile", "space": "Space"}


@dataclass(frozen=True)
class Target:
    """What is attached to: ``kind`` is domain, user-profile or space."""

    kind: str
    domain_id: str
    name: str = ""

    @property
    def noun(self) -> str:
        """As in the API's operations."""
        return _NOUNS[self.kind]

    @property
    def key(self) -> dict[str, str]:
        """The members that identify it."""
        own = {} if self.kind == "domain" else {f"{self.noun}Name": self.name}
        return {"DomainId": self.domain_id, **own}

    def __str__(self) -> str:
        where = f"domain {self.domain_id}"
        return where if self.kind == "domain" else f"{self.kind} {self.name} of {where}"


@dataclass(frozen=True)
class Change:
    """What happens in one slot: ``old`` is what stands there, ``script`` what is to (None when
    detaching, and then ``new`` is what was there before ours)."""

    slot: Slot
    old: str | None
    name: str = ""
    script: str | None = None
    new: str | None = None
    exists: bool = False


@dataclass(frozen=True)
class Plan:
    """The changes, and the description that they were planned on."""

    target: Target
    changes: tuple[Change, ...]
    remarks: tuple[str, ...] = ()
    description: Mapping[str, Any] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """For a person to read before it is done."""
        found = []
        for change in self.changes:
            where = f"{change.slot.group}.{change.slot.block} of {self.target}"
            if change.script is None:
                after = change.new or "nothing"
                found.append(f"Detach {_short(change.old)} from {where}; then {_short(after)}.")
                continue
            if not change.exists:
                found.append(f"Create the lifecycle configuration {change.name}.")
            found.append(f"Make {change.name} the one that runs at each start: {where}.")
            if change.old:
                found.append(f"  {_short(change.old)} is there now.")
        if not self.changes:
            found.append(f"Nothing to do: {self.target} is as it should be.")
        return found + [f"Mind: {remark}" for remark in self.remarks]


def _short(arn: str | None) -> str:
    return (arn or "nothing").rsplit("/", 1)[-1]


class Studio:
    """The SageMaker API, as far as it is needed here. ``client`` is boto3's."""

    def __init__(self, client: Any, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep

    def plan_attach(self, target: Target, script: Script, run_previous: bool = True) -> Plan:
        """``script`` into each slot of ``target``."""
        app_type = APP_TYPES.get(script.platform)
        if app_type is None:
            raise UsageError(
                "A notebook instance takes one lifecycle configuration, by name: put this script "
                "into its on-start script (docs/administrators.md)."
            )
        description = self.describe(target)
        changes, remarks = [], []
        for slot in slots(target.kind, app_type, description):
            change = self._attach_to(slot, description, script, run_previous)
            if change.old and not _ours(change.old):
                remarks.append(_about_previous(change.old, run_previous))
            if change.new != change.old or change.new is None:
                changes.append(change)
        if changes:
            remarks += _about(target, app_type, description)
        return Plan(target, tuple(changes), tuple(dict.fromkeys(remarks)), description)

    def _attach_to(
        self, slot: Slot, description: Mapping[str, Any], script: Script, run_previous: bool
    ) -> Change:
        old = slot.current(description)
        previous = None
        if old is not None:
            content = self._content(old)
            # What replaces an older one of ours takes over what that one runs first.
            previous = previous_of(content.decode()) if _ours(old) else Previous(old, content)
        kept = script if previous is None else _after(script, previous, run_previous)
        text = kept.render()
        name = name_of(script.platform, version_of(script.source), text)
        existing = self._find(name)
        return Change(slot, old, name, text, existing, existing is not None)

    def plan_detach(self, target: Target, platform: str) -> Plan:
        """Ours out of each slot of ``target``, and back in what was there before."""
        description = self.describe(target)
        changes = []
        for slot in slots(target.kind, APP_TYPES[platform], description):
            old = slot.current(description)
            if old is not None and _ours(old):
                previous = previous_of(self._content(old).decode())
                changes.append(Change(slot, old, new=previous.arn if previous else None))
        remarks = []
        if changes:
            remarks.append("apps that run now keep what they have until they are started again.")
        for name in dict.fromkeys(_short(change.old) for change in changes):
            remarks.append(
                f"{name} itself stays, for others may use it. To delete it: aws sagemaker "
                f"delete-studio-lifecycle-config --studio-lifecycle-config-name {name}"
            )
        return Plan(target, tuple(changes), tuple(remarks), description)

    def apply(self, plan: Plan) -> None:
        """The steps of ``plan``. Looks again first: what moved in between is not overwritten."""
        groups = {change.slot.group for change in plan.changes}
        now = self.describe(plan.target)
        if any(now.get(group) != plan.description.get(group) for group in groups):
            raise AttachError(f"The settings of {plan.target} have just changed; try again.")
        request: dict[str, Any] = dict(plan.target.key)
        for change in plan.changes:
            slot, old = change.slot, change.old
            if change.script is None:
                assert old is not None
                block = slot.take_out(now, old, change.new)
            else:
                arn = change.new or self._create(change.name, slot, change.script)
                block = slot.put(now, arn, old if old and _ours(old) else None)
            request.setdefault(slot.group, {})[slot.block] = block
        self._call(f"Update{plan.target.noun}", request, str(plan.target))
        self._wait(plan.target)

    # -- calls --------------------------------------------------------------------------------

    def describe(self, target: Target) -> Mapping[str, Any]:
        """Its settings, as SageMaker has them."""
        found: Mapping[str, Any] = self._call(f"Describe{target.noun}", target.key, str(target))
        return found

    def _content(self, arn: str) -> bytes:
        name = _short(arn)
        found = self._call(
            "DescribeStudioLifecycleConfig", {"StudioLifecycleConfigName": name}, name
        )
        return base64.b64decode(found["StudioLifecycleConfigContent"])

    def _find(self, name: str) -> str | None:
        """The ARN of the configuration ``name``, which says by its digest what is in it."""
        try:
            found = self._client.describe_studio_lifecycle_config(StudioLifecycleConfigName=name)
        except Exception as error:
            code, message = read_error(error)
            if _missing(code, message):
                return None
            raise _failed("DescribeStudioLifecycleConfig", name, code, message) from None
        return str(found["StudioLifecycleConfigArn"])

    def _create(self, name: str, slot: Slot, script: str) -> str:
        existing = self._find(name)  # another slot of the same plan may just have made it
        if existing is not None:
            return existing
        request = {
            "StudioLifecycleConfigName": name,
            "StudioLifecycleConfigContent": base64.b64encode(script.encode()).decode(),
            "StudioLifecycleConfigAppType": slot.block.removesuffix("AppSettings"),
        }
        found = self._call("CreateStudioLifecycleConfig", request, name)
        return str(found["StudioLifecycleConfigArn"])

    def _wait(self, target: Target) -> None:
        for _ in range(int(WAIT_SECONDS / LOOK_SECONDS)):
            status = str(self.describe(target).get("Status"))
            if status == "InService":
                return
            if status.endswith("Failed"):
                raise AttachError(f"SageMaker could not update {target}: its status is {status}.")
            self._sleep(LOOK_SECONDS)
        raise AttachError(f"{target} is still being updated after {WAIT_SECONDS:g} s; look again.")

    def _call(self, operation: str, request: Mapping[str, Any], what: str) -> Any:
        method = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
        try:
            return getattr(self._client, method)(**request)
        except Exception as error:
            code, message = read_error(error)
        # Here and not in the handler: a traceback would print AWS's own text.
        raise _failed(operation, what, code, message)


def name_of(platform: str, version: str, script: str) -> str:
    """The name of a configuration. They are immutable; so the name says what is in it."""
    digest = hashlib.sha256(script.encode()).hexdigest()[:12]
    plain = "-".join("".join(c if c.isalnum() else " " for c in version).split())
    return f"{PREFIX}{platform}-{plain[:20]}-{digest}"


def _ours(arn: str) -> bool:
    return _short(arn).startswith(PREFIX)


def _after(script: Script, previous: Previous, run_previous: bool) -> Script:
    if run_previous:
        return replace(script, previous=previous)
    # Not run, yet remembered: to detach is to have it back.
    return replace(script, previous=replace(previous, content=b"#!/bin/sh\n"))


def _about_previous(arn: str, run_previous: bool) -> str:
    if run_previous:
        return (
            f"only one runs by itself, so ours runs the script of {_short(arn)} first, as it is "
            "today, and keeps its exit code. It comes back when ours is detached."
        )
    return f"{_short(arn)} no longer runs (--replace). It comes back when ours is detached."


def _about(target: Target, app_type: str, description: Mapping[str, Any]) -> list[str]:
    found = ["apps that run now get it when they are started again."]
    if target.kind == "domain":
        found.append(
            f"user profiles and spaces with {app_type} settings of their own override the domain's."
        )
        if not description.get("DefaultSpaceSettings"):
            found.append("the domain has no settings for shared spaces; those get nothing.")
    if target.kind == "space" and app_type == "JupyterLab":
        found.append("whoever starts the space's app in Studio can choose another one there.")
    return found


def _missing(code: str, message: str) -> bool:
    # What is declared as ResourceNotFound comes as a ValidationException for some operations.
    return code in GONE or (code == "ValidationException" and bool(_MISSING.search(message)))


def _failed(operation: str, what: str, code: str, message: str) -> AttachError:
    if _missing(code, message):
        advice = "It does not exist in this account and region."
    else:
        found = (text for codes, text in _ADVICE if code in codes)
        advice = next(found, "Look the code up in SageMaker's API reference.")
    return AttachError(f"{operation} failed for {what}: {code}. {advice}")


_MISSING = re.compile(r"record ?not ?found|could not find|does not exist", re.IGNORECASE)

_ADVICE: tuple[tuple[Collection[str], str], ...] = (
    (DENIED, "See `jupyter auto-shutdown iam-policy --for administrator`."),
    (CREDENTIALS, "Check your credentials, as for the AWS command line."),
    (THROTTLED, "SageMaker asks for fewer calls; try again in a minute."),
    (UNREACHABLE, "Check the network, --region, and the VPC's endpoint for the SageMaker API."),
    (("ResourceInUse",), "It is being changed by somebody else; try again in a minute."),
    (("ParamValidationError",), "This boto3 is too old to know a setting: update it."),
    (("ValidationException",), "SageMaker refuses this request as it stands."),
)
