"""Plans to attach an ``on-start`` script to a domain, user profile or space, to detach it, to
update it and to roll it back; and carries such a plan out.

Everything that was there before stays: settings beside the slot are not touched, and the lifecycle
configuration that had the slot is run first by ours. The script itself records what it replaced, so
that it can be undone from any machine, years later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from .calls import Calls, name_of_arn
from .errors import AttachError, UsageError
from .lifecycle import LEFT_OUT, Previous, Script, about_left_out, read_script, version_of
from .names import APP_TYPES
from .plan import Change, Plan, config_name
from .slots import Slot, slots
from .target import Target

APPS_GET_IT_LATER = "apps that run now get it when they are started again."


class Studio:
    """Plans and changes of one region. Every method raises AttachError and UsageError."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def plan_attach(self, target: Target, script: Script, run_previous: bool = True) -> Plan:
        """Put ``script`` into each slot of ``target``."""

        def change(slot: Slot, old: str | None) -> tuple[Change | None, list[str]]:
            return self._attach_to(slot, old, script, run_previous)

        return self._plan(target, script.platform, change, script)

    def plan_update(
        self, target: Target, platform: str, new_source: Callable[[Script], Script]
    ) -> Plan:
        """Give each configuration of ours another source, as ``new_source`` says, and leave the
        rest of it as it is."""
        wanted: list[Script] = []

        def change(slot: Slot, old: str | None) -> tuple[Change | None, list[str]]:
            script = self._script(old)
            if script is None:
                return None, []
            wanted.append(new_source(replace(script, previous=None, replaces="", as_code=False)))
            return self._attach_to(slot, old, wanted[-1], run_previous=True)

        plan = self._plan(target, platform, change)
        if not wanted:
            raise UsageError(f"{target} has no configuration of ours to update: use --attach.")
        return replace(plan, wanted=wanted[0])

    def plan_detach(self, target: Target, platform: str) -> Plan:
        """Take ours out of each slot of ``target``, and put back what was there before."""

        def change(slot: Slot, old: str | None) -> tuple[Change | None, list[str]]:
            script = self._script(old)
            if script is None:
                return None, []
            remarks = _about_code(script, old)
            before = script.previous.arn if script.previous else None
            if before and self._calls.find_config(name_of_arn(before)) is None:
                remarks.append(
                    f"{name_of_arn(before)}, which ran here before, does not exist any more; "
                    "nothing is put back."
                )
                before = None
            return Change(slot, old, new=before), remarks

        return self._plan(target, platform, change)

    def plan_roll_back(self, target: Target, platform: str) -> Plan:
        """Put back the configuration of ours that the present one replaced."""

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
                f"{target} has no earlier configuration of ours to go back to: --detach takes the "
                "present one out."
            )
        return replace(plan, wanted=read_script(plan.changes[0].script))

    def apply(self, plan: Plan) -> None:
        """Carry ``plan`` out. Looks again first: a change since the plan is not overwritten."""
        groups = {change.slot.group for change in plan.changes}
        now = self._calls.describe(plan.target)
        if any(now.get(group) != plan.description.get(group) for group in groups):
            raise AttachError(f"The settings of {plan.target} have just changed; try again.")
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
        app_type = APP_TYPES.get(platform)
        if app_type is None:
            raise UsageError(
                "A notebook instance takes one lifecycle configuration, by name: put this script "
                "into its on-start script (docs/administrators.md)."
            )
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
        kept = script
        if present is not None:
            # A newer one of ours takes over what the present one runs first.
            if present.previous is not None:
                # A script that an earlier --replace left out stays left out.
                previous = present.previous
                if not run_previous:
                    previous = replace(previous, content=LEFT_OUT)
                if previous.is_left_out:
                    remarks.append(about_left_out(previous.arn))
                kept = replace(script, previous=previous)
            unchanged = replace(kept, replaces=present.replaces, as_code=present.as_code)
            if old is not None and unchanged.render() == self._calls.content(old):
                return None, []
            kept = replace(kept, replaces=name_of_arn(old))
        elif old is not None:
            content = self._calls.content(old).encode("utf-8", "surrogateescape")
            kept = replace(script, previous=Previous(old, content if run_previous else LEFT_OUT))
            remarks.append(_about_previous(old, run_previous))
        text = kept.render()
        name = config_name(script.platform, version_of(script.source), text)
        return Change(slot, old, self._calls.find_config(name), name, text), remarks

    def _script(self, arn: str | None) -> Script | None:
        """The parts of the script at ``arn`` if it is one of ours."""
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
            f"only one runs by itself, so ours runs the script of {name_of_arn(arn)} first, as it "
            "is today, and keeps its exit code. It comes back when ours is detached."
        )
    return about_left_out(arn)


def _about_slots(target: Target, app_type: str, description: Mapping[str, Any]) -> list[str]:
    if target.kind == "domain" and not description.get("DefaultSpaceSettings"):
        return ["the domain has no settings for shared spaces; those get nothing."]
    if target.kind == "space" and app_type == "JupyterLab":
        return ["a user who starts the space's app in Studio can choose another one there."]
    return []


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
