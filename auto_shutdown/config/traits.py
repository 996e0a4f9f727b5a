"""The administrator's traits, on the class ``AutoShutdown``: defaults for users, bounds, locks,
and who this server is.

A bad value is a TraitError that names the trait, and the extension then does not start: an
administrator's typing error must be seen, not guessed around.
"""

from __future__ import annotations

import math
import os
from typing import Any

from jupyter_core.paths import jupyter_data_dir
from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Float, List, TraitError, Unicode, default, validate
from traitlets.config import Configurable

from .settings import FIELDS, Limits, SettingError
from .settings import validate as validate_setting

#: Where SageMaker's agent and remote IDEs leave the time of the last activity (platform.md 4).
ACTIVITY_FILE = "/tmp/.sagemaker-last-active-timestamp"

METADATA_PATH = "/opt/ml/metadata/resource-metadata.json"


def _minutes(value: float, text: str) -> Any:
    return Float(value, help=text).tag(config=True)


def _nullable(name: str) -> Any:
    return AnyTrait(None, allow_none=True, help=FIELDS[name].doc).tag(config=True)


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
    only_when_it_saves = Bool(False, help=FIELDS["only_when_it_saves"].doc).tag(config=True)

    min_idle_timeout_minutes = _minutes(10, "The shortest limit a user may choose.")
    max_idle_timeout_minutes = _minutes(525600, "The longest limit a user may choose.")
    locked = List(
        Unicode(), help="Names of settings that users cannot change; their value is the one here."
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
        480, "A busy kernel that is silent and uses no processor for so long is shown as suspect."
    )
    max_busy_minutes = AnyTrait(
        None,
        allow_none=True,
        help="A suspect kernel that has been so for this long is removed; null: never.",
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
        False, help="Keep SageMaker's own idle shutdown off while anything here is at work or kept."
    ).tag(config=True)
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
        """Keep an error for ``limits()``. jupyter_server would only log it, with a traceback, and
        then run this extension without the administrator's configuration."""
        try:
            super()._load_config(cfg, section_names, traits)
        except TraitError as error:
            self._config_error = error

    @default("state_dir")
    def _default_state_dir(self) -> str:
        return os.path.join(jupyter_data_dir(), "auto-shutdown")

    @validate(
        "min_idle_timeout_minutes",
        "max_idle_timeout_minutes",
        "max_keep_alive_minutes",
        "poll_interval_seconds",
        "suspect_after_minutes",
    )
    def _above_zero(self, proposal: Any) -> float:
        return _number(proposal, above_zero=True)

    @validate("max_busy_minutes")
    def _none_or_above_zero(self, proposal: Any) -> float | None:
        value = proposal["value"]
        if value is None or value == "null":
            return None
        try:
            return _number({**proposal, "value": float(value)}, above_zero=True)
        except (TypeError, ValueError):
            message = f"AutoShutdown.max_busy_minutes must be a number or null, not {value!r}."
            raise TraitError(message) from None

    @validate(
        "grace_minutes", "startup_grace_minutes", "output_only_minutes", "presence_max_minutes"
    )
    def _not_below_zero(self, proposal: Any) -> float:
        return _number(proposal, above_zero=False)

    @validate("hourly_prices")
    def _prices(self, proposal: Any) -> dict[str, float]:
        for name, usd in proposal["value"].items():
            if not math.isfinite(usd) or usd < 0:
                raise TraitError(
                    f"AutoShutdown.hourly_prices: {name} must be 0 or more, not {usd}."
                )
        return dict(proposal["value"])

    @validate("locked")
    def _known_names(self, proposal: Any) -> list[str]:
        for name in proposal["value"]:
            if name not in FIELDS:
                known = ", ".join(FIELDS)
                raise TraitError(f"AutoShutdown.locked: there is no setting {name!r} ({known}).")
        return list(proposal["value"])

    def limits(self) -> Limits:
        """The limits, checked against each other. Raises TraitError naming the trait."""
        if self._config_error is not None:
            raise TraitError(str(self._config_error))
        low, high = self.min_idle_timeout_minutes, self.max_idle_timeout_minutes
        if low > high:
            raise TraitError(
                f"AutoShutdown.min_idle_timeout_minutes ({low:g}) is above "
                f"AutoShutdown.max_idle_timeout_minutes ({high:g})."
            )
        limits = Limits(
            defaults={name: _plain(getattr(self, name)) for name in FIELDS},
            min_idle_timeout_minutes=low,
            max_idle_timeout_minutes=high,
            locked=frozenset(self.locked),
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
                raise TraitError(f"AutoShutdown.{error} It is {value!r}.") from None
        return limits

    def platform_overrides(self) -> dict[str, str]:
        """What is configured of the identity, in place of the metadata file."""
        names = ("domain_id", "user_profile_name", "space_name", "region_name")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


def _plain(value: Any) -> Any:
    """Plain JSON: traitlets reads a list of objects from the command line as its own types, and
    a whole number of minutes reads better without its ``.0``."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [dict(item) if isinstance(item, dict) else item for item in value]
    return value


def _number(proposal: Any, above_zero: bool) -> float:
    value, name = proposal["value"], proposal["trait"].name
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        bound = "above 0" if above_zero else "0 or more"
        raise TraitError(f"AutoShutdown.{name} must be {bound}, not {value!r}.")
    return float(value)
