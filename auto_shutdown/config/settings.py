"""The user's settings and the administrator's limits: their fields, defaults and validation.

A number of minutes may be a fraction. ``null`` resets a setting to its default. The default of a
limit for one kind of resource is itself null, which means "the same as ``idle_timeout_minutes``".
Module ``effective`` merges both into the policy that applies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ..core.translatable import sentence

#: The keys of a rule that select resources.
GLOBS = ("instance_type", "kernel_name", "image")
#: The settings that a rule may set for the resources that it matches.
RULE_SETTINGS = ("idle_timeout_minutes", "only_when_it_saves")
MAX_RULES = 50
MAX_GLOB = 256

#: The setting that decides whether the data for bringing back a stopped kernel is stored.
REMEMBER_STOPPED = "remember_stopped"

#: The longest notice: a day.
MAX_WARN_MINUTES = 1440.0


class KeepsMore(Enum):
    """Which of two values of a setting keeps more resources."""

    ON = "on"
    OFF = "off"
    HIGHER = "higher"
    #: Each of the two values may keep a resource that the other value does not keep.
    INCOMPARABLE = "incomparable"
    #: The setting has no effect on removals.
    NO_EFFECT = "no effect"


@dataclass(frozen=True)
class Field:
    """One setting. ``kind`` selects its validation: bool, idle (minutes within the administrator's
    bounds), warn (minutes from 0) or rules. ``nullable`` is true when null is a valid value.
    ``keeps_more`` says which of two values keeps more resources."""

    kind: str
    default: Any
    doc: str
    keeps_more: KeepsMore
    nullable: bool = False


FIELDS: Mapping[str, Field] = {
    "enabled": Field("bool", True, "Whether anything is removed at all.", KeepsMore.OFF),
    "idle_timeout_minutes": Field(
        "idle", 120, "How long without activity before anything is removed.", KeepsMore.HIGHER
    ),
    "kernel_idle_timeout_minutes": Field(
        "idle",
        None,
        "The same for kernels only; null follows idle_timeout_minutes.",
        KeepsMore.HIGHER,
        True,
    ),
    "terminal_idle_timeout_minutes": Field(
        "idle",
        None,
        "The same for terminals only; null follows idle_timeout_minutes.",
        KeepsMore.HIGHER,
        True,
    ),
    "app_idle_timeout_minutes": Field(
        "idle",
        None,
        "The same for apps only; null follows idle_timeout_minutes.",
        KeepsMore.HIGHER,
        True,
    ),
    "warn_minutes": Field(
        "warn", 5, "How long before a removal the user is warned.", KeepsMore.HIGHER
    ),
    "keep_terminals": Field(
        "bool",
        False,
        "Keep every open terminal, and the app in which it runs. `max_busy_minutes` does not apply "
        "to terminals then.",
        KeepsMore.ON,
    ),
    "protect_connected": Field(
        "bool",
        False,
        "Keep a kernel while a client is connected to it, such as an open notebook.",
        KeepsMore.ON,
    ),
    "rules": Field(
        "rules",
        [],
        "Separate settings for some resources; the first rule that matches applies. A list of "
        "objects. Each has patterns (instance_type, kernel_name, image; `*` stands for any text), "
        "and sets idle_timeout_minutes, only_when_it_saves or both.",
        KeepsMore.INCOMPARABLE,
    ),
    "dry_run": Field("bool", False, "Decide and report, remove nothing.", KeepsMore.ON),
    REMEMBER_STOPPED: Field(
        "bool",
        True,
        "For a week, store in private files the data that brings a stopped kernel back: its "
        "notebook, name, instance type and the code of its cells. Off in shared spaces unless "
        "turned on.",
        KeepsMore.NO_EFFECT,
    ),
    "only_when_it_saves": Field(
        "bool",
        False,
        "Keep an idle app, kernel or terminal while stopping it would save nothing, because its "
        "instance stays billed.",
        KeepsMore.ON,
    ),
}


@dataclass(frozen=True)
class Limits:
    """The administrator's settings. Each time has its unit in its name. ``defaults`` contains the
    value of every setting for users who did not choose one."""

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
    #: By trait: the path of the file in which the administrator set it, or "command line".
    sources: Mapping[str, str] = field(default_factory=dict)


class SettingError(ValueError):
    """The setting ``field`` must not have ``value``. ``bound`` is the limit that the value exceeds.
    ``locked`` is true when only the administrator can change the setting."""

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
    """A stored setting that does not apply; ``message`` tells the user why."""

    field: str
    message: str


def json_safe(value: Any) -> Any:
    """``value`` for a JSON response: NaN and infinity, which JSON does not have, become strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [json_safe(item) for item in value]
    if isinstance(value, dict):
        return {str(key): json_safe(item) for key, item in value.items()}
    return value


def validate_patch(patch: Any, limits: Limits) -> dict[str, Any]:
    """The validated changes in ``patch``; None resets a setting to its default.

    Raises SettingError for the first invalid setting; the caller must then apply no change at all.
    """
    if not isinstance(patch, Mapping):
        raise SettingError("Settings must be a JSON object.", "settings", patch)
    for name in patch:
        if name not in FIELDS:
            known = ", ".join(FIELDS)
            raise SettingError(f"There is no setting {name!r}.", str(name), patch[name], known)
        if name in limits.locked:
            message = sentence("%1 is set by the administrator and cannot be changed here.", name)
            raise SettingError(message, name, patch[name], locked=True)
    return {
        name: None if value is None else validate(name, value, limits)
        for name, value in patch.items()
    }


def validate(name: str, value: Any, limits: Limits) -> Any:
    """The validated value of one setting; raises SettingError if it is invalid."""
    if value is None and FIELDS[name].nullable:
        return None
    kind = FIELDS[name].kind
    if kind == "bool":
        if not isinstance(value, bool):
            raise SettingError(sentence("%1 must be true or false.", name), name, value)
        return value
    if kind == "rules":
        return _validate_rules(name, value, limits)
    low, high = minute_bounds(kind, limits)
    return _validate_number(name, value, low, high)


def minute_bounds(kind: str, limits: Limits) -> tuple[float, float]:
    """The least and the most minutes for a field of ``kind`` warn or idle."""
    if kind == "warn":
        return 0.0, MAX_WARN_MINUTES
    return limits.min_idle_timeout_minutes, limits.max_idle_timeout_minutes


def _validate_number(name: str, value: Any, low: float, high: float) -> float:
    bound = {"min": low, "max": high}
    if not is_finite_number(value):
        raise SettingError(sentence("%1 must be a number of minutes.", name), name, value, bound)
    if value < low:
        message = sentence("%1 must be at least %2.", name, f"{low:g}")
        raise SettingError(message, name, value, bound)
    if value > high:
        message = sentence("%1 must be at most %2.", name, f"{high:g}")
        raise SettingError(message, name, value, bound)
    number: float = value
    return number


def is_finite_number(value: Any) -> bool:
    """Whether ``value`` is a finite number that fits into a float. In Python a bool is an int, but
    true is not a number of minutes."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that is too large for a float
        return False


def _validate_rules(name: str, value: Any, limits: Limits) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise SettingError(f"{name} must be a list.", name, value)
    if len(value) > MAX_RULES:
        message = sentence("%1 may hold at most %2 rules.", name, MAX_RULES)
        raise SettingError(message, name, len(value), MAX_RULES)
    return [_validate_rule(f"{name}[{i}]", rule, limits) for i, rule in enumerate(value)]


def _validate_rule(where: str, rule: Any, limits: Limits) -> dict[str, Any]:
    if not isinstance(rule, Mapping):
        raise SettingError(f"{where} must be an object.", where, rule)
    known = (*GLOBS, *RULE_SETTINGS)
    for key, value in rule.items():
        if key not in known:
            message = f"{where} has an unknown key {key!r}."
            raise SettingError(message, f"{where}.{key}", value, ", ".join(known))
        if key in GLOBS and not (isinstance(value, str) and 0 < len(value) <= MAX_GLOB):
            message = sentence('%1 must be a glob, such as "ml.g5.*".', f"{where}.{key}")
            raise SettingError(message, f"{where}.{key}", value)
    if not any(key in rule for key in GLOBS):
        message = sentence("%1 needs at least one of %2.", where, ", ".join(GLOBS))
        raise SettingError(message, where, dict(rule))
    if "only_when_it_saves" in rule and not isinstance(rule["only_when_it_saves"], bool):
        name = f"{where}.only_when_it_saves"
        message = sentence("%1 must be true or false.", name)
        raise SettingError(message, name, rule["only_when_it_saves"])
    if "idle_timeout_minutes" in rule or "only_when_it_saves" not in rule:
        minutes = f"{where}.idle_timeout_minutes"
        _validate_number(minutes, rule.get("idle_timeout_minutes"), *minute_bounds("idle", limits))
    return dict(rule)
