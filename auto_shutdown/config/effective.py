"""The policy that applies: the user's settings within the administrator's limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ..core.policy import Policy, Rule
from ..core.translatable import joined, sentence
from .settings import (
    FIELDS,
    GLOBS,
    REMEMBER_STOPPED,
    KeepsMore,
    Limits,
    Problem,
    SettingError,
    is_finite_number,
    minute_bounds,
    validate,
)

#: The settings that determine a kernel's limit. If the administrator has locked all of them, the
#: limit in a kernelspec can only shorten the limit of the policy.
_KERNEL_LIMITS = ("idle_timeout_minutes", "kernel_idle_timeout_minutes", "rules")


def merge(limits: Limits, user: Mapping[str, Any]) -> tuple[Policy, list[Problem]]:
    """Merge the user's stored settings with the administrator's limits. Returns the policy that
    applies, and a Problem for each stored value that does not apply.

    A locked setting has the administrator's value. The nearest allowed value replaces a stored
    value outside the limits; the default replaces an invalid value.
    """
    settings: dict[str, Any] = {}
    problems: list[Problem] = []
    for name in FIELDS:
        settings[name] = limits.defaults[name]
        if name not in user or name in limits.locked:
            continue
        try:
            settings[name] = validate(name, user[name], limits)
        except SettingError as error:
            settings[name] = _nearest(name, user[name], limits)
            instead = sentence("%1 applies instead.", repr(settings[name]))
            message = joined(str(error), instead)
            problems.append(Problem(name, message))
    return _policy(settings, limits), problems


def most_careful_settings(limits: Limits) -> dict[str, Any]:
    """The settings that remove least, for a user whose own settings could not be read.

    Locked settings are left out. Otherwise a user could damage the file to evade a lock.
    """
    longest = limits.max_idle_timeout_minutes
    # ``enabled`` and ``warn_minutes`` stay as they are, although other values could keep more.
    # While the user's settings are unknown, nothing is removed anyway unless the administrator
    # locked ``enabled``. A longer ``warn_minutes`` would only delay a removal that the
    # administrator wants.
    settings: dict[str, Any] = {
        name: longest if field.kind == "idle" else True
        for name, field in FIELDS.items()
        if field.kind == "idle" or field.keeps_more is KeepsMore.ON
    }
    settings["rules"] = [{glob: "*", "idle_timeout_minutes": longest} for glob in GLOBS]
    settings[REMEMBER_STOPPED] = False  # the user may not want the code of cells on disk
    return {name: value for name, value in settings.items() if name not in limits.locked}


def part_that_keeps_more(
    changes: Mapping[str, Any], user: Mapping[str, Any], limits: Limits
) -> dict[str, Any]:
    """The part of the validated ``changes`` to ``user``'s settings that can only keep more
    resources.

    This part may take effect before it is on disk. It never contains a change of the rules, because
    a rule can both shorten and lengthen limits.
    """
    careful: dict[str, Any] = {}
    for name, value in changes.items():
        before, after = (
            merge(limits, {k: v for k, v in each.items() if v is not None})[0]
            for each in ({**user, **careful}, {**user, **careful, name: value})
        )
        if before.settings != after.settings and _keeps_no_less(after.settings, before.settings):
            careful[name] = value
    return careful


def _keeps_no_less(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the settings ``one`` keep every resource that the settings ``other`` keep."""
    return all(
        _at_least(field.keeps_more, _in_force(one, name), _in_force(other, name))
        for name, field in FIELDS.items()
    )


def _in_force(settings: Mapping[str, Any], name: str) -> Any:
    """The value of a setting. Null means the value of ``idle_timeout_minutes``."""
    value = settings[name]
    return settings["idle_timeout_minutes"] if value is None else value


def _at_least(keeps_more: KeepsMore, value: Any, other: Any) -> bool:
    """Whether a setting with ``value`` keeps all that it keeps with ``other``."""
    if keeps_more is KeepsMore.NO_EFFECT:
        return True
    if keeps_more is KeepsMore.INCOMPARABLE:
        return bool(value == other)
    return bool(value <= other if keeps_more is KeepsMore.OFF else value >= other)


def _nearest(name: str, value: Any, limits: Limits) -> Any:
    if FIELDS[name].kind == "idle" and is_finite_number(value):
        low, high = minute_bounds("idle", limits)
        return min(max(value, low), high)
    return limits.defaults[name]


def _policy(settings: Mapping[str, Any], limits: Limits) -> Policy:
    def minutes(name: str) -> timedelta | None:
        value = settings[name]
        return None if value is None else timedelta(minutes=value)

    return Policy(
        enabled=settings["enabled"],
        idle_timeout=timedelta(minutes=settings["idle_timeout_minutes"]),
        kernel_idle_timeout=minutes("kernel_idle_timeout_minutes"),
        terminal_idle_timeout=minutes("terminal_idle_timeout_minutes"),
        app_idle_timeout=minutes("app_idle_timeout_minutes"),
        warn=timedelta(minutes=settings["warn_minutes"]),
        keep_terminals=settings["keep_terminals"],
        protect_connected=settings["protect_connected"],
        rules=tuple(
            Rule(
                timedelta(minutes=rule["idle_timeout_minutes"])
                if "idle_timeout_minutes" in rule
                else None,
                only_when_it_saves=rule.get("only_when_it_saves"),
                **{key: rule[key] for key in GLOBS if key in rule},
            )
            for rule in settings["rules"]
        ),
        dry_run=settings["dry_run"],
        only_when_it_saves=settings["only_when_it_saves"],
        grace=timedelta(minutes=limits.grace_minutes),
        startup_grace=timedelta(minutes=limits.startup_grace_minutes),
        output_only=timedelta(minutes=limits.output_only_minutes),
        presence_max=timedelta(minutes=limits.presence_max_minutes),
        suspect_after=timedelta(minutes=limits.suspect_after_minutes),
        max_busy=None
        if limits.max_busy_minutes is None
        else timedelta(minutes=limits.max_busy_minutes),
        shortest=timedelta(minutes=limits.min_idle_timeout_minutes),
        longest=timedelta(minutes=limits.max_idle_timeout_minutes),
        own_limit_prolongs=not limits.locked.issuperset(_KERNEL_LIMITS),
        settings=dict(settings),
    )
