"""The administrator's traits, on the class ``AutoShutdown``: defaults for users, bounds, locks,
and who this server is.

A bad value is a ConfigurationError that names the trait and its bound, and the extension then does
not start: an administrator must see a typing error, nobody guesses what it meant.
"""

from __future__ import annotations

import ast
import math
import os
from collections.abc import Mapping
from typing import Any

from jupyter_core.paths import jupyter_data_dir
from traitlets import Bool, Dict, Float, HasTraits, List, TraitError, Unicode, default, validate
from traitlets.config import Config, Configurable
from traitlets.config.loader import DeferredConfig, LazyConfigValue

from .problems import ConfigurationError, misunderstood, raise_first
from .provenance import SECTION
from .settings import FIELDS, Limits, SettingError
from .settings import validate as validate_setting

#: Where SageMaker's agent and remote IDEs leave the time of the last activity.
ACTIVITY_FILE = "/tmp/.sagemaker-last-active-timestamp"

#: The tag's key; its value is the reason that people read.
STOP_TAG = "auto-shutdown:stop"

METADATA_PATH = "/opt/ml/metadata/resource-metadata.json"


#: Ten years. A longer span is a typing error, and dates end in the year 9999.
MOST_MINUTES = 5_256_000.0

#: What each number may be: the least, whether that is allowed itself, and the most.
BOUNDS: Mapping[str, tuple[float, bool, float]] = {
    "min_idle_timeout_minutes": (0, False, MOST_MINUTES),
    "max_idle_timeout_minutes": (0, False, MOST_MINUTES),
    "max_keep_alive_minutes": (0, False, MOST_MINUTES),
    "suspect_after_minutes": (0, False, MOST_MINUTES),
    "max_busy_minutes": (0, False, MOST_MINUTES),
    "grace_minutes": (0, True, MOST_MINUTES),
    "startup_grace_minutes": (0, True, MOST_MINUTES),
    "output_only_minutes": (0, True, MOST_MINUTES),
    "presence_max_minutes": (0, True, MOST_MINUTES),
    "poll_interval_seconds": (0.01, True, 86400),
}
MOST_USD_PER_HOUR = 100_000.0

#: What a lock on idle_timeout_minutes locks with it, because each of them is a way around it.
FOLLOW_IDLE_TIMEOUT = (
    "kernel_idle_timeout_minutes",
    "terminal_idle_timeout_minutes",
    "app_idle_timeout_minutes",
    "rules",
)


class _NullableFloat(Float):  # type: ignore[type-arg]  # traitlets before 5.10 has no arguments
    """A number or null, also on the command line."""

    def __init__(self, text: str) -> None:
        super().__init__(None, allow_none=True, help=text)

    def from_string(self, s: str) -> Any:
        return None if s.strip().lower() in ("null", "none", "") else float(s)


def _minutes(value: float, text: str) -> Any:
    return Float(value, help=text).tag(config=True)


def _nullable(name: str) -> Any:
    return _NullableFloat(FIELDS[name].doc).tag(config=True)


def _name(text: str) -> Any:
    return Unicode("", help=text).tag(config=True)


class AdminTraits(Configurable):
    """What an administrator configures, e.g. in ``jupyter_server_config.d/*.json``."""

    enabled = Bool(True, help=FIELDS["enabled"].doc).tag(config=True)
    idle_timeout_minutes = _minutes(120, FIELDS["idle_timeout_minutes"].doc)
    kernel_idle_timeout_minutes = _nullable("kernel_idle_timeout_minutes")
    terminal_idle_timeout_minutes = _nullable("terminal_idle_timeout_minutes")
    app_idle_timeout_minutes = _nullable("app_idle_timeout_minutes")
    warn_minutes = _minutes(5, FIELDS["warn_minutes"].doc)
    keep_terminals = Bool(False, help=FIELDS["keep_terminals"].doc).tag(config=True)
    protect_connected = Bool(False, help=FIELDS["protect_connected"].doc).tag(config=True)
    rules: Any = List(help=FIELDS["rules"].doc).tag(config=True)
    dry_run = Bool(False, help=FIELDS["dry_run"].doc).tag(config=True)
    remember_stopped = Bool(True, help=FIELDS["remember_stopped"].doc).tag(config=True)
    only_when_it_saves = Bool(False, help=FIELDS["only_when_it_saves"].doc).tag(config=True)

    min_idle_timeout_minutes = _minutes(10, "The shortest limit a user may choose.")
    max_idle_timeout_minutes = _minutes(525600, "The longest limit a user may choose.")
    locked = List(
        Unicode(),
        help="Names of settings that users cannot change; their value is the one here. "
        "idle_timeout_minutes locks its overrides and the rules with it.",
    ).tag(config=True)
    unlocked = List(
        Unicode(),
        help="Names of settings that stay open though a lock on idle_timeout_minutes would lock "
        "them with it.",
    ).tag(config=True)
    grace_minutes = _minutes(
        10, "Nothing is removed for so long after a start, a long pause, or an app's start."
    )
    startup_grace_minutes = _minutes(15, "How long a kernel may take to start before it is stuck.")
    output_only_minutes = _minutes(
        480, "How long output alone counts as activity, after the last key or request."
    )
    presence_max_minutes = _minutes(
        720, "How long a person's presence in the lab alone counts; 0 never."
    )
    suspect_after_minutes = _minutes(
        480,
        "A busy kernel, a terminal's command or another program that shows no sign of work for so "
        "long is shown as suspect.",
    )
    max_busy_minutes = _NullableFloat(
        "A kernel or a terminal's command without a sign of work for this time is removed, and "
        "another program no longer keeps the app; null: never."
    ).tag(config=True)
    max_keep_alive_minutes = _minutes(1440, "The longest keep-alive a user may ask for.")
    poll_interval_seconds = _minutes(60, "How often, in seconds, everything is looked at.")

    allow_irreversible_stop = Bool(
        False, help="Stop a notebook instance even if its platform cannot be started again."
    ).tag(config=True)
    hourly_prices: Any = Dict(
        value_trait=Float(),
        key_trait=Unicode(),
        help="US dollars an hour by instance type, where the built-in prices do not hold.",
    ).tag(config=True)
    report_to_log = Bool(
        False,
        help="Write a line of JSON on the state of this server to its log, for `domain report`.",
    ).tag(config=True)
    report_to_log_names = Bool(
        False, help="That line also names notebooks, terminals and what runs in them."
    ).tag(config=True)
    protect_from_native = Bool(
        False,
        help="Keep SageMaker's own idle shutdown, and others that go by this server's last "
        "activity, off while anything here is at work or kept.",
    ).tag(config=True)
    stop_tag = Unicode(
        STOP_TAG,
        help="The tag that stops all removals while the Studio domain (or the notebook instance) "
        "has it; empty: none. Where this is configured, a server that may not read the tags "
        "removes nothing.",
    ).tag(config=True)
    stop_file = _name("A file that stops all removals while it is there.")
    state_dir = _name("Where settings, keep-alives and the history are kept.")
    activity_file = Unicode(
        ACTIVITY_FILE, help="The file in which remote IDEs report activity to SageMaker's agent."
    ).tag(config=True)
    metadata_path = Unicode(METADATA_PATH, help="The file that says what this host is.").tag(
        config=True
    )
    domain_id = _name("The Studio domain; from the metadata file when empty.")
    user_profile_name = _name("The user profile that owns the apps; likewise.")
    space_name = _name("The space that owns the apps; likewise.")
    region_name = _name("The AWS region; likewise, or from the environment.")

    _config_error: TraitError | None = None

    def _load_config(self, cfg: Any, section_names: Any = None, traits: Any = None) -> None:
        """Keep the first error for ``limits()``. Jupyter would only log it, drop whatever comes
        after the bad value, and run this extension with the defaults instead."""
        try:
            super()._load_config(cfg, section_names, traits)
        except Exception as error:
            self._config_error = self._config_error or self._named(error, cfg)

    def _named(self, error: Exception, config: Config) -> TraitError:
        """The same error, naming its trait."""
        section = config.get(SECTION, config.get(type(self).__name__, {}))
        try:
            raise_first(misunderstood(section, self.traits(config=True)))
        except ConfigurationError as found:
            return found
        if isinstance(error, TraitError):
            return ConfigurationError(str(error))
        for name, value in section.items():
            try:
                AdminTraits(config=Config({AdminTraits.__name__: {name: value}}))
                set_trait(AdminTraits(), name, value)
            except TraitError as found:
                return ConfigurationError(str(found))
            except Exception as found:
                return ConfigurationError(f"{SECTION}.{name} cannot be used: {found}.")
        return ConfigurationError(f"The section {SECTION} cannot be used: {error}.")

    @default("state_dir")
    def _default_state_dir(self) -> str:
        return os.path.join(jupyter_data_dir(), "auto-shutdown")

    @validate(*BOUNDS)
    def _within_bounds(self, proposal: Any) -> float | None:
        value, name = proposal["value"], proposal["trait"].name
        if value is None:
            return None
        low, allowed, high = BOUNDS[name]
        if not math.isfinite(value) or not low <= value <= high or (value == low and not allowed):
            least = f"at least {low:g}" if allowed else f"above {low:g}"
            raise TraitError(
                f"{SECTION}.{name} must be {least} and at most {high:.0f}, not {value!r}."
            )
        return float(value)

    @validate("state_dir", "activity_file", "metadata_path", "stop_file")
    def _a_path(self, proposal: Any) -> str:
        if "\0" in proposal["value"]:
            raise TraitError(f"{SECTION}.{proposal['trait'].name} must be a path, without NUL.")
        return str(proposal["value"])

    @validate("hourly_prices")
    def _prices(self, proposal: Any) -> dict[str, float]:
        for name, usd in proposal["value"].items():
            if not 0 <= usd <= MOST_USD_PER_HOUR:  # false for what is not a number, too
                bound = f"0 or more and at most {MOST_USD_PER_HOUR:.0f}"
                raise TraitError(f"{SECTION}.hourly_prices: {name} must be {bound}, not {usd}.")
        return dict(proposal["value"])

    @validate("locked", "unlocked")
    def _known_names(self, proposal: Any) -> list[str]:
        name = proposal["trait"].name
        found = _as_list(proposal["value"])
        for each in found:
            if each not in FIELDS:
                known = ", ".join(FIELDS)
                raise TraitError(
                    f"{SECTION}.{name}: there is no setting {each!r} ({known}). On the command "
                    f"line write --{SECTION}.{name}=dry_run, once for each name."
                )
        return found

    def limits(self) -> Limits:
        """The limits, checked against each other. Raises TraitError naming the trait."""
        if self._config_error is not None:
            raise self._config_error
        low, high = self.min_idle_timeout_minutes, self.max_idle_timeout_minutes
        if low > high:
            raise ConfigurationError(
                f"{SECTION}.min_idle_timeout_minutes ({low:g}) is above "
                f"{SECTION}.max_idle_timeout_minutes ({high:g})."
            )
        limits = Limits(
            defaults={name: _plain(getattr(self, name)) for name in FIELDS},
            min_idle_timeout_minutes=low,
            max_idle_timeout_minutes=high,
            locked=self._all_locked(),
            grace_minutes=self.grace_minutes,
            max_keep_alive_minutes=self.max_keep_alive_minutes,
            poll_interval_seconds=self.poll_interval_seconds,
            startup_grace_minutes=self.startup_grace_minutes,
            output_only_minutes=self.output_only_minutes,
            presence_max_minutes=self.presence_max_minutes,
            suspect_after_minutes=self.suspect_after_minutes,
            max_busy_minutes=self.max_busy_minutes,
            report_to_log=self.report_to_log,
            report_to_log_names=self.report_to_log_names,
            hourly_prices={str(name): float(usd) for name, usd in self.hourly_prices.items()},
        )
        for name, value in limits.defaults.items():
            try:
                validate_setting(name, value, limits)
            except SettingError as error:
                raise ConfigurationError(f"{SECTION}.{error} It is {value!r}.") from None
        return limits

    def _all_locked(self) -> frozenset[str]:
        locked, unlocked = frozenset(self.locked), frozenset(self.unlocked)
        both = sorted(locked & unlocked)
        if both:
            raise ConfigurationError(
                f"{SECTION}.locked and {SECTION}.unlocked both name {both[0]}."
            )
        if "idle_timeout_minutes" not in locked:
            return locked
        return locked | frozenset(FOLLOW_IDLE_TIMEOUT) - unlocked

    def platform_overrides(self) -> dict[str, str]:
        """The parts of the identity that are configured; they win over the metadata file."""
        names = ("domain_id", "user_profile_name", "space_name", "region_name")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


def _plain(value: Any) -> Any:
    """As plain JSON. traitlets reads a list of objects from the command line as types of its own;
    and a whole number of minutes is easier to read without its ``.0``."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [dict(item) if isinstance(item, dict) else item for item in value]
    return value


def _as_list(value: Any) -> list[str]:
    """The list, also where traitlets took a whole list on the command line for its first item."""
    if len(value) == 1 and value[0].lstrip().startswith("["):
        try:
            found = ast.literal_eval(value[0].strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return list(value)
        if isinstance(found, list) and all(isinstance(each, str) for each in found):
            return found
    return list(value)


def set_trait(app: HasTraits, name: str, value: Any) -> None:
    """Set a trait to a value of a configuration. Raises TraitError, and whatever a value raises
    that cannot be read."""
    if isinstance(value, DeferredConfig):  # of the command line: a text until its trait is known
        value = value.get_value(app.traits()[name])
    elif isinstance(value, LazyConfigValue):  # of Python: what was added to the default
        value = value.get_value(app.trait_defaults(name))
    setattr(app, name, value)
