"""``--show``: the scripts that are attached in a domain, and their *drift*: how they differ from
the script that ``--attach`` attached, or from the script that the options describe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .calls import Calls, name_of_arn
from .domain_survey import (
    Survey,
    Use,
    about_attached,
    about_left_over,
    about_tools,
    left_over,
    survey_domain,
)
from .errors import AttachError
from .lifecycle import Script, read_script
from .overrides import about_overrides, scripts_in_own_settings
from .target import Target


@dataclass(frozen=True)
class Wanted:
    """The script that the options of ``--show`` describe."""

    script: Script

    def differences(self, present: Script) -> Iterator[str]:
        """One phrase for each difference of ``present`` from the wanted script."""
        for name in ("source", "sha256", "index_url", "environment"):
            here, there = getattr(present, name), getattr(self.script, name)
            if here != there:
                yield f"{name} is {here or 'nothing'} and should be {there or 'nothing'}"
        have, want = dict(present.configuration), dict(self.script.configuration)
        for name in sorted({*have, *want}):
            if have.get(name) != want.get(name) or (name in have) != (name in want):
                yield f"{name} is {_shown(have, name)} and should be {_shown(want, name)}"


@dataclass(frozen=True)
class Page:
    """The report on one target: sentences for a person. ``attached`` names the scripts of this
    package that run there, and ``drifts`` how they differ from the attached or wanted script."""

    target: Target
    region: str
    attached: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    drifts: list[str] = field(default_factory=list)

    def text(self) -> list[str]:
        return [
            f"-- {self.target} ({self.region})",
            *(self.attached or ["No lifecycle configuration of auto_shutdown is attached."]),
            *(f"Note: {text}" for text in self.remarks),
            *(f"Drift: {text}" for text in self.drifts),
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "target": str(self.target),
            "region": self.region,
            "attached": self.attached,
            "remarks": self.remarks,
            "drifts": self.drifts,
        }


def describe_attached(
    calls: Calls, target: Target, app_type: str, wanted: Wanted | None = None
) -> Page:
    """Survey the domain of ``target``, and report on the target. A part of the domain that cannot
    be read becomes a remark. Raises AttachError if the target itself cannot be read."""
    calls.describe(target)
    survey = survey_domain(calls, target.domain_id, app_type)
    if target.kind != "domain":
        uses = tuple(use for use in survey.uses if use.target == target)
        survey = replace(survey, uses=uses, own_settings=())
    ours = [name_of_arn(use.arn) for use in survey.uses if use.own_script]
    remarks = [
        *about_overrides(survey, ours),
        *(_other_settings(survey, wanted) if wanted and target.kind == "domain" else ()),
        *about_tools(survey.uses),
        *survey.unread,
    ]
    drifts = list(_drifts(survey, target, wanted))
    if target.kind == "domain":
        try:
            names = left_over(calls, [survey])
            remarks += about_left_over(names, calls.region)
            for name in names:
                drifts += _newer(calls, survey, name)
        except AttachError as error:
            remarks.append(
                f"the lifecycle configurations of auto_shutdown could not be listed: {error}"
            )
    return Page(target, calls.region, about_attached(survey), remarks, drifts)


def _drifts(survey: Survey, target: Target, wanted: Wanted | None) -> Iterator[str]:
    if wanted is None:
        return
    here = [use for use in survey.uses if use.target == target and use.in_slot]
    if not any(use.own_script for use in here):
        yield f"{target} should run auto_shutdown, but {_instead(here)} runs there."
    for use in here:
        for difference in wanted.differences(use.own_script) if use.own_script else ():
            yield f"{name_of_arn(use.arn)}: {difference}."


def _other_settings(survey: Survey, wanted: Wanted) -> Iterator[str]:
    """A sentence on each user profile or space whose own script of this package differs from the
    wanted one. This may be intended, so it is no drift of the domain."""
    for target, script in scripts_in_own_settings(survey):
        differences = list(wanted.differences(script))
        if differences:
            yield f"{target.title} has a script of its own: {'; '.join(differences)}."


def _instead(uses: list[Use]) -> str:
    return name_of_arn(uses[0].arn) if uses else "nothing"


def _newer(calls: Calls, survey: Survey, name: str) -> Iterator[str]:
    """A sentence if the unattached configuration ``name`` once replaced a configuration that runs
    now: somebody has put the older one back since ``--attach``."""
    arn = calls.find_config(name)
    script = read_script(calls.content(arn)) if arn else None
    if script is None or script.as_code or not script.replaces:
        return
    running = {name_of_arn(use.arn) for use in survey.uses if use.in_slot}
    before = script.replaces
    if before in running:
        yield (
            f"{name} was attached with --attach in the place of {before}, but {before} runs again. "
            "Somebody put it back with --rollback, in the console, or with a stack (Terraform, "
            "CloudFormation, CDK). If a stack manages this domain, change the configuration there."
        )


def _shown(configuration: dict[str, Any], name: str) -> str:
    return json.dumps(configuration[name]) if name in configuration else "not set"
