"""The policy in force: the user's settings within the administrator's limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from .model import KERNEL_GATEWAY, App, Kernel, Kind, Resource, Terminal, Unread, apps_of
from .signals import Signal


@dataclass(frozen=True)
class Rule:
    """One of the user's rules: settings for the resources that match all of its globs.

    It sets ``idle_timeout``, ``only_when_it_saves``, or both. A glob on an attribute that a
    resource lacks (such as a kernel name on an app) does not match.
    """

    idle_timeout: timedelta | None = None
    instance_type: str | None = None
    kernel_name: str | None = None
    image: str | None = None
    only_when_it_saves: bool | None = None

    def matches(self, resource: Resource) -> bool:
        return self._matches(resource, self.instance_type)

    def matches_on_some_instance_type(self, resource: Resource) -> bool:
        return self._matches(resource, None)

    def _matches(self, resource: Resource, instance_type: str | None) -> bool:
        kernel_name = resource.name if isinstance(resource, Kernel) else None
        image = resource.environment if isinstance(resource, Terminal) else resource.image
        # A glob may match the whole image ARN, or only the image name in it.
        pairs = (
            (instance_type, (resource.instance_type,)),
            (self.kernel_name, (kernel_name,)),
            (self.image, (image, image.partition("/")[2] if image else None)),
        )
        return all(
            any(value is not None and fnmatchcase(value, glob) for value in values)
            for glob, values in pairs
            if glob is not None
        )


def _is_instance_type_unknown(resource: Resource) -> bool:
    """Whether this server does not know the type of the instance on which ``resource`` runs. The
    resource may run in one of several apps, or (after a restart) in an app that SageMaker has not
    listed yet."""
    if isinstance(resource, App) or resource.instance_type is not None:
        return False
    if isinstance(resource, Kernel) and resource.is_place_unknown:
        return True
    return any(app.startswith(f"{KERNEL_GATEWAY}/") for app in apps_of(resource))


@dataclass(frozen=True)
class Policy:
    """The settings as durations. A field is named like its setting, without the unit.

    ``settings`` holds the same settings as JSON, for the report. ``own_limit_prolongs``: the limit
    in a kernelspec may be longer than the limit in the settings; False where the administrator
    locked those settings. ``unread`` is the reason why the user's settings could not be read, or
    None.
    """

    enabled: bool = True
    idle_timeout: timedelta = timedelta(minutes=120)
    kernel_idle_timeout: timedelta | None = None
    terminal_idle_timeout: timedelta | None = None
    app_idle_timeout: timedelta | None = None
    warn: timedelta = timedelta(minutes=5)
    keep_terminals: bool = False
    protect_connected: bool = False
    rules: tuple[Rule, ...] = ()
    dry_run: bool = False
    only_when_it_saves: bool = False
    grace: timedelta = timedelta(minutes=10)
    startup_grace: timedelta = timedelta(minutes=15)
    output_only: timedelta = timedelta(minutes=480)
    presence_max: timedelta = timedelta(minutes=720)
    suspect_after: timedelta = timedelta(minutes=480)
    max_busy: timedelta | None = None
    shortest: timedelta = timedelta(0)
    longest: timedelta = timedelta.max
    own_limit_prolongs: bool = True
    unread: Unread | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def limit_of(self, resource: Resource) -> tuple[timedelta, str]:
        """How long ``resource`` may be idle, and the name of the setting that gives this limit."""
        by_settings = self._limit_by_settings(resource)
        if not isinstance(resource, Kernel) or resource.own_limit is None:
            return by_settings
        limit, _ = by_settings
        # The administrator's bounds apply: the kernelspec may come from another author.
        upper_bound = self.longest if self.own_limit_prolongs else limit
        return min(max(resource.own_limit, self.shortest), upper_bound), "cull_idle_timeout"

    def _limit_by_settings(self, resource: Resource) -> tuple[timedelta, str]:
        if not self.rules:
            return self.limit_by_kind[resource.ref.kind]
        # The first rule that matches applies. If the instance type is unknown, a rule for certain
        # instance types may or may not match. Then the longest of the possible limits applies.
        is_type_unknown = _is_instance_type_unknown(resource)
        possible = []
        for index, rule in enumerate(self.rules):
            if rule.idle_timeout is None:
                continue
            if rule.matches(resource):
                possible.append((rule.idle_timeout, f"rules[{index}]"))
                break
            if is_type_unknown and rule.matches_on_some_instance_type(resource):
                possible.append((rule.idle_timeout, f"rules[{index}]"))
        else:
            possible.append(self.limit_by_kind[resource.ref.kind])
        return max(possible, key=lambda limit: limit[0])

    @cached_property
    def limit_by_kind(self) -> Mapping[Kind, tuple[timedelta, str]]:
        """The limit for each kind where no rule and no kernelspec gives another one, and the name
        of the setting that gives it."""
        overrides = {
            Kind.KERNEL: self.kernel_idle_timeout,
            Kind.TERMINAL: self.terminal_idle_timeout,
            Kind.APP: self.app_idle_timeout,
        }
        return {
            kind: (self.idle_timeout, "idle_timeout_minutes")
            if override is None
            else (override, f"{kind.value}_idle_timeout_minutes")
            for kind, override in overrides.items()
        }

    def stops_only_to_save(self, app: App) -> bool:
        """Whether to keep ``app`` and its tenants while stopping them would save nothing."""
        for rule in self.rules:
            if rule.only_when_it_saves is not None and rule.matches(app):
                return rule.only_when_it_saves
        return self.only_when_it_saves

    @cached_property
    def may_stop_only_to_save(self) -> bool:
        """Whether ``stops_only_to_save`` may be true of any app."""
        return self.only_when_it_saves or any(rule.only_when_it_saves for rule in self.rules)

    @cached_property
    def caps(self) -> Mapping[str, timedelta]:
        """For how long each weak signal counts after the last strong signal."""
        return {
            Signal.OUTPUT: self.output_only,
            Signal.PROXIED_APP: self.output_only,
            Signal.PRESENCE: self.presence_max,
            Signal.BACKGROUND_IO: self.suspect_after,
        }

    @property
    def suspect_window(self) -> timedelta:
        """A busy kernel or terminal is suspect once it has shown no sign of work for this time."""
        return min(self.suspect_after, self.max_busy or self.suspect_after)

    def shortest_app_limit(self) -> timedelta:
        """The shortest idle limit of any app, which determines how often to call ListApps."""
        base, _ = self.limit_by_kind[Kind.APP]
        limits = (rule.idle_timeout for rule in self.rules if not rule.kernel_name)
        return min([base, *(limit for limit in limits if limit is not None)])
