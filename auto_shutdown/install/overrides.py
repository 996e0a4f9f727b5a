"""Sentences on the user profiles and spaces whose own settings decide which lifecycle configuration
runs there. A change of the domain's settings has no effect on them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from .calls import name_of_arn
from .domain_survey import Survey, Use
from .lifecycle import Script
from .target import Target


def about_overrides(survey: Survey, names: Iterable[str] = ()) -> Iterator[str]:
    """Sentences on the user profiles and spaces on which the domain's setting has, or may have, no
    effect, and on the option that attaches the script to them. It leaves out those that run a
    lifecycle configuration of ``names`` already."""
    running = set(names)
    instead: list[Target] = []
    unsure: list[Target] = []
    for target in survey.own_settings:
        slot = next((use for use in survey.uses if use.target == target and use.in_slot), None)
        if slot is not None and name_of_arn(slot.arn) in running:
            continue
        if target.kind == "space" and survey.app_type == "JupyterLab":
            if slot is not None and slot.own_script is None:
                yield (
                    f"{_runs(slot)} after the lifecycle configuration of the domain or of the "
                    "user profile, so it needs no script of its own."
                )
        elif slot is None:
            unsure.append(target)
        else:
            yield f"{_runs(slot)} instead of the domain's lifecycle configuration."
            instead.append(target)
    if instead:
        yield (
            f"To attach the script to these as well, use {_options('attach', instead)} with the "
            "same settings."
        )
    if unsure:
        has = "has its own" if len(unsure) == 1 else "have their own"
        yield (
            f"{_names(unsure)} {has} {survey.app_type} settings. AWS does not document whether the "
            "domain's lifecycle configuration then runs. To be sure, use "
            f"{_options('attach', unsure)} with the same settings as well."
        )


def about_other_versions(survey: Survey, wanted: Script) -> Iterator[str]:
    """For ``--update`` of a domain to ``wanted``: a sentence on the user profiles and spaces whose
    own script of this package installs something else."""
    yield from _about_own_scripts(
        [
            target
            for target, script in scripts_in_own_settings(survey)
            if _installs(script) != _installs(wanted)
        ],
        "update",
        "{names} {have} a script of auto_shutdown that this update does not change.",
    )


def about_same_version(survey: Survey) -> Iterator[str]:
    """For ``--rollback`` of a domain: a sentence on the user profiles and spaces whose own script
    of this package installs what the domain's script installs."""
    bad = {_installs(script) for use, script in survey.own_scripts() if use.target.kind == "domain"}
    yield from _about_own_scripts(
        [target for target, script in scripts_in_own_settings(survey) if _installs(script) in bad],
        "rollback",
        "{names} {have} a script of auto_shutdown that installs the same version.",
    )


def about_remaining(survey: Survey) -> Iterator[str]:
    """For ``--detach`` from a domain: a sentence on the user profiles and spaces to which this
    package's script stays attached."""
    yield from _about_own_scripts(
        [target for target, _ in scripts_in_own_settings(survey)],
        "detach",
        "{names} {have} a script of auto_shutdown that stays.",
    )


def scripts_in_own_settings(survey: Survey) -> Iterator[tuple[Target, Script]]:
    """The scripts of this package in the settings of user profiles and spaces."""
    for use, script in survey.own_scripts():
        if use.target.kind != "domain":
            yield use.target, script


def _about_own_scripts(found: list[Target], action: str, sentence: str) -> Iterator[str]:
    targets = list(dict.fromkeys(found))
    if targets:
        have = "has" if len(targets) == 1 else "have"
        yield (
            f"{sentence.format(names=_names(targets), have=have)} To {_VERBS[action]} there as "
            f"well, use {_options(action, targets)}."
        )


_VERBS = {"update": "update it", "rollback": "roll back", "detach": "detach it"}


def _installs(script: Script) -> tuple[str, str]:
    return script.source, script.sha256


def _runs(use: Use) -> str:
    return f"{use.target.title} runs {name_of_arn(use.arn)}"


def _options(action: str, targets: list[Target]) -> str:
    """The options of ``lifecycle-config`` that carry out ``action`` on ``targets``."""
    names: dict[str, list[str]] = {}
    for target in targets:
        names.setdefault(target.kind, []).append(target.name)
    return " and ".join(
        f"--{action} {kind} --{kind} {shlex.quote(','.join(each))}" for kind, each in names.items()
    )


def _names(targets: list[Target]) -> str:
    names = [target.title for target in targets]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
