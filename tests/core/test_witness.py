"""Work of an app in another container can be seen only while one of its kernels can be asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planner_tables import IDLE_SCENE, joined, other
from scene import APP, ASKED, KERNEL, NOW, Scene, with_mark, with_policy

from auto_shutdown.core.marks import Work
from auto_shutdown.core.verdict import Reason

WORKING = Work(NOW, NOW, "working", "its host uses 1.00 cores")
AT_WORK = with_mark(IDLE_SCENE, APP.ref, work=WORKING)
UNTOLD = Work(NOW, NOW, "untold", "the kernel does not say")


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


def test_no_idle_kernel_stays_beside_one_that_is_kept_anyway() -> None:
    scene = joined(AT_WORK, other(state="busy"))
    assert reasons(scene)["k1"] is Reason.IDLE


@pytest.mark.parametrize(
    "scene",
    [
        with_mark(AT_WORK, APP.ref, work=ASKED),
        with_mark(AT_WORK, KERNEL.ref, work=UNTOLD),
        replace(AT_WORK, app=replace(APP, own=True)),
    ],
    ids=["the work has ended", "a kernel that does not say", "the server's own app"],
)
def test_a_kernel_that_shows_nothing_goes(scene: Scene) -> None:
    assert reasons(scene)["k1"] is not Reason.BACKGROUND_WORK


def test_a_disabled_product_keeps_all_as_before() -> None:
    assert reasons(with_policy(AT_WORK, enabled=False)) == {"k1": Reason.DISABLED}
