"""The lines in the server's log after the extension has started. They say whether the extension
removes anything, which kinds of resources, and after how long, for people who read only the log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from .._version import __version__
from ..core.formatting import duration
from ..core.model import Kind
from ..core.policy import Policy
from ..world.platform import LOCAL, NOTEBOOK_INSTANCE, STUDIO_CLASSIC, STUDIO_SPACE, Platform

PLACES = {
    LOCAL: "outside of SageMaker",
    NOTEBOOK_INSTANCE: "on a notebook instance",
    STUDIO_CLASSIC: "on Studio Classic",
    STUDIO_SPACE: "on a Studio space",
}


def start_lines(policy: Policy, platform: Platform) -> Iterator[str]:
    """The lines for ``policy``, which applies at the start."""
    place = PLACES.get(platform.kind, platform.kind)
    covered = f"{_covered(policy, platform)}{_exceptions(policy)}"
    start = f"auto_shutdown {__version__} {place}"
    if policy.unread is not None:
        yield (
            f"{start}: NOT armed, shuts nothing down, because the settings cannot be read. "
            f"{policy.unread.message} {policy.unread.remedy}"
        )
    elif not policy.enabled:
        yield (
            f"{start}: NOT armed, shuts nothing down, because the setting enabled is off. "
            f"When it is on: {covered}."
        )
    elif policy.dry_run:
        yield (
            f"{start}: NOT armed, shuts nothing down, because the setting dry_run is on. It only "
            f"records what it would shut down: {covered}."
        )
    else:
        yield f"{start}: armed. It shuts down {covered}. Users see {_notice(policy)}."
    yield (
        "auto_shutdown: `jupyter auto-shutdown status` shows what is due and when, and "
        "`jupyter auto-shutdown settings` shows who set each setting."
    )


def _covered(policy: Policy, platform: Platform) -> str:
    """The kinds of resources that are removed on this platform, each with its idle timeout."""
    app = {
        NOTEBOOK_INSTANCE: "this notebook instance",
        STUDIO_CLASSIC: "KernelGateway apps",
        STUDIO_SPACE: "this app",
    }.get(platform.kind, "")
    if not platform.has_apps and not (platform.own_app is not None and platform.own_app.own):
        app = ""
    kinds = [
        ("kernels", Kind.KERNEL),
        ("" if policy.keep_terminals else "terminals", Kind.TERMINAL),
        (app, Kind.APP),
    ]
    limits: dict[timedelta, list[str]] = {}
    for noun, kind in kinds:
        if noun:
            limit, _ = policy.limit_by_kind[kind]
            limits.setdefault(limit, []).append(noun)
    return "; ".join(
        f"{_listed(nouns)} after {duration(limit)} without activity"
        for limit, nouns in limits.items()
    )


def _listed(nouns: list[str]) -> str:
    return " and ".join(part for part in (", ".join(nouns[:-1]), nouns[-1]) if part)


def _exceptions(policy: Policy) -> str:
    """The settings that make exceptions from these limits, in brackets (empty: none)."""
    parts = []
    if policy.rules:
        number = len(policy.rules)
        parts.append(f"{number} {'rule gives' if number == 1 else 'rules give'} other limits")
    if policy.only_when_it_saves:
        parts.append("only where that saves the cost of an instance")
    return f" ({'; '.join(parts)})" if parts else ""


def _notice(policy: Policy) -> str:
    return f"a notice {duration(policy.warn)} before" if policy.warn else "no notice before"
