"""Attaches, detaches, updates and rolls back on many targets: one plan for all, one question, and a
failure of one target does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .attach import Studio
from .calls import Calls
from .domain_survey import Survey, about_left_over, about_tools, left_over, survey_domain
from .errors import AttachError, UsageError
from .names import APP_TYPES
from .overrides import (
    about_other_versions,
    about_overrides,
    about_remaining,
    about_same_version,
)
from .plan import Plan
from .target import Target, choose, split

#: Makes the plan of one target.
PlanMaker = Callable[[Studio, Target], Plan]


@dataclass
class Job:
    """One target, its plan, and the result: ``applied``, or the ``error`` of the plan or of the
    change. ``domain_remarks`` are sentences about the domain as a whole. Only the first job of a
    domain has them."""

    calls: Calls
    target: Target
    plan: Plan | None = None
    error: str = ""
    applied: bool = False
    domain_remarks: list[str] = field(default_factory=list)

    @property
    def has_changes(self) -> bool:
        return self.plan is not None and bool(self.plan.changes)

    def lines(self) -> list[str]:
        """The plan and the remarks on the domain, for a person."""
        return self.plan_lines() + self.remark_lines()

    def plan_lines(self) -> list[str]:
        """The plan alone, or the reason why there is none."""
        return [f"Not planned: {self.error}"] if self.plan is None else self.plan.lines()

    def remark_lines(self) -> list[str]:
        """The remarks on the domain alone."""
        return [f"Note: {remark}" for remark in self.domain_remarks]

    def to_json(self) -> dict[str, Any]:
        return {
            "target": str(self.target),
            "region": self.calls.region,
            "plan": self.lines(),
            "changes": len(self.plan.changes) if self.plan else 0,
            "applied": self.applied,
            "error": self.error,
        }


def select(
    make_calls: Callable[[str], Calls], kind: str, regions: str, domains: str, names: str
) -> tuple[list[Job], list[str]]:
    """A job for each target of ``kind`` that the options choose, and the errors of the regions in
    which the targets could not be listed. ``regions``, ``domains`` and ``names`` are names and
    patterns, separated by commas. Raises UsageError or AttachError when no target is left."""
    if not domains or (kind != "domain" and not names):
        needed = "--domain" if kind == "domain" else f"--domain and --{kind}"
        raise UsageError(f"To choose a {kind.replace('-', ' ')}, this command needs {needed}.")
    jobs: list[Job] = []
    errors: list[AttachError | UsageError] = []
    for region in split(regions) or [""]:
        try:
            calls = make_calls(region)
            for domain in choose(split(domains), f"domain in {calls.region}", _domains(calls)):
                jobs += [Job(calls, target) for target in _targets(calls, kind, domain, names)]
        except (AttachError, UsageError) as error:
            errors.append(error)
    if not jobs:
        raise type(errors[0])(" ".join(map(str, errors)))
    return jobs, [str(error) for error in errors]


def _domains(calls: Calls) -> Callable[[], Iterable[tuple[str, ...]]]:
    """Lists the domains of the region: the id and the name of each."""
    return lambda: [
        (str(each["DomainId"]), str(each.get("DomainName", ""))) for each in calls.list("Domains")
    ]


def _targets(calls: Calls, kind: str, domain: str, names: str) -> Iterator[Target]:
    if kind == "domain":
        yield Target(kind, domain)
        return
    nouns = {"user-profile": "UserProfiles", "space": "Spaces"}[kind]

    def known() -> Iterable[tuple[str, ...]]:
        listed = calls.list(nouns, f"domain {domain}", DomainIdEquals=domain)
        return [(str(each[f"{nouns[:-1]}Name"]),) for each in listed]

    noun = kind.replace("-", " ")
    for name in choose(split(names), f"{noun} of domain {domain}", known):
        yield Target(kind, domain, name)


def make_plans(
    jobs: Iterable[Job], make_plan: PlanMaker, action: str, platform: str, replace: bool
) -> None:
    """Plan ``action`` (attach, detach, update or rollback) for each job, and survey the domains of
    the jobs with changes. The job keeps the error of its plan. Raises AttachError or
    UsageError if the only job cannot be planned."""
    jobs = list(jobs)
    for job in jobs:
        try:
            job.plan = make_plan(Studio(job.calls), job.target)
        except (AttachError, UsageError) as error:
            if len(jobs) == 1:
                raise
            job.error = str(error)
    _add_domain_remarks(jobs, action, platform, replace)


def _add_domain_remarks(jobs: list[Job], action: str, platform: str, replace: bool) -> None:
    """Survey each domain once, and give the remarks on it to its first job."""
    domains: dict[tuple[int, str], list[Job]] = {}
    for job in jobs:
        if job.has_changes:
            domains.setdefault((id(job.calls), job.target.domain_id), []).append(job)
    for group in domains.values():
        calls, domain_id = group[0].calls, group[0].target.domain_id
        survey = survey_domain(calls, domain_id, APP_TYPES[platform])
        group[0].domain_remarks = list(_domain_remarks(calls, survey, group, action, replace))


def _domain_remarks(
    calls: Calls, survey: Survey, jobs: Iterable[Job], action: str, replace: bool
) -> Iterator[str]:
    """Sentences for the administrator: the effects of the plans of ``jobs`` on the rest of the
    domain, as the survey shows them."""
    planned = {job.target: job.plan for job in jobs if job.plan is not None}
    attaches = any(change.script for plan in planned.values() for change in plan.changes)
    for target, plan in planned.items():
        if target.kind == "domain":
            yield from _about_own_settings(survey, plan, action)
    if attaches:
        taken_out = [c.old for plan in planned.values() for c in plan.changes if c.old and replace]
        yield from about_tools(survey.uses, taken_out)
    for text in survey.unread:
        yield f"the plan may leave something out, because a part could not be read: {text}"
    freed = {(target, change.old) for target, plan in planned.items() for change in plan.changes}
    stays = {use.arn for use in survey.uses if (use.target, use.arn) not in freed}
    try:
        names = left_over(calls, [survey], {arn for _, arn in freed if arn and arn not in stays})
    except AttachError as error:
        yield f"the lifecycle configurations of auto_shutdown could not be listed: {error}"
        return
    kept = {change.name for plan in planned.values() for change in plan.changes}
    also = ", and as long as you may want to use --rollback" if attaches else ""
    advice = f"Keep each while apps run that were started with it{also}."
    yield from about_left_over([n for n in names if n not in kept], calls.region, advice)


def _about_own_settings(survey: Survey, plan: Plan, action: str) -> Iterator[str]:
    """Sentences on the user profiles and spaces on which the ``plan`` of their domain has no
    effect, and on the option that carries out ``action`` there."""
    if action == "attach":
        yield from about_overrides(survey, [change.name for change in plan.changes])
    elif action == "update" and plan.wanted is not None:
        yield from about_other_versions(survey, plan.wanted)
    elif action == "rollback":
        yield from about_same_version(survey)
    elif action == "detach":
        yield from about_remaining(survey)


def carry_out(jobs: Iterable[Job]) -> None:
    """Apply each plan with changes. The job keeps the error of a failed change."""
    for job in jobs:
        if job.plan is None or not job.plan.changes:
            continue
        try:
            Studio(job.calls).apply(job.plan)
        except (AttachError, UsageError) as error:
            job.error = str(error)
        else:
            job.applied = True
