"""The user's settings: one table of fields, validated at the door, merged within the limits.

Every number of minutes may be a fraction. ``null`` resets a setting to its default; for the
overrides of a kind the default is itself null, "as ``idle_timeout_minutes``".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ..core.policy import Policy, Rule

#: What may stand in a rule besides its limit.
GLOBS = ("instance_type", "kernel_name", "image")
#: What a rule may say of what it matches.
RULED = ("idle_timeout_minutes", "only_when_it_saves")
MAX_RULES = 50
MAX_GLOB = 256

#: What gives a kernel its limit: with all of these locked nothing else prolongs it either.
_KERNEL_LIMITS = ("idle_timeout_minutes", "kernel_idle_timeout_minutes", "rules")

#: The setting that keeps what brings a stopped kernel back.
REMEMBER_STOPPED = "remember_stopped"

#: The longest notice: a day.
MAX_WARN_MINUTES = 1440.0


@dataclass(frozen=True)
class Field:
    """One setting. ``kind`` is how it is checked: bool, idle (minutes within the administrator's
    bounds), warn (minutes from 0) or rules."""

    kind: str
    default: Any
    doc: str
    nullable: bool = False


FIELDS: Mapping[str, Field] = {
    "enabled": Field("bool", True, "Whether anything is removed at all."),
    "idle_timeout_minutes": Field(
        "idle", 120, "How long without activity before anything is removed."
    ),
    "kernel_idle_timeout_minutes": Field(
        "idle", None, "The same for kernels only; null follows idle_timeout_minutes.", True
    ),
    "terminal_idle_timeout_minutes": Field(
        "idle", None, "The same for terminals only; null follows idle_timeout_minutes.", True
    ),
    "app_idle_timeout_minutes": Field(
        "idle", None, "The same for apps only; null follows idle_timeout_minutes.", True
    ),
    "warn_minutes": Field("warn", 5, "How long before a removal it is announced."),
    "keep_terminals": Field(
        "bool", False, "An open terminal holds its app, and is not itself removed."
    ),
    "protect_connected": Field("bool", False, "A kernel with a connected client is not idle."),
    "rules": Field(
        "rules",
        [],
        "Limits of their own for what matches, first match wins: a list of objects with globs "
        "(instance_type, kernel_name, image) and idle_timeout_minutes, only_when_it_saves or "
        "both.",
    ),
    "dry_run": Field("bool", False, "Decide and report, remove nothing."),
    REMEMBER_STOPPED: Field(
        "bool",
        True,
        "Keep for a week, in private files, what brings a stopped kernel back: its notebook, name, "
        "instance type and the code of its cells. Off in shared spaces unless turned on.",
    ),
    "only_when_it_saves": Field(
        "bool",
        False,
        "Keep an idle app, kernel or terminal while stopping it would save nothing, because its "
        "instance stays billed.",
    ),
}


@dataclass(frozen=True)
class Limits:
    """What the administrator allows. Times as their names say; ``defaults`` holds the value of
    every setting for users who chose none."""

    defaults: Mapping[str, Any] = field(
        default_factory=lambda: {name: f.default for name, f in FIELDS.items()}
    )
    min_idle_timeout_minutes: float = 10
    max_idle_timeout_minutes: float = 525600
    locked: frozenset[str] = frozenset()
    grace_minutes: float = 10
    max_keep_alive_minutes: float = 1440
    poll_interval_seconds: float = 60
    startup_grace_minutes: float = 15
    output_only_minutes: float = 480
    presence_max_minutes: float = 720
    suspect_after_minutes: float = 480
    max_busy_minutes: float | None = None
    hourly_prices: Mapping[str, float] = field(default_factory=dict)
    report_to_log: bool = False
    report_to_log_names: bool = False
    #: Where the administrator set what is set: trait to path, or "command line".
    sources: Mapping[str, str] = field(default_factory=dict)


class SettingError(ValueError):
    """A setting that is refused: which, its value, and the bound it breaks; ``locked`` when the
    administrator decides it."""

    def __init__(
        self, message: str, field: str, value: Any, bound: Any = None, locked: bool = False
    ) -> None:
        super().__init__(message)
        self.field, self.value, self.bound, self.locked = field, value, bound, locked

    def to_json(self) -> dict[str, Any]:
        """``{"message", "field", "value", "bound"?}``, safe for JSON."""
        answer = {"message": str(self), "field": self.field, "value": json_safe(self.value)}
        if self.bound is not None:
            answer["bound"] = self.bound
        return answer


@dataclass(frozen=True)
class Problem:
    """A stored setting that is not in force as it stands, in a sentence for its owner."""

    field: str
    message: str


def json_safe(value: Any) -> Any:
    """``value`` for an answer: JSON knows no NaN and no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [json_safe(item) for item in value]
    if isinstance(value, dict):
        return {str(key): json_safe(item) for key, item in value.items()}
    return value


def validate_patch(patch: Any, limits: Limits) -> dict[str, Any]:
    """The changes, checked as a whole; None stands for "back to the default".

    Raises SettingError for the first thing wrong, and then nothing of the patch holds.
    """
    if not isinstance(patch, Mapping):
        raise SettingError("Settings must be a JSON object.", "settings", patch)
    for name in patch:
        if name not in FIELDS:
            known = ", ".join(FIELDS)
            raise SettingError(f"There is no setting {name!r}.", str(name), patch[name], known)
        if name in limits.locked:
            message = f"{name} is set by the administrator and cannot be changed here."
            raise SettingError(message, name, patch[name], locked=True)
    return {
        name: None if value is None else validate(name, value, limits)
        for name, value in patch.items()
    }


def validate(name: str, value: Any, limits: Limits) -> Any:
    """One value of one setting, or SettingError."""
    if value is None and FIELDS[name].nullable:
        return None
    kind = FIELDS[name].kind
    if kind == "bool":
        if not isinstance(value, bool):
            raise SettingError(f"{name} must be true or false.", name, value)
        return value
    if kind == "rules":
        return _validate_rules(name, value, limits)
    low, high = _bounds(kind, limits)
    return _validate_number(name, value, low, high)


def _bounds(kind: str, limits: Limits) -> tuple[float, float]:
    if kind == "warn":
        return 0.0, MAX_WARN_MINUTES
    return limits.min_idle_timeout_minutes, limits.max_idle_timeout_minutes


def _validate_number(name: str, value: Any, low: float, high: float) -> float:
    bound = {"min": low, "max": high}
    # bool is an int in Python, and true is not a number of minutes.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
        raise SettingError(f"{name} must be a number of minutes.", name, value, bound)
    if value < low:
        raise SettingError(f"{name} must be at least {low:g}.", name, value, bound)
    if value > high:
        raise SettingError(f"{name} must be at most {high:g}.", name, value, bound)
    return value


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond any float
        return False


def _validate_rules(name: str, value: Any, limits: Limits) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise SettingError(f"{name} must be a list.", name, value)
    if len(value) > MAX_RULES:
        message = f"{name} may hold at most {MAX_RULES} rules."
        raise SettingError(message, name, len(value), MAX_RULES)
    return [_validate_rule(f"{name}[{i}]", rule, limits) for i, rule in enumerate(value)]


def _validate_rule(where: str, rule: Any, limits: Limits) -> dict[str, Any]:
    if not isinstance(rule, Mapping):
        raise SettingError(f"{where} must be an object.", where, rule)
    known = (*GLOBS, *RULED)
    for key, value in rule.items():
        if key not in known:
            message = f"{where} has an unknown key {key!r}."
            raise SettingError(message, f"{where}.{key}", value, ", ".join(known))
        if key in GLOBS and not (isinstance(value, str) and 0 < len(value) <= MAX_GLOB):
            message = f'{where}.{key} must be a glob, such as "ml.g5.*".'
            raise SettingError(message, f"{where}.{key}", value)
    if not any(key in rule for key in GLOBS):
        message = f"{where} needs at least one of {', '.join(GLOBS)}."
        raise SettingError(message, where, dict(rule))
    if "only_when_it_saves" in rule and not isinstance(rule["only_when_it_saves"], bool):
        message = f"{where}.only_when_it_saves must be true or false."
        raise SettingError(message, f"{where}.only_when_it_saves", rule["only_when_it_saves"])
    if "idle_timeout_minutes" in rule or "only_when_it_saves" not in rule:
        minutes = f"{where}.idle_timeout_minutes"
        _validate_number(minutes, rule.get("idle_timeout_minutes"), *_bounds("idle", limits))
    return dict(rule)


def merge(limits: Limits, user: Mapping[str, Any]) -> tuple[Policy, list[Problem]]:
    """The policy in force: what the user chose, within what the administrator allows.

    A locked setting is the administrator's. A stored value that the limits no longer allow is
    replaced by the nearest one they do, one that is no value at all by the default; each with a
    Problem, never in silence.
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
            message = f"{error} {settings[name]!r} is in force instead."
            problems.append(Problem(name, message))
    return _policy(settings, limits), problems


def cautious(limits: Limits) -> dict[str, Any]:
    """What a user may have chosen, as far as it removes least: in force while that is not known.
    What the administrator has locked stands, or a broken file would be a way around it."""
    longest = limits.max_idle_timeout_minutes
    most: dict[str, Any] = {name: longest for name, field in FIELDS.items() if field.kind == "idle"}
    most["rules"] = [{glob: "*", "idle_timeout_minutes": longest} for glob in GLOBS]
    cautions = ("keep_terminals", "protect_connected", "dry_run", "only_when_it_saves")
    most.update(dict.fromkeys(cautions, True))
    most[REMEMBER_STOPPED] = False  # the user may not want the code of cells on disk
    return {name: value for name, value in most.items() if name not in limits.locked}


def careful_part(
    changes: Mapping[str, Any], user: Mapping[str, Any], limits: Limits
) -> dict[str, Any]:
    """Those of the validated ``changes`` to ``user``'s settings that can only keep more, each by
    itself: they may be in force at once. A change of the rules is never among them."""
    careful: dict[str, Any] = {}
    for name, value in changes.items():
        before, after = (
            merge(limits, {k: v for k, v in each.items() if v is not None})[0]
            for each in ({**user, **careful}, {**user, **careful, name: value})
        )
        if before.settings != after.settings and _keeps_no_less(after, before):
            careful[name] = value
    return careful


def _keeps_no_less(one: Policy, other: Policy) -> bool:
    def limit(policy: Policy, override: timedelta | None) -> timedelta:
        return policy.idle_timeout if override is None else override

    return (
        one.enabled <= other.enabled
        and one.dry_run >= other.dry_run
        and one.keep_terminals >= other.keep_terminals
        and one.protect_connected >= other.protect_connected
        and one.only_when_it_saves >= other.only_when_it_saves
        and one.warn >= other.warn
        and one.rules == other.rules
        and all(
            limit(one, getattr(one, name)) >= limit(other, getattr(other, name))
            for name in ("kernel_idle_timeout", "terminal_idle_timeout", "app_idle_timeout")
        )
    )


def _nearest(name: str, value: Any, limits: Limits) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if FIELDS[name].kind == "idle" and number and _finite(value):
        low, high = _bounds("idle", limits)
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
