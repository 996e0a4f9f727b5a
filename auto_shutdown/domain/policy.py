"""The administrator's policy file for ``domain check`` and ``domain tidy``. Pure: :func:`parse`
validates the JSON values and returns a :class:`DomainPolicy`.

By default nothing is deleted: ``dry_run`` is true, and the switch ``delete`` of each rule is off.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .errors import PolicyError

#: The version of the file's schema.
VERSION = 1


@dataclass(frozen=True)
class Rule:
    """One rule of ``domain tidy``. ``delete`` is its switch. ``limit``: how long an app must have
    been idle (Canvas) or must have run (other apps) before its owner gets a notice."""

    delete: bool
    limit: timedelta


@dataclass(frozen=True)
class Exceptions:
    """Whose apps are never deleted. ``owners`` are user profiles as ``NAME`` or ``DOMAIN/NAME``,
    and ``spaces`` likewise, both in lower case: case does not matter. ``tags`` are names of tags
    with a value, or with ``*`` for any value."""

    owners: frozenset[str] = frozenset()
    spaces: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Checks:
    """The limits of ``domain check``."""

    long_running: timedelta = timedelta(hours=72)
    idle: timedelta = timedelta(hours=8)
    quota_percent: float = 80.0
    stopped_instance: timedelta = timedelta(days=30)


@dataclass(frozen=True)
class DomainPolicy:
    """A validated policy. ``domains``: empty means all. ``notice``: the time between the notice and
    the deletion. ``point_age``: the age up to which a Canvas point counts. ``prices``: US dollars
    an hour by instance type or app type; they override the table in core/prices.py."""

    dry_run: bool = True
    domains: frozenset[str] = frozenset()
    team_tag: str = "team"
    notice: timedelta = timedelta(minutes=60)
    max_deletions: int = 100
    sns_topic_arn: str = ""
    event_bus: str = ""
    canvas: Rule = Rule(False, timedelta(minutes=120))
    point_age: timedelta = timedelta(minutes=10)
    rstudio_sessions: Rule = Rule(False, timedelta(hours=24))
    tensorboard: Rule = Rule(False, timedelta(hours=24))
    without_extension: Rule = Rule(False, timedelta(hours=48))
    orphans: Rule = Rule(False, timedelta(hours=24))
    exceptions: Exceptions = Exceptions()
    checks: Checks = Checks()
    prices: Mapping[str, float] = field(default_factory=dict)

    @property
    def deletes(self) -> bool:
        """Whether any switch is on."""
        return any(rule.delete for rule in self.rules.values())

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules by their name in the file."""
        return {name: getattr(self, name) for name in RULES}


RULES = ("canvas", "rstudio_sessions", "tensorboard", "without_extension", "orphans")

#: The shortest limits that a policy may have, so that no app is deleted soon after its start.
_SHORTEST = {
    "canvas": timedelta(minutes=30),
    "rstudio_sessions": timedelta(hours=1),
    "tensorboard": timedelta(hours=1),
    "without_extension": timedelta(hours=1),
    "orphans": timedelta(hours=1),
}
_SHORTEST_NOTICE = timedelta(minutes=15)
_LONGEST = timedelta(days=3650)

_SNS = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]{1,256}")
_DOMAIN = re.compile(r"d-(-*[a-z0-9]){1,61}")
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def parse(content: Any) -> DomainPolicy:
    """The policy of a decoded JSON file. Raises PolicyError, which names the wrong member."""
    reader = _Reader(_mapping(content, "The policy"), "")
    version = reader.take("version", int, None)
    if version != VERSION:
        raise PolicyError(f'"version" must be {VERSION}; this program knows no other.')
    given: dict[str, Any] = {}
    for name, kind in (("dry_run", bool), ("team_tag", str)):
        reader.into(given, name, kind)
    reader.duration(given, "notice", "notice_minutes", timedelta(minutes=1), _SHORTEST_NOTICE)
    most = reader.take("max_deletions", int, None)
    if most is not None:
        given["max_deletions"] = reader.between("max_deletions", most, 1, 1000)
    given["domains"] = _domains(reader, content)
    _notify(reader, given)
    for name in RULES:
        _rule(reader, given, name)
    exceptions = reader.section("exceptions")
    if exceptions is not None:
        given["exceptions"] = _exceptions(exceptions)
    checks = reader.section("check")
    if checks is not None:
        given["checks"] = _checks(checks)
    given["prices"] = _prices(reader)
    reader.finish()
    policy = DomainPolicy(**given)
    if policy.deletes and not policy.dry_run and not (policy.sns_topic_arn or policy.event_bus):
        raise PolicyError(
            'A policy that deletes needs "notify": an sns_topic_arn, an event_bus, or both.'
        )
    return policy


def _domains(reader: _Reader, content: Mapping[str, Any]) -> frozenset[str]:
    domains = reader.texts("domains", _DOMAIN, "a domain's id (d-…)")
    if not domains and "domains" in content:
        # Somebody may mean no domain at all.
        raise PolicyError('"domains" must name a domain. Leave it out for all domains.')
    return frozenset(domains)


def _notify(reader: _Reader, given: dict[str, Any]) -> None:
    notify = reader.section("notify")
    if notify is None:
        return
    topic = notify.take("sns_topic_arn", str, "")
    if topic and not _SNS.fullmatch(topic):
        raise PolicyError(f'"notify.sns_topic_arn": {topic!r} is not the ARN of an SNS topic.')
    given["sns_topic_arn"] = topic
    given["event_bus"] = notify.take("event_bus", str, "")
    notify.finish()


def _rule(reader: _Reader, given: dict[str, Any], name: str) -> None:
    section = reader.section(name)
    if section is None:
        return
    default: Rule = getattr(DomainPolicy(), name)
    found: dict[str, Any] = {"limit": default.limit}
    member, unit = ("idle_minutes", timedelta(minutes=1))
    if name != "canvas":
        member, unit = ("age_hours", timedelta(hours=1))
    section.duration(found, "limit", member, unit, _SHORTEST[name])
    if name == "canvas":
        section.duration(
            given, "point_age", "point_age_minutes", timedelta(minutes=1), timedelta(minutes=1)
        )
        if given.get("point_age", timedelta(0)) > timedelta(minutes=30):
            raise PolicyError('"canvas.point_age_minutes" must be 30 or less.')
    given[name] = Rule(section.take("delete", bool, False), found["limit"])
    section.finish()


def _exceptions(section: _Reader) -> Exceptions:
    words = "NAME or DOMAIN/NAME"
    both = re.compile(rf"({_DOMAIN.pattern}/)?{_NAME.pattern}")
    tags = _mapping(section.take("tags", dict, {}), '"exceptions.tags"')
    for name, value in tags.items():
        if not isinstance(value, str):
            raise PolicyError(f'"exceptions.tags.{name}" must be a text, or "*" for any value.')
    found = Exceptions(
        frozenset(text.lower() for text in section.texts("owners", both, words)),
        frozenset(text.lower() for text in section.texts("spaces", both, words)),
        dict(tags),
    )
    section.finish()
    return found


def _checks(section: _Reader) -> Checks:
    found: dict[str, Any] = {}
    hour, day, least = timedelta(hours=1), timedelta(days=1), timedelta(minutes=30)
    section.duration(found, "long_running", "long_running_hours", hour, least)
    section.duration(found, "idle", "idle_hours", hour, least)
    section.duration(found, "stopped_instance", "stopped_instance_days", day, least)
    percent = section.take("quota_percent", (int, float), None)
    if percent is not None:
        found["quota_percent"] = section.between("quota_percent", percent, 1, 100)
    section.finish()
    return Checks(**found)


def _prices(reader: _Reader) -> dict[str, float]:
    given = _mapping(reader.take("prices", dict, {}), '"prices"')
    for name, price in given.items():
        if isinstance(price, bool) or not isinstance(price, (int, float)) or not 0 <= price < 10000:
            raise PolicyError(f'"prices.{name}" must be US dollars an hour.')
    return {str(name): float(price) for name, price in given.items()}


class _Reader:
    """Takes the known members out of a JSON object. :meth:`finish` refuses the others."""

    def __init__(self, content: Mapping[str, Any], path: str) -> None:
        self._left = dict(content)
        self._path = path
        self._known: set[str] = set()

    def take(self, name: str, kind: Any, default: Any) -> Any:
        self._known.add(name)
        if name not in self._left:
            return default
        value = self._left.pop(name)
        wrong_bool = isinstance(value, bool) and kind is not bool
        if wrong_bool or not isinstance(value, kind):
            raise PolicyError(f'"{self._path}{name}" must be {_NAMES[kind]}, not {value!r}.')
        return value

    def into(self, given: dict[str, Any], name: str, kind: type) -> None:
        value = self.take(name, kind, None)
        if value is not None:
            given[name] = value

    def duration(
        self, given: dict[str, Any], field_: str, name: str, unit: timedelta, least: timedelta
    ) -> None:
        value = self.take(name, (int, float), None)
        if value is None:
            return
        low, high = least / unit, _LONGEST / unit
        given[field_] = unit * self.between(name, value, low, high)

    def between(self, name: str, value: Any, low: float, high: float) -> Any:
        if not low <= value <= high:  # NaN is refused, too
            raise PolicyError(f'"{self._path}{name}" must be from {low:g} to {high:g}.')
        return value

    def texts(self, name: str, pattern: re.Pattern[str], wanted: str) -> list[str]:
        values = self.take(name, list, [])
        for value in values:
            if not isinstance(value, str) or not pattern.fullmatch(value):
                raise PolicyError(f'"{self._path}{name}": {value!r} is not {wanted}.')
        return list(values)

    def section(self, name: str) -> _Reader | None:
        value = self.take(name, dict, None)
        return None if value is None else _Reader(value, f"{self._path}{name}.")

    def finish(self) -> None:
        for name in self._left:
            near = difflib.get_close_matches(str(name), self._known, 1)
            hint = f' Do you mean "{near[0]}"?' if near else ""
            known = ", ".join(sorted(self._known))
            raise PolicyError(f'"{self._path}{name}" is not known here.{hint} Known: {known}.')


_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    str: "a text",
    list: "a list",
    dict: "an object",
    (int, float): "a number",
}


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PolicyError(f"{what} must be a JSON object.")
    return value
