"""Finds other tools that shut down idle resources here, and says which of them act before the
extension. A finding is never a failure: two such tools can run side by side, and the tool with the
shorter limit acts first."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from ..core.finding import Finding, ok, warning
from ..core.formatting import duration
from ..world.platform import STUDIO_SPACE
from . import cron
from .installation import enabled_extensions
from .situation import Situation

CHECK = "other cullers"


@dataclass(frozen=True)
class Trait:
    """An option of Jupyter that shuts down idle resources. ``sections`` are the names of its class
    in the releases of Jupyter. ``limit`` is the setting of this extension for the same kind of
    resource. ``what`` begins the message."""

    sections: tuple[str, ...]
    name: str
    limit: str
    what: str


TRAITS = (
    Trait(
        ("MappingKernelManager", "AsyncMappingKernelManager"),
        "cull_idle_timeout",
        "kernel_idle_timeout_minutes",
        "Jupyter itself shuts kernels down",
    ),
    Trait(
        ("TerminalManager",),
        "cull_inactive_timeout",
        "terminal_idle_timeout_minutes",
        "Jupyter itself closes terminals, even if a silent command runs in them,",
    ),
    Trait(
        ("ServerApp",),
        "shutdown_no_activity_timeout",
        "app_idle_timeout_minutes",
        "Jupyter itself stops this server, if it has no kernels and terminals,",
    ),
)

#: SageMaker's own agent, and the extension of aws-samples for Studio Classic.
AGENT = "jupyter_activity_monitor_extension"
INCUMBENT = "sagemaker_studio_autoshutdown"


def examine(situation: Situation) -> Iterator[Finding]:
    findings = [
        *(finding for trait in TRAITS for finding in _trait(situation, trait)),
        *_agent(situation),
        *_incumbent(situation),
        *cron.examine(situation, CHECK),
    ]
    yield from findings or [ok(CHECK, "none: nothing else shuts down idle resources")]


def _trait(situation: Situation, trait: Trait) -> Iterator[Finding]:
    for section in trait.sections:
        seconds = _seconds(situation.value(section, trait.name))
        if seconds <= 0:
            continue
        theirs = timedelta(seconds=seconds)
        busy = situation.value(section, "cull_busy")
        also = " It shuts down busy kernels, too." if busy and str(busy) != "False" else ""
        name = f"{section}.{trait.name}"
        yield warning(
            CHECK,
            f"{trait.what} after {duration(theirs)} ({name}, set by "
            f"{situation.source(section, trait.name)}); "
            f"{_beside(situation, theirs, trait.limit, 'Jupyter')}. It warns nobody, and "
            f"ignores keep-alives and background work.{also}",
            f"Set {name} to 0, so that auto_shutdown alone decides.",
        )


def _seconds(value: object) -> float:
    try:
        return float(str(value)) if value is not None else 0.0
    except ValueError:
        return 0.0


def _agent(situation: Situation) -> Iterator[Finding]:
    """SageMaker's own idle shutdown. Its limit is known if the running server could read it."""
    if situation.platform.kind != STUDIO_SPACE:
        return
    minutes = ((situation.report or {}).get("platform") or {}).get("native_idle_timeout_minutes")
    if minutes is None and not _is_on(situation, AGENT):
        return
    if minutes is None:
        text = (
            "SageMaker's own agent runs here: if idle shutdown is on for the domain, the user "
            "profile or the space, SageMaker deletes this app,"
        )
    else:
        theirs = timedelta(minutes=minutes)
        order = _beside(situation, theirs, "app_idle_timeout_minutes", "SageMaker")
        text = (
            f"SageMaker's own idle shutdown deletes this app after {duration(theirs)}; {order}. "
            "It decides"
        )
    yield warning(
        CHECK,
        f"{text} by the age of the last output. It treats a long silent cell as idle, and warns "
        "nobody. The tool with the shorter limit acts first.",
        "Give SageMaker's tool the longer limit, turn it off (Domain settings, Idle shutdown), or "
        "set AutoShutdown.protect_from_native.",
    )


def _beside(situation: Situation, theirs: timedelta, limit: str, other: str) -> str:
    """A part of a sentence that names our own limit and the tool that acts first."""
    own = situation.traits
    here = timedelta(minutes=float(getattr(own, limit) or own.idle_timeout_minutes))
    first = other if theirs < here else "auto_shutdown"
    return f"the limit here is {duration(here)}, so {first} acts first"


def _incumbent(situation: Situation) -> Iterator[Finding]:
    if _is_on(situation, INCUMBENT):
        yield warning(
            CHECK,
            f"the extension {INCUMBENT} is enabled, too: it removes apps by its own rules",
            f"jupyter server extension disable {INCUMBENT}, and remove it from lifecycle scripts.",
        )


def _is_on(situation: Situation, extension: str) -> bool:
    installed = importlib.util.find_spec(extension) is not None
    return installed and bool(enabled_extensions(situation).get(extension))
