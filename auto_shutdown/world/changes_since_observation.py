"""What this server process has learned since the kernels, terminals and apps were last observed.

A removal observes its resource a last time, and may then wait before the call that ends the
resource: for its turn in the thread of the SageMaker calls, or for the answer of a kernel's shell.
In that time this process may pass a request to a kernel, a client may connect, and a kernel or
terminal may be started. Nothing here sends a request or waits, so it may run right before the call,
in any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..core.marks import DEAD
from ..core.model import App, Departure, Kernel, Terminal, apps_of
from ..core.signals import Signal
from .iopub_subscription import IOPubSubscription
from .kernel_models import state_by_messages
from .kernel_requests import KernelRequests
from .placement import place, within


def updated_kernel(
    kernel: Kernel,
    requests: KernelRequests | None,
    subscription: IOPubSubscription | None,
    connections: int,
) -> Kernel:
    """``kernel`` with its ``requests``, its IOPub ``subscription`` and the number of its
    ``connections`` as they are now; the same object if nothing has changed.

    The observed activity stays: a kernel that was busy stays busy, and a client that has left since
    still counts.
    """
    if kernel.unreadable:
        return kernel
    changes: dict[str, Any] = {"connections": max(connections, kernel.connections)}
    if requests is not None:
        changes["request_sent_at"] = requests.sent_at or kernel.request_sent_at
        if kernel.state not in DEAD:
            changes["state"] = state_by_messages(kernel.state, requests)
        if kernel.waiting_for == "input" and not requests.asked_for_input:
            changes["waiting_for"] = None  # a client has answered
    if subscription is not None and kernel.iopub is not None:
        changes["iopub"] = subscription.activity
        if kernel.waiting_for == "debugger" and not subscription.in_debugger:
            changes["waiting_for"] = None
    if all(getattr(kernel, name) == value for name, value in changes.items()):
        return kernel
    return replace(kernel, **changes)


def updated_terminals(
    known: Iterable[Terminal], current: Iterable[Terminal], apps: Iterable[App]
) -> tuple[Terminal, ...]:
    """The ``known`` terminals, updated from the ``current`` state of their devices, and the
    terminals that were opened since in one of ``apps``.

    A device shows neither the app nor the heartbeat of a terminal, so these stay as observed. A
    terminal that has ended since stays in the result.
    """
    now = {terminal.id: terminal for terminal in current}
    updated = [_updated_terminal(before, now.pop(before.id, before)) for before in known]
    own = next((app for app in apps if app.own), None)
    opened = tuple(now.values()) if own is None else [within(own, each) for each in now.values()]
    ids = {app.id for app in apps}
    return (*updated, *(each for each in place(opened, apps) if ids.intersection(apps_of(each))))


def _updated_terminal(before: Terminal, now: Terminal) -> Terminal:
    if before.unreadable or before.in_image:
        return before
    return replace(
        now,
        app=before.app,
        may_be_in=before.may_be_in,
        instance_type=before.instance_type,
        heartbeat_at=before.heartbeat_at,
    )


def updated_apps(apps: Iterable[App], reports: Mapping[str, datetime]) -> tuple[App, ...]:
    """``apps``, with the ``reports`` for the whole server added to the server's own app."""
    return tuple(replace(app, stamps={**app.stamps, **reports}) if app.own else app for app in apps)


def started_kernel(now: datetime) -> Departure:
    """Evidence of a kernel that is being started, and may run in any app."""
    return Departure(None, now, Signal.ARRIVAL, anywhere=True)
