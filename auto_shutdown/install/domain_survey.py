"""Reads the settings of a whole domain, and changes nothing: which user profiles and spaces have
settings of their own, which lifecycle configurations run where, which of them start another
auto-stop tool, and which of this package's configurations are attached nowhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..world.other_tools import tools_in
from .calls import Calls, name_of_arn
from .errors import AttachError
from .lifecycle import Script, about_left_out, read_script
from .names import PREFIX
from .plan import source_of
from .slots import slots
from .target import Target

#: Seconds between two Describe calls. SageMaker's quotas for these calls are a few a second.
PACE_SECONDS = 0.2

#: With more user profiles and spaces than this, the calls are paced, and the command says that it
#: reads.
MANY = 20


@dataclass(frozen=True)
class Use:
    """A lifecycle configuration in the settings of ``target``. ``group`` is the member of the
    target's description that names it, such as ``DefaultUserSettings``. ``by_itself`` says that
    SageMaker runs it at each start; otherwise a user can choose it. ``in_slot`` says that it is
    in the slot that ``--attach`` uses. ``script`` is its text."""

    target: Target
    app_type: str
    arn: str
    by_itself: bool
    in_slot: bool
    group: str
    script: str = field(default="", repr=False)

    @property
    def own_script(self) -> Script | None:
        """The parts of the script if this package made it, else None."""
        return read_script(self.script)

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the other auto-stop tools that the script starts. A script of this package
        starts them only through the other script that it runs first."""
        script = self.own_script
        if script is None:
            return tools_in(self.script)
        if script.previous is None:
            return ()
        return tools_in(script.previous.content.decode("utf-8", "replace"))


@dataclass(frozen=True)
class Survey:
    """The lifecycle configurations of a domain, for one app type. ``own_settings`` are the user
    profiles and spaces with settings of their own; ``unread`` are the errors of the parts that
    could not be read."""

    domain_id: str
    app_type: str
    uses: tuple[Use, ...] = ()
    own_settings: tuple[Target, ...] = ()
    unread: tuple[str, ...] = ()

    def own_scripts(self) -> Iterator[tuple[Use, Script]]:
        """The scripts of this package in the slots that ``--attach`` uses."""
        for use in self.uses:
            script = use.own_script
            if script is not None and use.in_slot:
                yield use, script


def survey_domain(
    calls: Calls, domain_id: str, app_type: str, sleep: Callable[[float], None] = time.sleep
) -> Survey:
    """Read the settings of the domain, its user profiles and its spaces. The error of a part that
    cannot be read is in ``unread``; this function raises nothing."""
    survey = Survey(domain_id, app_type)
    targets = [Target("domain", domain_id)]
    for nouns, kind in (("UserProfiles", "user-profile"), ("Spaces", "space")):
        try:
            listed = calls.list(nouns, f"domain {domain_id}", DomainIdEquals=domain_id)
        except AttachError as error:
            survey = replace(survey, unread=(*survey.unread, str(error)))
            continue
        targets += [Target(kind, domain_id, each[f"{nouns[:-1]}Name"]) for each in listed]
    many = len(targets) > MANY
    if many:
        print(f"Reading {len(targets)} user profiles and spaces …", file=sys.stderr)
    for target in targets:
        try:
            description = calls.describe(target)
            uses = tuple(_uses(calls, target, app_type, description))
        except AttachError as error:
            survey = replace(survey, unread=(*survey.unread, str(error)))
            continue
        if target.kind != "domain" and _has_own_settings(target, app_type, description):
            survey = replace(survey, own_settings=(*survey.own_settings, target))
        survey = replace(survey, uses=(*survey.uses, *uses))
        if many:
            sleep(PACE_SECONDS)
    return survey


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
        in_slot = slot.current(description)
        default = (block.get("DefaultResourceSpec") or {}).get("LifecycleConfigArn")
        arns = [in_slot, default, *(block.get("LifecycleConfigArns") or [])]
        for arn in dict.fromkeys(arn for arn in arns if arn and arn != "None"):
            content = calls.content(arn)
            by_itself = arn in (in_slot, default)
            yield Use(target, app_type, arn, by_itself, arn == in_slot, slot.group, content)


# -- sentences ------------------------------------------------------------------------------------


def about_tools(uses: Iterable[Use], leaving: Iterable[str] = ()) -> list[str]:
    """Sentences on the other auto-stop tools that lifecycle configurations start. ``leaving`` are
    the ARNs that the plan takes out."""
    left, sentences = set(leaving), []
    for use in uses:
        for tool in use.tools:
            if use.arn in left:
                continue
            how = "starts" if use.by_itself else "offers users"
            text = (
                f"{name_of_arn(use.arn)} ({use.target.title}) {how} {tool}. It deletes apps by "
                "rules of its own, without a warning and without keep-alives, and both will run"
            )
            if use.in_slot:
                sentences.append(f"{text}: use --replace to leave it out.")
            else:
                sentences.append(
                    f"{text}: take it out of {use.group}.{use.app_type}AppSettings there."
                )
    return list(dict.fromkeys(sentences))


def left_over(calls: Calls, surveys: Iterable[Survey], plan_frees: Iterable[str] = ()) -> list[str]:
    """The names of this package's lifecycle configurations in the region that no survey found in
    any setting, and of those that a plan takes out (``plan_frees``, ARNs). Raises AttachError."""
    used = {use.arn for survey in surveys for use in survey.uses}
    freed = set(plan_frees)
    listed = calls.list("StudioLifecycleConfigs", NameContains=PREFIX)
    return [
        str(each["StudioLifecycleConfigName"])
        for each in listed
        if str(each["StudioLifecycleConfigName"]).startswith(PREFIX)
        and (
            each["StudioLifecycleConfigArn"] not in used
            or each["StudioLifecycleConfigArn"] in freed
        )
    ]


def about_left_over(names: Sequence[str], region: str, advice: str = "") -> list[str]:
    """One sentence on all of ``names``, which are attached nowhere in the domain, and the commands
    that delete them. An administrator who has updated often has many. ``advice``: the sentence is
    part of a plan, and this advice belongs to it. No sentence if there are none."""
    if not names:
        return []
    then = " then" if advice else ""
    where = f" --region {region}" if region else ""
    command = "aws sagemaker delete-studio-lifecycle-config --studio-lifecycle-config-name"
    before = f" {advice}" if advice else ""
    if len(names) == 1:
        text = f"{names[0]} is{then} attached nowhere in this domain.{before}"
        return [f"{text} To delete it: {command} {names[0]}{where}"]
    text = (
        f"{len(names)} lifecycle configurations of auto_shutdown are{then} attached nowhere in "
        f"this domain: {', '.join(names)}.{before} To delete one: {command} NAME{where} To delete "
        "all that are attached nowhere in the region: jupyter auto-shutdown lifecycle-config "
        f"--delete-unused{where}"
    )
    return [text]


def about_attached(survey: Survey) -> list[str]:
    """Sentences on each place where a script of this package is attached: what it installs, and
    which other script it runs first."""
    groups: dict[tuple[Target, str], list[str]] = {}
    scripts: dict[str, Script] = {}
    for use, script in survey.own_scripts():
        groups.setdefault((use.target, use.arn), []).append(use.group)
        scripts[use.arn] = script
    sentences = []
    for (target, arn), where in groups.items():
        script = scripts[arn]
        how = "attached as code or by hand" if script.as_code else "attached with --attach"
        sentences.append(f"{target.title} ({', '.join(where)}): {name_of_arn(arn)}, {how}.")
        sentences.append(f"  It installs {source_of(script)}")
        if script.previous is not None and script.previous.is_left_out:
            sentences.append(f"  {about_left_out(script.previous.arn)}")
        elif script.previous is not None:
            sentences.append(f"  It runs {name_of_arn(script.previous.arn)} first.")
    return sentences
