"""Simulated users send requests to the product: keep-alives, settings, removals, heartbeats."""

from __future__ import annotations

from typing import Any

from truth import HOUR, MINUTE, NEVER
from user_base import UserBase, ref_of

from auto_shutdown.core.model import EVERYTHING
from auto_shutdown.core.signals import Signal


class RequestUsers(UserBase):
    """Requests of users to the product."""

    async def be_present(self) -> None:
        thing = self._any()
        if thing is not None:
            await self.simulation.controller.requests.note_activity(ref_of(thing))
            for each in (thing, *self.studio.oracle.tenants(thing)):
                each.add_weak(Signal.PRESENCE, self.studio.t)

    def touch_heartbeat_file(self) -> None:
        """Touch the heartbeat file for everything, or for one app."""
        app = self.choose("app", status="InService")
        key = app.id if app is not None and self.rng.random() < 0.6 else None
        self.studio.heartbeats[key] = self.simulation.clock.now
        for thing in self.studio.alive():
            if thing.unreadable:
                continue  # the product does not even know its app
            if key is None or thing.id == key or thing.app == key:
                self.studio.use(thing, Signal.HEARTBEAT)

    async def keep(self) -> None:
        minutes = self.rng.uniform(5, 600)
        thing = self._any() if self.rng.random() < 0.85 else None
        until = self.studio.t + minutes * MINUTE
        ref = ref_of(thing) if thing is not None else EVERYTHING
        await self.simulation.controller.requests.keep_alive(ref, minutes)
        if thing is not None:
            thing.kept_until = until
        else:
            self.studio.host.everything_kept_until = until
        self.simulation.wake()

    async def release(self) -> None:
        thing = self._any()
        if thing is not None:
            await self.simulation.controller.requests.keep_alive(ref_of(thing), None)
            thing.kept_until = NEVER
            self.simulation.wake()

    async def change_settings(self) -> None:
        rng, settings = self.rng, self.studio.rules.settings
        rule = {"instance_type": "ml.g5.*", "idle_timeout_minutes": rng.randint(10, 90)}
        other = {"kernel_name": "jul*", "idle_timeout_minutes": rng.randint(10, 400)}
        patch: dict[str, Any] = rng.choice(
            [
                {"idle_timeout_minutes": rng.randint(10, 240)},
                {"kernel_idle_timeout_minutes": rng.choice((None, rng.randint(10, 240)))},
                {"app_idle_timeout_minutes": rng.choice((None, rng.randint(10, 240)))},
                {"terminal_idle_timeout_minutes": rng.choice((None, rng.randint(10, 240)))},
                {"warn_minutes": rng.choice((0, 2, 5, 15))},
                {"rules": rng.choice(([], [rule], [rule, other], [other]))},
                {"protect_connected": rng.random() < 0.3},
                {"keep_terminals": rng.random() < 0.3},
                {"enabled": rng.random() < 0.6},
                {"dry_run": rng.random() < 0.2},
            ]
        )
        await self.simulation.controller.requests.patch_settings(patch)
        settings.update(patch)
        if not settings["enabled"] or settings["dry_run"]:
            self.simulation.after(rng.uniform(0.5, 10) * HOUR, self.all_on_again)
        for thing in self.studio.alive():
            self.studio.excuse(thing)
        self.simulation.wake()

    async def all_on_again(self) -> None:
        if not self.simulation.serving:
            self.simulation.after(HOUR, self.all_on_again)
            return
        patch = {"enabled": True, "dry_run": False}
        await self.simulation.controller.requests.patch_settings(patch)
        self.studio.rules.settings.update(patch)
        self.simulation.wake()

    async def remove_on_request(self) -> None:
        thing = self._any()
        if thing is None or (thing.kind == "app" and self.studio.host.unread):
            return
        self.studio.requested = True
        try:
            await self.simulation.request(ref_of(thing))
        finally:
            self.studio.requested = False
        self.simulation.wake()

    def delete_app_elsewhere(self) -> None:
        app = self.choose("app", status="InService", own=False)
        if app is not None:
            for tenant in self.studio.oracle.tenants(app):
                self.studio.end(tenant)
            app.status, app.gone = "Deleting", self.studio.t

    def look_at_the_panel(self) -> None:
        self.simulation.controller.panel_asked()
