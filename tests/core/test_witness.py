"""While an app in another container works, one kernel that can report this work has to stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from planner_tables import IDLE_SCENE
from scene import (
    APP,
    ASKED,
    IMAGE_TERMINAL,
    KERNEL,
    NOW,
    Scene,
    joined,
    other,
    with_kernel,
    with_ledger,
    with_mark,
    with_policy,
)

from auto_shutdown.core.decision import Reason
from auto_shutdown.core.ledger import Hold
from auto_shutdown.core.marks import Work
from auto_shutdown.core.model import Kernel

WORKING = Work(NOW, NOW, "working", "its host uses 1.00 cores")
AT_WORK = with_mark(IDLE_SCENE, APP.ref, work=WORKING)
UNANSWERED = Work(NOW, NOW, "unanswered", "the kernel does not say")
HELD = {other().ref: Hold(NOW + timedelta(hours=1))}


def beside(kernel: Kernel, work: Work = ASKED) -> Scene:
    """A working app in which ``kernel`` runs beside the idle kernel. ``work`` is the last answer of
    ``kernel``."""
    return with_mark(joined(AT_WORK, kernel), kernel.ref, work=work)


def reasons(scene: Scene) -> dict[str, Reason]:
    plan = scene.plan()
    return {k.id: d.reason for k in scene.snapshot.kernels if (d := plan.of(k.ref)) is not None}


def test_the_last_idle_kernel_stays_while_its_app_works() -> None:
    assert reasons(AT_WORK) == {"k1": Reason.BACKGROUND_WORK}
    assert AT_WORK.of(APP.ref).reason is Reason.BACKGROUND_WORK
    assert AT_WORK.of(KERNEL.ref).detail == (
        "Something works in the background: its host uses 1.00 cores."
    )


def test_one_of_several_idle_kernels_stays() -> None:
    scene = joined(AT_WORK, other())
    assert sorted(reasons(scene).values()) == [Reason.BACKGROUND_WORK, Reason.IDLE]


KEPT_AND_CAN_REPORT = {
    "busy": beside(other(state="busy")),
    "used lately": beside(other(last_activity=NOW)),
    "works itself": beside(other(), WORKING),
    "kept alive": with_ledger(beside(other()), holds=HELD),
    "busy, its shell silent, without a client": beside(
        other(state="busy", shell_silent=True, connections=0)
    ),
    "waits in input() with a client": beside(other(state="busy", waiting_for="input")),
}


@pytest.mark.parametrize("name", KEPT_AND_CAN_REPORT)
def test_no_idle_kernel_stays_beside_a_kept_kernel_that_can_report(name: str) -> None:
    scene = KEPT_AND_CAN_REPORT[name]
    assert not scene.of(other().ref).removes
    assert reasons(scene)["k1"] is Reason.IDLE


KEPT_BUT_CANNOT_REPORT = {
    "dead, kept alive": with_ledger(beside(other(state="dead")), holds=HELD),
    "dead, with a protected client": with_policy(
        beside(other(state="dead")), protect_connected=True
    ),
    "its gateway refuses": beside(other(refused="HTTP 404")),
    "starting": beside(other(state="starting"), Work()),
    "not asked yet": beside(other(state="busy"), Work()),
    "does not say": beside(other(state="busy"), UNANSWERED),
    "cannot be read": beside(other(unreadable="TraitError")),
    "busy, and its gateway keeps output for a client that left": beside(
        other(state="busy", connections=0)
    ),
}


@pytest.mark.parametrize("name", KEPT_BUT_CANNOT_REPORT)
def test_an_idle_kernel_stays_beside_a_kept_kernel_that_cannot_report(name: str) -> None:
    """Without the idle kernel, nothing could report the end of the app's work."""
    scene = with_kernel(KEPT_BUT_CANNOT_REPORT[name], connections=0)
    assert not scene.of(other().ref).removes
    assert reasons(scene)["k1"] is Reason.BACKGROUND_WORK


@pytest.mark.parametrize(
    "scene",
    [
        with_mark(AT_WORK, APP.ref, work=ASKED),
        with_mark(AT_WORK, KERNEL.ref, work=UNANSWERED),
        with_mark(with_kernel(AT_WORK, state="dead"), KERNEL.ref, state="dead"),
        replace(AT_WORK, app=replace(APP, own=True)),
    ],
    ids=["the work has ended", "a kernel that does not say", "a dead kernel", "the own app"],
)
def test_a_kernel_that_cannot_report_is_removed(scene: Scene) -> None:
    assert reasons(scene)["k1"] is not Reason.BACKGROUND_WORK


# -- the app is queried before its last kernel that can report is removed ------------------------

#: The app is due long after its kernels, and nobody has queried it.
APP_DUE_LATER = with_mark(IDLE_SCENE, APP.ref, active_at=NOW, work=Work())
LONG_AGO = NOW - timedelta(minutes=5)
UNREAD = Work(NOW, LONG_AGO, "unread", "a server does not answer")


def app_asked(work: Work) -> Scene:
    return with_mark(APP_DUE_LATER, APP.ref, work=work)


MUST_ASK = {
    "never": APP_DUE_LATER,
    "measured for too short a time": app_asked(Work(NOW)),
    "long ago": app_asked(Work(LONG_AGO, LONG_AGO, "none")),
    "beside a kernel that does not say": with_mark(
        joined(APP_DUE_LATER, other(state="busy")), other().ref, work=UNANSWERED
    ),
}


@pytest.mark.parametrize("name", MUST_ASK)
def test_the_last_kernel_stays_until_its_app_was_queried(name: str) -> None:
    """A cell may have started a job that continues (``nohup``), and only this kernel can report
    it."""
    kept = MUST_ASK[name].of(KERNEL.ref)
    assert (kept.reason, kept.parameters) == (Reason.GRACE, {"case": "asking"})
    assert kept.detail == (
        "Idle 3 h of 2 h; it is being asked whether anything works in the background."
    )
    assert kept.due_at is not None
    assert NOW < kept.due_at <= NOW + timedelta(minutes=1)


def test_the_last_kernel_stays_while_the_work_of_its_app_cannot_be_read() -> None:
    kept = app_asked(UNREAD).of(KERNEL.ref)
    assert (kept.reason, kept.due_at) == (Reason.UNKNOWN, None)
    assert kept.detail == (
        "Whether anything works in the background is not known: a server does not answer."
    )


def test_one_of_several_kernels_stays_until_the_app_was_queried() -> None:
    scene = joined(APP_DUE_LATER, other())
    assert sorted(reasons(scene).values()) == [Reason.GRACE, Reason.IDLE]


REHEARSED = {KERNEL.ref: IDLE_SCENE.of(KERNEL.ref).idle_since}
NEED_NOT_ASK = {
    "nothing works in it": app_asked(ASKED),
    "nobody could say": app_asked(UNANSWERED),
    "a kernel that does not say": with_mark(APP_DUE_LATER, KERNEL.ref, work=UNANSWERED),
    "another kernel stays": joined(APP_DUE_LATER, other(last_activity=NOW)),
    "the removal is only rehearsed": with_ledger(
        with_policy(APP_DUE_LATER, dry_run=True), rehearsed=REHEARSED
    ),
    "the app is being deleted": replace(
        APP_DUE_LATER, app=replace(APP_DUE_LATER.app, status="Deleting")
    ),
}


@pytest.mark.parametrize("name", NEED_NOT_ASK)
def test_a_kernel_is_removed_if_its_app_needs_no_query(name: str) -> None:
    assert NEED_NOT_ASK[name].of(KERNEL.ref).reason is Reason.IDLE


def test_a_disabled_extension_keeps_every_kernel() -> None:
    assert reasons(with_policy(AT_WORK, enabled=False)) == {"k1": Reason.DISABLED}


# -- an app whose host uses less than a whole core: agents, or a job ------------------------------

HOUR = timedelta(hours=1)


def low_use(since: timedelta, active: timedelta = 9 * HOUR, **policy: object) -> Scene:
    """The host has used the processor only a little since ``since``. A user was active in the app
    ``active`` ago."""
    detail = "its host used 30% of a core, perhaps for an agent or another app"
    work = Work(NOW, NOW, "working", detail, low_use_since=NOW - since)
    at = NOW - active
    kernel = with_kernel(IDLE_SCENE, last_activity=at)
    kernel = with_mark(kernel, KERNEL.ref, active_at=at, stamps={"last-activity": at})
    kernel = with_mark(kernel, IMAGE_TERMINAL.ref, active_at=at)
    scene = with_mark(kernel, APP.ref, work=work, active_at=at)
    return with_policy(scene, suspect_after=2 * HOUR, **policy)


@pytest.mark.parametrize(
    ("scene", "of_app", "of_kernel"),
    [
        (low_use(HOUR), Reason.BACKGROUND_WORK, Reason.BACKGROUND_WORK),
        (low_use(3 * HOUR), Reason.SUSPECT_BUSY, Reason.BACKGROUND_WORK),
        (low_use(3 * HOUR, max_busy=4 * HOUR), Reason.SUSPECT_BUSY, Reason.BACKGROUND_WORK),
        (low_use(5 * HOUR, max_busy=4 * HOUR), Reason.MAX_BUSY, Reason.IDLE),
    ],
    ids=["an hour", "suspect", "before max_busy", "after max_busy"],
)
def test_a_low_use_of_the_host_ends_with_max_busy(
    scene: Scene, of_app: Reason, of_kernel: Reason
) -> None:
    assert scene.of(APP.ref).reason is of_app
    assert scene.of(APP.ref).removes is scene.of(KERNEL.ref).removes
    assert scene.of(KERNEL.ref).reason is of_kernel


def test_a_low_use_of_the_host_counts_from_the_last_activity_in_the_app() -> None:
    """A cell may have caused the use before that activity. Now a job that this cell started may
    cause it."""
    lately = low_use(9 * HOUR, active=3 * HOUR, max_busy=4 * HOUR)
    assert lately.of(APP.ref).reason is Reason.SUSPECT_BUSY
    assert low_use(9 * HOUR, active=HOUR).of(APP.ref).reason is Reason.BACKGROUND_WORK


def test_the_sentence_of_a_low_use_of_the_host_claims_no_work() -> None:
    use = "ts host used 30% of a core, perhaps for an agent or another app"
    assert low_use(HOUR).of(APP.ref).detail == f"Something may work in it: i{use}."
    assert (
        low_use(3 * HOUR)
        .of(APP.ref)
        .detail.startswith(f"I{use}, and showed no other sign of work for 3 h. It is kept")
    )
