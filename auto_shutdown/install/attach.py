"""Attaches an ``on-start`` script to a domain, user profile or space, detaches it, updates it and
rolls it back: makes the plan first, then applies it.

A *slot* is the member of SageMaker's settings that names the lifecycle configuration which runs at
each start. Settings beside the slot stay as they are. If the slot already names a lifecycle
configuration, the new script runs the script of that configuration first. The new script records
which configuration it replaced, so a detachment needs no other record and works from any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from .calls import Calls, name_of_arn
from .errors import AttachError, UsageError
from .lifecycle import LEFT_OUT, Previous, Script, about_left_out, read_script, version_of
from .plan import Change, Plan, config_name
from .slots import Slot, app_type_of, slots
from .target import Target

APPS_GET_IT_LATER = "apps that run now get this change at their next start."


class Studio:
    """Makes and applies plans in one region. Every method raises AttachError when a call fails, and
    UsageError when the request cannot be fulfilled."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def plan_attach(self, target: Target, script: Script, run_previous: bool = True) -> Plan:
        """The plan that puts ``script`` into each slot of ``target``. Without ``run_previous`` the
        script does not run the lifecycle configuration that it replaces."""

        def change(slot: Slot, old: str | None) -> tuple[Change | None, list[str]]:
            return self._attach_to(slot, old, script, run_previous)

        return self._plan(target, script.platform, change, script)

    def plan_update(
        self, target: Target, platform: str, new_source: Callable[[Script], Script]
    ) -> Plan:
        """The plan that changes only the source of each attached script of this package.
        ``new_source`` returns its argument, an attached script, with the new source."""
        wanted: list[Script] = []

        def change(slot: Slot, old: str | None) -> tuple[Change | None, list[str]]:
            script = self._script(old)
            if script is None:
                return None, []
            wanted.append(new_source(replace(script, previous=None, replaces="", as_code=False)))
            return self._attach_to(slot, old, wanted[-1], run_previous=True)

        plan = self._plan(target, platform, change)
        if not wanted:
            raise UsageError(
                f"No lifecycle configuration of auto_shutdown is attached to {target}, so there is "
                "none to update. Use --attach."
            )
        return replace(plan, wanted=wanted[0])

    def plan_detach(self, target: Target, platform: str) -> Plan:
        """The plan that takes the script of this package out of each slot of ``target``, and
        restores the lifecycle configuration that had the slot before."""

        def change(slot: Slot, old: str | None) -> tuple[Change | None, list[str]]:
            script = self._script(old)
            if script is None:
                return None, []
            remarks = _about_code(script, old)
            before = script.previous.arn if script.previous else None
            if before and self._calls.find_config(name_of_arn(before)) is None:
                remarks.append(
                    f"{name_of_arn(before)}, which ran here before, does not exist any more; "
                    "no lifecycle configuration is put back."
                )
                before = None
            return Change(slot, old, new=before), remarks

        return self._plan(target, platform, change)

    def plan_roll_back(self, target: Target, platform: str) -> Plan:
        """The plan that restores, in each slot of ``target``, the script of this package that the
        present one replaced."""

        def change(slot: Slot, old: str | None) -> tuple[Change | None, list[str]]:
            script = self._script(old)
            if script is None or not script.replaces:
                return None, []
            before = self._calls.find_config(script.replaces)
            if before is None:
                raise UsageError(
                    f"{script.replaces}, which {name_of_arn(old)} replaced, was deleted. Attach "
                    "the earlier version again with --attach and --from."
                )
            text = self._calls.content(before)
            return Change(slot, old, before, script.replaces, text), _about_code(script, old)

        plan = self._plan(target, platform, change)
        if not plan.changes:
            raise UsageError(
                f"{target} has no earlier lifecycle configuration of auto_shutdown to go back to. "
                "To take the present one out, use --detach."
            )
        return replace(plan, wanted=read_script(plan.changes[0].script))

    def apply(self, plan: Plan) -> None:
        """Carry ``plan`` out. Reads the settings again first, and raises AttachError if they have
        changed since the plan was made."""
        groups = {change.slot.group for change in plan.changes}
        now = self._calls.describe(plan.target)
        if any(now.get(group) != plan.description.get(group) for group in groups):
            raise AttachError(
                f"The settings of {plan.target} have just changed, and the plan no longer fits. "
                "Run the command again."
            )
        settings: dict[str, Any] = {}
        for change in plan.changes:
            settings.setdefault(change.slot.group, {})[change.slot.block] = self._block(change, now)
        self._calls.update(plan.target, settings)

    def _block(self, change: Change, now: Mapping[str, Any]) -> dict[str, Any]:
        slot, old = change.slot, change.old
        if not change.script:
            assert old is not None
            return slot.take_out(now, old, change.new)
        arn = change.new or self._calls.create_config(change.name, slot.app_type, change.script)
        return slot.put(now, arn, old if self._script(old) is not None else None)

    # -- planning one slot --------------------------------------------------------------------

    def _plan(
        self,
        target: Target,
        platform: str,
        change_of: Callable[[Slot, str | None], tuple[Change | None, list[str]]],
        wanted: Script | None = None,
    ) -> Plan:
        app_type = app_type_of(platform)
        description = self._calls.describe(target)
        changes: list[Change] = []
        remarks: list[str] = []
        for slot in slots(target.kind, app_type, description):
            change, about = change_of(slot, slot.current(description))
            remarks += about
            if change is not None:
                changes.append(change)
        if changes:
            remarks += [APPS_GET_IT_LATER, *_about_slots(target, app_type, description)]
        return Plan(target, tuple(changes), _each_once(remarks), description, wanted)

    def _attach_to(
        self, slot: Slot, old: str | None, script: Script, run_previous: bool
    ) -> tuple[Change | None, list[str]]:
        present = self._script(old)
        remarks = [] if present is None else _about_code(present, old)
        attached = script
        if present is not None:
            # The new script runs the same other script first as the present one does.
            if present.previous is not None:
                # A script that an earlier --replace left out stays left out.
                previous = present.previous
                if not run_previous:
                    previous = replace(previous, content=LEFT_OUT)
                if previous.is_left_out:
                    remarks.append(about_left_out(previous.arn))
                attached = replace(script, previous=previous)
            unchanged = replace(attached, replaces=present.replaces, as_code=present.as_code)
            if old is not None and unchanged.render() == self._calls.content(old):
                return None, []
            attached = replace(attached, replaces=name_of_arn(old))
        elif old is not None:
            content = self._calls.content(old).encode("utf-8", "surrogateescape")
            previous = Previous(old, content if run_previous else LEFT_OUT)
            attached = replace(script, previous=previous)
            remarks.append(_about_previous(old, run_previous))
        text = attached.render()
        name = config_name(script.platform, version_of(script.source), text)
        return Change(slot, old, self._calls.find_config(name), name, text), remarks

    def _script(self, arn: str | None) -> Script | None:
        """The parts of the script at ``arn``; None for no script, or one of another origin."""
        return None if arn is None else read_script(self._calls.content(arn))


def _about_code(script: Script, arn: str | None) -> list[str]:
    if not script.as_code:
        return []
    text = (
        f"{name_of_arn(arn)} was attached as code (Terraform, CloudFormation, CDK) or by hand, not "
        "with --attach. Change it there as well: the next apply of that stack undoes this."
    )
    return [text]


def _about_previous(arn: str, run_previous: bool) -> str:
    if run_previous:
        return (
            "SageMaker runs one lifecycle configuration at each start. So the new script contains "
            f"a copy of {name_of_arn(arn)}, runs it first, and returns its exit code. --detach "
            f"restores {name_of_arn(arn)}."
        )
    return about_left_out(arn)


def _about_slots(target: Target, app_type: str, description: Mapping[str, Any]) -> list[str]:
    if target.kind == "domain" and not description.get("DefaultSpaceSettings"):
        return [
            "the domain has no settings for shared spaces, so shared spaces do not get the script."
        ]
    if target.kind == "space" and app_type == "JupyterLab":
        return ["a user who starts the app of the space can choose another script in Studio."]
    return []


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
