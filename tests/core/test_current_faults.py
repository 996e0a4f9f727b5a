"""Faults: derived from the snapshot and the ledger, announced once, and the health that follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from scene import APP, IMAGE_TERMINAL, KERNEL, NOW, TERMINAL

from auto_shutdown.core.faults import Fault, derive, health_state, settle
from auto_shutdown.core.ledger import Failure, Ledger
from auto_shutdown.core.model import Kernel, Snapshot, Unread
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.cycle.removal import LATE, Remover

FAILED = Outcome(Result.PERMANENT, "Denied.", "AccessDenied", "Allow it.")


def test_each_fault_names_the_failure_and_the_remedy() -> None:
    unread = {"kernels": Unread("kernels", "OSError", "Cannot list.", "Wait.")}
    ledger = Ledger(NOW, failures={APP.ref: Failure(1, NOW, FAILED)})
    assert derive(Snapshot(unread=unread), ledger, NOW) == [
        Fault("kernels", "OSError", "Cannot list.", "Wait.", NOW, True),
        Fault(f"app {APP.id}", "AccessDenied", "Denied.", "Allow it.", NOW, True),
    ]


class TestFaults:
    def fault(self, source: str = "apps", code: str = "Throttled", blocking: bool = False) -> Fault:
        return Fault(source, code, "It failed.", "Wait.", NOW, blocking)

    def test_fault_is_announced_once_at_its_start_and_once_at_its_end(self) -> None:
        faults, started, over = settle({}, [self.fault()])
        assert (len(started), over) == (1, [])
        later = Fault("apps", "Throttled", "It failed again.", "Wait.", NOW + timedelta(1))
        faults, started, over = settle(faults, [later])
        assert (started, over, faults["apps"].since) == ([], [], NOW)
        faults, started, over = settle(faults, [])
        assert (faults, started, [f.source for f in over]) == ({}, [], ["apps"])

    def test_fault_with_another_code_is_announced_again(self) -> None:
        faults, _, _ = settle({}, [self.fault()])
        _, started, over = settle(faults, [self.fault(code="AccessDenied")])
        assert [f.code for f in started] == ["AccessDenied"]
        assert over == []

    def test_a_kernel_whose_gateway_refuses_is_a_fault_that_names_it(self) -> None:
        snapshot = Snapshot((Kernel("k1", refused="HTTP 404"), Kernel("k2")))
        (fault,) = derive(snapshot, Ledger(NOW), NOW)
        assert (fault.source, fault.code, fault.blocking) == (
            "connection of kernel k1",
            "KernelRefuses",
            False,
        )
        assert "HTTP 404" in fault.message
        assert "max_busy_minutes" in fault.remedy

    def test_faults_are_derived_from_the_snapshot_and_the_ledger(self) -> None:
        denied = Outcome(Result.PERMANENT, "Denied.", "AccessDenied", "Allow it.")
        ledger = Ledger(NOW, failures={APP.ref: Failure(1, NOW, denied)})
        unread = {s: Unread(s, "x", "m", "r") for s in ("terminals", "kernels")}
        found = derive(Snapshot(unread=unread), ledger, NOW)
        assert [(f.source, f.blocking) for f in found] == [
            ("terminals", False),
            ("kernels", True),
            (f"app {APP.id}", True),
        ]

    def test_no_two_faults_of_one_state_have_the_same_source(self) -> None:
        """The gateway of one kernel refuses, the removal of another kernel failed, and the shutdown
        of a third is late. Each fault is shown, and announced once over many passes."""
        sources = (Snapshot.APPS, Snapshot.KERNELS, Snapshot.SESSIONS, Snapshot.TERMINALS)
        unread = {name: Unread(name, "x", "m", "r") for name in sources}
        kernels = (replace(KERNEL, refused="HTTP 503"), Kernel("other", refused="HTTP 503"))
        snapshot = Snapshot(kernels, (TERMINAL, IMAGE_TERMINAL), (APP,), unread)
        refs = [resource.ref for resource in snapshot.resources]
        failed = Failure(1, NOW, Outcome(Result.TEMPORARY, "Failed.", "OSError", "Wait."))
        ledger = Ledger(NOW, failures=dict.fromkeys(refs, failed))
        situation: Any = SimpleNamespace(removals_under_way=dict.fromkeys(refs, NOW - LATE))
        nothing: Any = None
        remover = Remover(nothing, situation, *([nothing] * 7))
        current = derive(snapshot, ledger, NOW) + remover.faults(NOW)
        assert len(current) == len(unread) + len(kernels) + 2 * len(refs)
        faults, started, _ = settle({}, current)
        assert (list(faults.values()), started) == (current, current)
        assert settle(faults, current)[1:] == ([], [])
        for ref in refs:  # the panel finds the faults of a resource by the end of their source
            assert len([source for source in faults if source.endswith(ref.id)]) >= 2

    def test_one_cause_that_makes_several_sources_unreadable_is_one_fault(self) -> None:
        heartbeats = Unread("heartbeats", "OSError", "They cannot be read.", "Wait.")
        snapshot = Snapshot(unread=dict.fromkeys(("kernels", "terminals"), heartbeats))
        assert [fault.source for fault in derive(snapshot, Ledger(NOW), NOW)] == ["heartbeats"]

    @pytest.mark.parametrize(
        ("blocking", "enabled", "state"),
        [
            ([], True, "ok"),
            ([False], True, "degraded"),
            ([False, True], True, "failing"),
            ([True], False, "disabled"),
        ],
    )
    def test_health_state_follows_from_faults_and_enabled(
        self, blocking: list[bool], enabled: bool, state: str
    ) -> None:
        assert health_state([self.fault(blocking=b) for b in blocking], enabled) == state
