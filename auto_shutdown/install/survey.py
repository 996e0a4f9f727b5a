"""Looks at a whole domain: which user profiles and spaces have settings of their own, which
lifecycle configurations run where, which of them start another auto-stop tool, and which of ours
are attached nowhere. It changes nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..world.other_tools import tools_in
from .calls import Calls, name_of_arn
from .errors import AttachError
from .lifecycle import Script, read_script
from .names import PREFIX
from .plan import source_of
from .slots import slots
from .target import Target

#: SageMaker's quotas for Describe calls are of this order: seconds from call to
#: call, once there are many.
PACE_SECONDS = 0.2
MANY = 20


@dataclass(frozen=True)
class Use:
    """A lifecycle configuration in the settings of ``target``. ``by_itself``: it runs at each
    start; otherwise a user can choose it. ``in_our_slot``: ours would take its place."""

    target: Target
    app_type: str
    arn: str
    by_itself: bool
    in_our_slot: bool
    script: str = field(default="", repr=False)

    @property
    def ours(self) -> Script | None:
        return read_script(self.script)

    @property
    def tools(self) -> tuple[str, ...]:
        """Other auto-stop tools that it starts, also through a script that ours runs first."""
        script = self.ours
        if script is None:
            return tools_in(self.script)
        if script.previous is None:
            return ()
        return tools_in(script.previous.content.decode("utf-8", "replace"))


@dataclass(frozen=True)
class Survey:
    """What a domain holds, for one app type. ``own_settings`` are the user profiles and spaces with
    settings of their own; ``unread`` says what could not be looked at, and why."""

    domain_id: str
    app_type: str
    uses: tuple[Use, ...] = ()
    own_settings: tuple[Target, ...] = ()
    unread: tuple[str, ...] = ()


def look(
    calls: Calls, domain_id: str, app_type: str, sleep: Callable[[float], None] = time.sleep
) -> Survey:
    """Look at the domain, its user profiles and its spaces. A part that may not be read is named in
    ``unread``; nothing is raised for it."""
    found = Survey(domain_id, app_type)
    targets = [Target("domain", domain_id)]
    for nouns, kind in (("UserProfiles", "user-profile"), ("Spaces", "space")):
        try:
            listed = calls.list(nouns, f"domain {domain_id}", DomainIdEquals=domain_id)
        except AttachError as error:
            found = replace(found, unread=(*found.unread, str(error)))
            continue
        targets += [Target(kind, domain_id, each[f"{nouns[:-1]}Name"]) for each in listed]
    many = len(targets) > MANY
    if many:
        print(f"Looking at {len(targets)} user profiles and spaces …", file=sys.stderr)
    for target in targets:
        try:
            description = calls.describe(target)
            uses = tuple(_uses(calls, target, app_type, description))
        except AttachError as error:
            found = replace(found, unread=(*found.unread, str(error)))
            continue
        if target.kind != "domain" and _has_own_settings(target, app_type, description):
            found = replace(found, own_settings=(*found.own_settings, target))
        found = replace(found, uses=(*found.uses, *uses))
        if many:
            sleep(PACE_SECONDS)
    return found


def _has_own_settings(target: Target, app_type: str, description: Mapping[str, Any]) -> bool:
    return any(
        (description.get(slot.group) or {}).get(slot.block)
        for slot in slots(target.kind, app_type, description)
    )


def _uses(
    calls: Calls, target: Target, app_type: str, description: Mapping[str, Any]
) -> Iterator[Use]:
    for slot in slots(target.kind, app_type, description):
        block = (description.get(slot.group) or {}).get(slot.block) or {}
        ours = slot.current(description)
        default = (block.get("DefaultResourceSpec") or {}).get("LifecycleConfigArn")
        arns = [ours, default, *(block.get("LifecycleConfigArns") or [])]
        for arn in dict.fromkeys(arn for arn in arns if arn and arn != "None"):
            content = calls.content(arn)
            by_itself = arn in (ours, default)
            yield Use(target, app_type, arn, by_itself, arn == ours, content)


# -- sentences ------------------------------------------------------------------------------------


def about_overrides(survey: Survey) -> list[str]:
    """The user profiles and spaces on which the domain's setting has, or may have, no effect."""
    running: dict[str, list[str]] = {}
    unsure = []
    for target in survey.own_settings:
        uses = [use for use in survey.uses if use.target == target]
        built_in = survey.app_type == "JupyterLab"
        slot = next((use for use in uses if use.in_our_slot), None)
        if target.kind == "space" and built_in:
            if slot is not None and slot.ours is None:
                running.setdefault(f"{name_of_arn(slot.arn)} after the domain's", []).append(
                    _name(target)
                )
        elif slot is not None:
            running.setdefault(f"{name_of_arn(slot.arn)} in its place", []).append(_name(target))
        else:
            unsure.append(_name(target))
    found = [
        f"{_and(names)} {'runs' if len(names) == 1 else 'run'} {what}."
        for what, names in running.items()
    ]
    if any("in its place" in text for text in found):
        found.append("attach it to those, too, if they are to have it.")
    if unsure:
        found.append(
            f"{survey.app_type} settings of their own: {_and(unsure)}. AWS does not say whether "
            "they take the domain's lifecycle configuration nevertheless: look there after the "
            "next start, or attach it to them, too."
        )
    return found


def about_tools(uses: Iterable[Use], leaving: Iterable[str] = ()) -> list[str]:
    """The other auto-stop tools that lifecycle configurations start. ``leaving`` are the ARNs that
    the plan takes out."""
    left, found = set(leaving), []
    for use in uses:
        for tool in use.tools:
            if use.arn in left:
                continue
            how = "starts" if use.by_itself else "offers users"
            text = (
                f"{name_of_arn(use.arn)} ({_name(use.target)}) {how} {tool}. It deletes apps by "
                "rules of its own, warns nobody and knows no keep-alive, and both will run"
            )
            if use.in_our_slot:
                found.append(f"{text}: use --replace to leave it out.")
            else:
                found.append(f"{text}: take it out of these settings.")
    return list(dict.fromkeys(found))


def left_over(calls: Calls, surveys: Iterable[Survey], plan_frees: Iterable[str] = ()) -> list[str]:
    """The names of our lifecycle configurations that the surveys found nowhere, and those that a
    plan frees. Raises AttachError."""
    used = {use.arn for survey in surveys for use in survey.uses}
    freed = set(plan_frees)
    listed = calls.list("StudioLifecycleConfigs", "this region", NameContains=PREFIX)
    return [
        str(each["StudioLifecycleConfigName"])
        for each in listed
        if str(each["StudioLifecycleConfigName"]).startswith(PREFIX)
        and (
            each["StudioLifecycleConfigArn"] not in used
            or each["StudioLifecycleConfigArn"] in freed
        )
    ]


def delete_command(name: str, region: str) -> str:
    where = f" --region {region}" if region else ""
    return (
        f"aws sagemaker delete-studio-lifecycle-config --studio-lifecycle-config-name {name}{where}"
    )


def where_ours_run(survey: Survey) -> list[str]:
    """One line for each place where one of ours is attached."""
    found = []
    for use in survey.uses:
        script = use.ours
        if script is None or not use.in_our_slot:
            continue
        how = "attached as code or by hand" if script.as_code else "attached with --attach"
        found.append(f"{_name(use.target)}: {name_of_arn(use.arn)}, {how}.")
        found.append(f"  It installs {source_of(script)}")
        if script.previous is not None:
            found.append(f"  It runs {name_of_arn(script.previous.arn)} first.")
    return found


def _name(target: Target) -> str:
    kind = target.kind.replace("-", " ")
    return f"{kind} {target.name}" if target.name else f"domain {target.domain_id}"


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
