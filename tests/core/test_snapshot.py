"""Parts of a snapshot: one resource, and all resources that its second look reads."""

from __future__ import annotations

from dataclasses import replace

from scene import APP, IMAGE_TERMINAL, KERNEL, TERMINAL, other

from auto_shutdown.core.model import Kind, Ref, Snapshot, Unread


class TestParts:
    lost = replace(other(), app=None, unreadable="TraitError")
    whole = Snapshot((KERNEL, lost), (TERMINAL, IMAGE_TERMINAL), (APP,), {})

    def test_a_snapshot_finds_each_resource(self) -> None:
        assert [self.whole.find(r.ref) for r in self.whole.resources] == [*self.whole.resources]
        assert self.whole.find(Ref(Kind.KERNEL, "none")) is None

    def test_second_look_at_a_kernel_or_terminal_reads_only_it(self) -> None:
        unread = {"apps": Unread("apps", "x", "x", "x")}
        whole = replace(self.whole, unread=unread)
        assert whole.bearing_on(KERNEL.ref) == Snapshot((KERNEL,), (), (), unread)
        assert whole.bearing_on(TERMINAL.ref) == Snapshot((), (TERMINAL,), (), unread)

    def test_second_look_at_an_app_reads_all_that_may_run_in_it(self) -> None:
        assert self.whole.bearing_on(APP.ref) == Snapshot(
            (KERNEL, self.lost), (IMAGE_TERMINAL,), (APP,), {}
        )
