"""The administrator's traits, on the class ``AutoShutdown``: defaults for users, bounds, locks,
and the identity of this server.

A bad value raises a ConfigurationError that names the trait and its bound. The extension then does
not start: the administrator must see the mistake, and the program does not guess the intention.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from jupyter_core.paths import jupyter_data_dir
from traitlets import Bool, Dict, Float, List, TraitError, Unicode, default, validate
from traitlets.config import Config, Configurable

from . import METADATA_PATH
from .problems import ConfigurationError, invalid_options, raise_first
from .provenance import SECTION
from .settings import FIELDS, Limits, SettingError
from .settings import validate as validate_setting
from .trait_values import NullableFloat, as_list, plain, set_trait

#: The file in which SageMaker's agent and remote IDEs record the time of the last activity.
ACTIVITY_FILE = "/tmp/.sagemaker-last-active-timestamp"

#: The default key of the tag that stops all removals. People read its value as the reason.
STOP_TAG = "auto-shutdown:stop"

#: Ten years. A longer time is a mistake, and could exceed the year 9999, where Python's dates end.
MOST_MINUTES = 5_256_000.0

#: The bounds of each number: the least value, whether the least value itself is allowed, and the
#: most.
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

#: The settings that a lock on idle_timeout_minutes also locks, because a user could set each of
#: them to evade the lock.
FOLLOW_IDLE_TIMEOUT = (
    "kernel_idle_timeout_minutes",
    "terminal_idle_timeout_minutes",
    "app_idle_timeout_minutes",
    "rules",
)


def _minutes(value: float, text: str) -> Any:
    return Float(value, help=text).tag(config=True)


def _nullable(name: str) -> Any:
    return NullableFloat(FIELDS[name].doc).tag(config=True)


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
        help="Names of settings that users cannot change; the administrator's value applies. "
        "A lock on idle_timeout_minutes also locks the limits for kernels, terminals and apps, and "
        "the rules.",
    ).tag(config=True)
    unlocked = List(
        Unicode(),
        help="Names of settings that users can still change although idle_timeout_minutes is "
        "locked, such as `rules`.",
    ).tag(config=True)
    grace_minutes = _minutes(
        10,
        "Minutes without removals after the server starts, after an app starts, and after a long "
        "pause of the server.",
    )
    startup_grace_minutes = _minutes(
        15, "How long a kernel may take to start; after that it counts as stuck."
    )
    output_only_minutes = _minutes(
        480, "How long output alone counts as activity after the last key press or request."
    )
    presence_max_minutes = _minutes(
        720, "How long a person's presence in the lab alone counts as activity; 0 means never."
    )
    suspect_after_minutes = _minutes(
        480,
        "A busy kernel, a terminal's command or another program that shows no sign of work for this"
        " time is shown as suspect.",
    )
    max_busy_minutes = NullableFloat(
        "After this time without a sign of work, a kernel or a terminal's command is removed, and "
        "another program no longer keeps the app; null means never."
    ).tag(config=True)
    max_keep_alive_minutes = _minutes(1440, "The longest keep-alive a user may ask for.")
    poll_interval_seconds = _minutes(60, "How often, in seconds, a full pass runs.")

    allow_irreversible_stop = Bool(
        False,
        help="Stop a notebook instance even if SageMaker cannot start it again, because its "
        "platform version is too old.",
    ).tag(config=True)
    hourly_prices: Any = Dict(
        value_trait=Float(),
        key_trait=Unicode(),
        help="US dollars an hour by instance type; they override the built-in prices.",
    ).tag(config=True)
    report_to_log = Bool(
        False,
        help="Write the state of this server to its log as a line of JSON, for `domain report`.",
    ).tag(config=True)
    report_to_log_names = Bool(
        False, help="That line also names notebooks, terminals and their commands."
    ).tag(config=True)
    protect_from_native = Bool(
        False,
        help="While a kernel, terminal or program of this server works or has a keep-alive, report "
        "activity to SageMaker's own idle shutdown, and to other tools that read this server's "
        "last activity.",
    ).tag(config=True)
    stop_tag = Unicode(
        STOP_TAG,
        help="The key of a tag. While the Studio domain (or the notebook instance) has this tag, "
        "nothing is removed. Empty turns this off. If an administrator sets this trait, even to "
        "its default, a server without the permission to read tags removes nothing.",
    ).tag(config=True)
    stop_file = _name(
        "The path of a file that allows removals while its content is the word run. Any other "
        "content, and a file that cannot be read, stops all removals."
    )
    state_dir = _name("The directory of the settings, keep-alives and history.")
    activity_file = Unicode(
        ACTIVITY_FILE, help="The file in which remote IDEs report activity to SageMaker's agent."
    ).tag(config=True)
    metadata_path = Unicode(
        METADATA_PATH, help="The file in which SageMaker describes the app or notebook instance."
    ).tag(config=True)
    domain_id = _name("The id of the Studio domain; read from the metadata file when empty.")
    user_profile_name = _name(
        "The user profile that owns the apps; read from the metadata file when empty."
    )
    space_name = _name("The space that owns the apps; read from the metadata file when empty.")
    region_name = _name(
        "The AWS region; read from the metadata file or the environment when empty."
    )

    _config_error: TraitError | None = None

    def _load_config(self, cfg: Any, section_names: Any = None, traits: Any = None) -> None:
        """Keep the first error, so that ``limits()`` raises it. Jupyter would only log it, drop all
        options after the bad value, and run this extension with their defaults."""
        try:
            super()._load_config(cfg, section_names, traits)
        except Exception as error:
            self._config_error = self._config_error or self._with_trait_name(error, cfg)

    def _with_trait_name(self, error: Exception, config: Config) -> TraitError:
        """``error`` with the name of the trait that caused it. To find that trait, this sets each
        trait alone."""
        section = config.get(SECTION, config.get(type(self).__name__, {}))
        try:
            raise_first(invalid_options(section, self.traits(config=True)))
        except ConfigurationError as problem:
            return problem
        if isinstance(error, TraitError):
            return ConfigurationError(str(error))
        for name, value in section.items():
            try:
                AdminTraits(config=Config({AdminTraits.__name__: {name: value}}))
                set_trait(AdminTraits(), name, value)
            except TraitError as problem:
                return ConfigurationError(str(problem))
            except Exception as problem:
                return ConfigurationError(f"{SECTION}.{name} cannot be used: {problem}.")
        return ConfigurationError(f"The section {SECTION} cannot be used: {error}.")

    @default("state_dir")
    def _default_state_dir(self) -> str:
        return os.path.join(jupyter_data_dir(), "auto-shutdown")

    @validate(*BOUNDS)
    def _within_bounds(self, proposal: Any) -> float | None:
        value, name = proposal["value"], proposal["trait"].name
        if value is None:
            return None
        low, inclusive, high = BOUNDS[name]
        if not math.isfinite(value) or not low <= value <= high or (value == low and not inclusive):
            least = f"at least {low:g}" if inclusive else f"above {low:g}"
            raise TraitError(
                f"{SECTION}.{name} must be {least} and at most {high:.0f}, not {value!r}."
            )
        return float(value)

    @validate("state_dir", "activity_file", "metadata_path", "stop_file")
    def _path_without_nul(self, proposal: Any) -> str:
        if "\0" in proposal["value"]:
            raise TraitError(f"{SECTION}.{proposal['trait'].name} must be a path, without NUL.")
        return str(proposal["value"])

    @validate("hourly_prices")
    def _prices(self, proposal: Any) -> dict[str, float]:
        for name, usd in proposal["value"].items():
            if not 0 <= usd <= MOST_USD_PER_HOUR:  # NaN fails both comparisons, too
                bound = f"0 or more and at most {MOST_USD_PER_HOUR:.0f}"
                raise TraitError(f"{SECTION}.hourly_prices: {name} must be {bound}, not {usd}.")
        return dict(proposal["value"])

    @validate("locked", "unlocked")
    def _known_names(self, proposal: Any) -> list[str]:
        name = proposal["trait"].name
        settings = as_list(proposal["value"])
        for setting in settings:
            if setting not in FIELDS:
                known = ", ".join(FIELDS)
                raise TraitError(
                    f"{SECTION}.{name}: there is no setting {setting!r} ({known}). On the command "
                    f"line write --{SECTION}.{name}=dry_run, once for each name."
                )
        return settings

    def limits(self) -> Limits:
        """The limits, after checks that concern more than one trait. Raises TraitError or
        ConfigurationError that names the trait."""
        if self._config_error is not None:
            raise self._config_error
        low, high = self.min_idle_timeout_minutes, self.max_idle_timeout_minutes
        if low > high:
            raise ConfigurationError(
                f"{SECTION}.min_idle_timeout_minutes ({low:g}) is above "
                f"{SECTION}.max_idle_timeout_minutes ({high:g})."
            )
        limits = Limits(
            defaults={name: plain(getattr(self, name)) for name in FIELDS},
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
        """The configured parts of the server's identity. They override the metadata file."""
        names = ("domain_id", "user_profile_name", "space_name", "region_name")
        return {name: getattr(self, name) for name in names if getattr(self, name)}
