"""The rules in force: what the user wants within what the administrator allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from .model import App, Kernel, Kind, Resource, Terminal, Unread
from .signals import Signal


@dataclass(frozen=True)
class Rule:
    """What holds for the resources that match every glob given: an idle limit, whether a stop has
    to save something, or both. A glob on something that a resource does not have (a kernel name on
    an app) does not match."""

    idle_timeout: timedelta | None = None
    instance_type: str | None = None
    kernel_name: str | None = None
    image: str | None = None
    only_when_it_saves: bool | None = None

    def matches(self, resource: Resource) -> bool:
        kernel_name = resource.name if isinstance(resource, Kernel) else None
        image = resource.environment if isinstance(resource, Terminal) else resource.image
        # People write the image's name; SageMaker its ARN. Both match.
        pairs = (
            (self.instance_type, (resource.instance_type,)),
            (self.kernel_name, (kernel_name,)),
            (self.image, (image, image.partition("/")[2] if image else None)),
        )
        return all(
            any(value is not None and fnmatchcase(value, glob) for value in values)
            for glob, values in pairs
            if glob is not None
        )


@dataclass(frozen=True)
class Policy:
    """Durations ready for the planner; the field names are those of the settings without their
    unit. ``settings`` is the same as JSON, for the report.

    ``own_limit_prolongs``: a kernelspec's own limit may be longer than the settings' (not where
    the administrator has locked those). ``unread`` is why the user's settings are not known."""

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
        """How long ``resource`` may be idle, and the name of the setting that says so."""
        limit, setting = self._limit_by_settings(resource)
        if not isinstance(resource, Kernel) or resource.own_limit is None:
            return limit, setting
        # Its kernelspec's author is not this server's administrator, whose bounds hold.
        most = self.longest if self.own_limit_prolongs else limit
        return min(max(resource.own_limit, self.shortest), most), "cull_idle_timeout"

    def _limit_by_settings(self, resource: Resource) -> tuple[timedelta, str]:
        for index, rule in enumerate(self.rules):
            if rule.idle_timeout is not None and rule.matches(resource):
                return rule.idle_timeout, f"rules[{index}]"
        return self._limit_by_kind[resource.ref.kind]

    @cached_property
    def _limit_by_kind(self) -> Mapping[Kind, tuple[timedelta, str]]:
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
        """Whether ``app``, and what runs in it, is kept while stopping it would save nothing."""
        for rule in self.rules:
            if rule.only_when_it_saves is not None and rule.matches(app):
                return rule.only_when_it_saves
        return self.only_when_it_saves

    @cached_property
    def caps(self) -> Mapping[str, timedelta]:
        """For how long each weak signal counts after the last strong one."""
        return {
            Signal.OUTPUT: self.output_only,
            Signal.PROXIED_APP: self.output_only,
            Signal.PRESENCE: self.presence_max,
            Signal.BACKGROUND_IO: self.suspect_after,
        }

    @property
    def suspect_window(self) -> timedelta:
        """How long a busy kernel must be still before it is suspect."""
        return min(self.suspect_after, self.max_busy or self.suspect_after)

    def shortest_app_limit(self) -> timedelta:
        """The soonest that any app could be due; decides how often ListApps is worth a call."""
        base = self.app_idle_timeout if self.app_idle_timeout is not None else self.idle_timeout
        limits = (rule.idle_timeout for rule in self.rules if not rule.kernel_name)
        return min([base, *(limit for limit in limits if limit is not None)])
