"""The planner on the app that the server itself runs in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from scene import (
    APP,
    IMAGE_TERMINAL,
    KERNEL,
    NOW,
    OWN,
    TERMINAL,
    Scene,
    ago,
    mark,
    with_ledger,
    with_mark,
)

from auto_shutdown.core.decision import Reason
from auto_shutdown.core.ledger import Veto
from auto_shutdown.core.marks import Work

OK = Scene()
WORKING = Work(NOW, NOW, "working", "99 % of a core")
VETO = Veto("backup", "the nightly copy runs", NOW + timedelta(minutes=1))


class TestOwnApp:
    """The extension first removes every resource in the server's own app, and then the app
    itself."""

    kernel = replace(KERNEL, app=OWN.id)
    terminal = replace(TERMINAL, app=OWN.id)

    def scene(self, **marks: object) -> Scene:
        since = ago(hours=3)
        own = mark(since, "InService", stamps={}, **marks)  # type: ignore[arg-type]
        known = {
            KERNEL.ref: mark(since, "idle", OWN.id),
            TERMINAL.ref: mark(since, "prompt", OWN.id),
            IMAGE_TERMINAL.ref: mark(since, "prompt", APP.id, stamps={}),
            OWN.ref: own,
        }
        ledger = replace(OK.ledger, marks=known)
        return replace(OK, kernel=self.kernel, terminal=self.terminal, app=OWN, ledger=ledger)

    def test_the_own_app_is_removed_last(self) -> None:
        assert [d.ref for d in self.scene().plan().removals] == [KERNEL.ref, TERMINAL.ref, OWN.ref]

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"kernel": replace(kernel, state="busy")}, Reason.IN_USE),
            ({"terminal": replace(terminal, running_job="python")}, Reason.RUNNING_JOB),
            ({"terminal": replace(terminal, unreadable="TypeError")}, Reason.UNKNOWN),
            ({"app": replace(OWN, stamps={"saved": NOW})}, Reason.RECENT_ACTIVITY),
            ({"app": replace(OWN, own=False)}, Reason.NOT_COVERED),
        ],
    )
    def test_one_change_keeps_the_own_app(self, changes: dict[str, object], reason: Reason) -> None:
        scene = replace(self.scene(), **changes)  # type: ignore[arg-type]
        assert scene.of(OWN.ref).reason is reason

    def test_detail_of_a_code_editor_app_names_what_the_extension_cannot_see(self) -> None:
        editor = replace(OWN, type="CodeEditor", own=False)
        scene = replace(self.scene(), app=editor)
        detail = scene.of(editor.ref).detail
        assert "the editor's own files, terminals and programs are not" in detail

    def test_terminal_with_background_work_keeps_the_own_app(self) -> None:
        scene = with_mark(self.scene(), TERMINAL.ref, work=WORKING)
        assert scene.of(OWN.ref).reason is Reason.IN_USE

    def test_background_work_keeps_the_own_app(self) -> None:
        assert self.scene(work=WORKING).of(OWN.ref).reason is Reason.BACKGROUND_WORK
        assert self.scene(work=Work()).of(OWN.ref).reason is Reason.GRACE

    def test_veto_on_a_kernel_keeps_the_own_app(self) -> None:
        scene = with_ledger(self.scene(), vetoes={KERNEL.ref: VETO})
        assert not scene.of(OWN.ref).removes
