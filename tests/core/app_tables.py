"""The planner's tables for apps. Each row changes one thing of the scene in which everything is
idle and due, and gives the reason that the planner must name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from planner_tables import FAILED, HOUR, IDLE_SCENE, UNANSWERED, low_host_use, refused
from scene import (
    APP,
    IMAGE_TERMINAL,
    KERNEL,
    NOW,
    Scene,
    ago,
    joined,
    other,
    with_ledger,
    with_mark,
    with_marks,
    with_policy,
)

from auto_shutdown.core.decision import Reason
from auto_shutdown.core.ledger import Failure, Hold
from auto_shutdown.core.marks import Work
from auto_shutdown.core.model import Kernel
from auto_shutdown.core.policy import Rule

APP_ROWS = {
    "disabled": (with_policy(IDLE_SCENE, enabled=False), Reason.DISABLED),
    "its list cannot be read": (replace(IDLE_SCENE, unread=("apps",)), Reason.UNKNOWN),
    "the kernels cannot be read": (replace(IDLE_SCENE, unread=("kernels",)), Reason.UNKNOWN),
    "the sessions cannot be read": (replace(IDLE_SCENE, unread=("sessions",)), Reason.UNKNOWN),
    "the terminals cannot be read": (replace(IDLE_SCENE, unread=("terminals",)), Reason.UNKNOWN),
    "the gateway of a kernel refuses": (refused(3 * HOUR), Reason.UNKNOWN),
    "the gateway of a stuck kernel refuses after it was asked once": (
        with_mark(refused(3 * HOUR), KERNEL.ref, work=UNANSWERED),
        Reason.UNKNOWN,
    ),
    "the gateway of a kernel refuses, for less than eight hours": (
        refused(8 * HOUR - timedelta(minutes=1)),
        Reason.UNKNOWN,
    ),
    "the gateway of a kernel that came up refuses, for eight hours": (
        refused(8 * HOUR, "idle"),
        Reason.IN_USE,
    ),
    "an unreadable kernel in it": (
        joined(IDLE_SCENE, other(unreadable="TraitError", app=None)),
        Reason.UNKNOWN,
    ),
    "an unreadable kernel that may run in any app": (
        replace(IDLE_SCENE, more_kernels=(Kernel("k9", unreadable="TraitError"),)),
        Reason.UNKNOWN,
    ),
    "pending": (replace(IDLE_SCENE, app=replace(APP, status="Pending")), Reason.NOT_IN_SERVICE),
    "deleting": (replace(IDLE_SCENE, app=replace(APP, status="Deleting")), Reason.NOT_IN_SERVICE),
    "deleted": (replace(IDLE_SCENE, app=replace(APP, status="Deleted")), Reason.NOT_IN_SERVICE),
    "failed": (replace(IDLE_SCENE, app=replace(APP, status="Failed")), Reason.NOT_IN_SERVICE),
    "a status never heard of": (
        replace(IDLE_SCENE, app=replace(APP, status="Napping")),
        Reason.NOT_IN_SERVICE,
    ),
    "a busy kernel": (joined(IDLE_SCENE, other(state="busy")), Reason.IN_USE),
    "a kernel kept alive": (
        with_ledger(joined(IDLE_SCENE, other()), holds={other().ref: Hold(NOW + HOUR)}),
        Reason.IN_USE,
    ),
    "a kept-alive kernel whose gateway refuses, for eight hours": (
        with_ledger(refused(8 * HOUR), holds={KERNEL.ref: Hold(NOW + HOUR)}),
        Reason.IN_USE,
    ),
    "a kernel with a longer limit": (
        with_policy(IDLE_SCENE, kernel_idle_timeout=8 * HOUR),
        Reason.IN_USE,
    ),
    "a kernel used lately": (
        joined(IDLE_SCENE, other(last_activity=ago(hours=1))),
        Reason.RECENT_ACTIVITY,
    ),
    "a kernel that has just arrived": (
        replace(IDLE_SCENE, more_kernels=(other(),)),
        Reason.RECENT_ACTIVITY,
    ),
    "a starting kernel": (
        replace(joined(IDLE_SCENE, other()), more_kernels=(other(state="starting"),)),
        Reason.IN_USE,
    ),
    "a kernel of unknown state": (joined(IDLE_SCENE, other(state="dreaming")), Reason.UNKNOWN),
    "a low use of its host, for less than an hour": (
        low_host_use(HOUR - timedelta(minutes=1)),
        Reason.BACKGROUND_WORK,
    ),
    "a low use of its host, for an hour": (low_host_use(HOUR), Reason.SUSPECT_BUSY),
    "a low use of its host, before max_busy": (
        low_host_use(HOUR, max_busy=9 * HOUR),
        Reason.SUSPECT_BUSY,
    ),
    "kept alive": (with_ledger(IDLE_SCENE, holds={APP.ref: Hold(NOW + HOUR)}), Reason.KEPT_ALIVE),
    "its terminal kept alive": (
        with_ledger(IDLE_SCENE, holds={IMAGE_TERMINAL.ref: Hold(NOW + HOUR)}),
        Reason.KEPT_ALIVE,
    ),
    "terminals kept": (with_policy(IDLE_SCENE, keep_terminals=True), Reason.TERMINAL_OPEN),
    "created again": (
        replace(IDLE_SCENE, app=replace(APP, created_at=ago(minutes=30))),
        Reason.RECENT_ACTIVITY,
    ),
    "the server has just started": (with_ledger(IDLE_SCENE, quiet_until=NOW + HOUR), Reason.GRACE),
    "deleting it failed": (
        with_ledger(IDLE_SCENE, failures={APP.ref: Failure(1, NOW + HOUR, FAILED)}),
        Reason.BACKING_OFF,
    ),
    "a longer limit for apps": (
        with_policy(IDLE_SCENE, app_idle_timeout=8 * HOUR),
        Reason.RECENT_ACTIVITY,
    ),
    "in service for a moment only": (
        with_marks(
            with_policy(
                IDLE_SCENE, grace=4 * HOUR, idle_timeout=HOUR, kernel_idle_timeout=HOUR / 60
            )
        ),
        Reason.GRACE,
    ),
}

NOT_COVERED = ["JupyterServer", "JupyterLab", "CodeEditor", "Canvas", "TensorBoard", "NeverHeardOf"]

APP_STILL_REMOVED = {
    "the gateway of a stuck kernel refuses, for eight hours": refused(8 * HOUR),
    "its kernel could not be shut down": with_ledger(
        IDLE_SCENE, failures={KERNEL.ref: Failure(1, NOW + HOUR, FAILED)}
    ),
    "no kernels at all": replace(IDLE_SCENE, kernel=replace(KERNEL, app=None)),
    "a kernel on an app that is not listed": joined(
        IDLE_SCENE, other(app="KernelGateway/unlisted")
    ),
    "an unreadable kernel last seen elsewhere": joined(
        IDLE_SCENE, other(app="KernelGateway/elsewhere", unreadable="TraitError")
    ),
}

STUCK = ["starting", "restarting", "unknown"]


def with_stuck_kernel(state: str, work: Work) -> Scene:
    """The app has a second kernel, which is stuck and has a longer limit of its own."""
    stuck = other(state=state)
    scene = with_policy(joined(IDLE_SCENE, stuck), rules=(Rule(8 * HOUR, kernel_name="stuck"),))
    scene = with_mark(scene, stuck.ref, work=work)
    return replace(scene, more_kernels=(replace(stuck, name="stuck"),))
