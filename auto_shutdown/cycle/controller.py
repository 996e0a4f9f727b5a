"""The cycle: observe, decide, act, report; and the timer that runs it.

Nothing here knows a rule: what is idle is decided in ``core``, what can be seen and removed is
known by ``world``. This module owns the order of things, the clock, and the one lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ..config.settings import Limits
from ..core.at_work import last_at_work
from ..core.ledger import Ledger, advance, give_notice, hold, learn, note, object_to, shift
from ..core.model import EVERYTHING, App, Kind, Ref, Snapshot
from ..core.planner import decide
from ..core.policy import Policy
from ..core.questions import next_question, questions
from ..core.report import Passes, build, keep_alives
from ..core.signals import Signal
from ..core.verdict import Fault, Plan
from ..state.history import History
from ..state.preferences import Preferences
from ..state.saved_ledger import SavedLedger
from ..state.savings import Account
from ..state.store import Store
from ..world.clock import Clock, Moment
from ..world.platform import Platform
from ..world.world import World
from .app_listing import AppListing
from .health import Health
from .removal import RefusedError, Remover
from .veto import VetoHooks

#: What somebody's words make of a ledger.
Change = Callable[[Ledger], Ledger]

#: A stop of the server waits that long for a pass in flight.
STOP_SECONDS = 10.0


class Controller:
    """Runs the passes of one server, and answers what people ask of it.

    All methods belong to the server's event loop. Passes, and requests that change something,
    are serialised by one lock: there are never two at once.
    """

    def __init__(
        self,
        world: World,
        store: Store,
        history: History,
        limits: Limits,
        clock: Clock,
        log: logging.Logger,
        standing_faults: tuple[Fault, ...] = (),
        hooks: VetoHooks | None = None,
    ) -> None:
        self.preferences = Preferences(limits, store)
        self._world, self._history = world, history
        self._limits, self._clock, self._log = limits, clock, log
        self._interval = limits.poll_interval_seconds
        self._grace = timedelta(minutes=limits.grace_minutes)
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._said: list[Change] = []
        self._moment = clock.read()
        self._next_at: float | None = None
        self._passes = Passes(armed=False)
        self._ledger = Ledger(quiet_until=self._moment.now + self._grace)
        self._snapshot, self._plan = Snapshot(), Plan()
        self._account = Account(store, world.platform.region_name, limits.hourly_prices)
        self._remover = Remover(world, history, self._account, log)
        self._hooks = hooks or VetoHooks(log)
        self._health = Health(log, standing_faults)
        self._listing = AppListing(limits.poll_interval_seconds)
        self._memory = SavedLedger(store, limits)

    # -- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load the state and begin the passes."""
        await self.load()
        self._passes = replace(self._passes, armed=True)
        self._loop = asyncio.ensure_future(self._run())

    async def load(self) -> None:
        """Take up the state of an earlier run, as far as it can be trusted."""
        self._moment = self._clock.read()
        now = self._moment.now
        await self.preferences.load(now)
        await self._account.load(self._world.platform.own_app is not None, now)
        self._ledger = await self._memory.load(self._moment)
        await asyncio.to_thread(self._history.load)

    async def stop(self) -> None:
        """End the passes; a removal in flight is waited for. The marks are saved as complete."""
        self._passes = replace(self._passes, armed=False)
        loop, self._loop = self._loop, None
        if loop is None:
            return
        between_passes = False
        with contextlib.suppress(asyncio.TimeoutError):
            between_passes = await asyncio.wait_for(self._lock.acquire(), STOP_SECONDS)
        loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loop
        # A pass that had to be cut off may have known more than it wrote down.
        await self._memory.save_marks(self._ledger, self._moment, clean=between_passes)
        await asyncio.to_thread(self._history.settle)
        if between_passes:
            self._lock.release()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # it is a fault by then, and in the log
                await self.run_pass()
            delay = (self._next_at or 0.0) - self._clock.read().monotonic
            self._wake.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(delay, 0.0))

    # -- the cycle ---------------------------------------------------------------------------

    async def check(self, dry_run: bool = False, list_apps: bool = False) -> dict[str, Any]:
        """One pass now, as ``run_pass``; the report."""
        await self.run_pass(dry_run, list_apps)
        return self.report()

    async def run_pass(self, dry_run: bool = False, list_apps: bool = False) -> None:
        """One pass now. ``dry_run`` rehearses, ``list_apps`` asks SageMaker."""
        async with self._lock:
            moment = self._clock.read()
            failure: Exception | None = None
            try:
                await self._cycle(moment, dry_run, list_apps)
                self._passes = replace(self._passes, last_ok_pass=moment.now)
            except Exception as error:
                failure = error
                raise
            finally:
                self._passes = replace(self._passes, last_pass=moment.now)
                self._health.pass_went(failure, moment.now)
                self._schedule(moment)
                self._settle_faults(moment.now)

    async def _cycle(self, moment: Moment, dry_run: bool, list_apps: bool) -> None:
        self._mind_the_clock(moment)
        now = moment.now
        await self._catch_up(moment)
        policy = self.preferences.policy_for(dry_run)
        await self._observe(moment, list_apps or self._listing_is_due(moment, policy))
        self._plan = decide(self._snapshot, self._ledger, policy, now)
        await self._find_out(policy, now)
        if self._acts_on_apps(policy) and not self._listing.made_at(moment.monotonic):
            # Never on an old list: what is there, and in what state, is asked at that moment.
            await self._observe(moment, list_apps=self._world.has_apps)
            self._plan = decide(self._snapshot, self._ledger, policy, now)
        self._ledger = give_notice(self._ledger, self._plan.decisions, now)
        to_do = self._remover.to_do(self._plan, policy)
        removed = False
        for decision in to_do:
            # Removals take their time, and what people say meanwhile counts for the rest of them.
            policy = self.preferences.policy_for(dry_run)
            self._ledger, ended = await self._remover.carry_out(
                decision, self._snapshot, self._ledger, policy, now, self._with_what_was_said
            )
            removed = removed or ended
        if removed:
            acted_on_apps = self._world.has_apps and self._acts_on_apps(policy)
            await self._observe(moment, list_apps=acted_on_apps)
        if to_do:
            self._plan = decide(self._snapshot, self._ledger, policy, now)
        await self._account.look(self._snapshot, now)
        at_work = last_at_work(self._snapshot, self._ledger, now)
        if at_work is not None:
            await self._world.protect(at_work)

    async def _catch_up(self, moment: Moment) -> None:
        """What others have changed, and what could not be read or written so far."""
        await self.preferences.refresh(moment.now)
        self._ledger = await self._memory.retry(self._ledger, moment)
        if self._history.error is not None:
            await asyncio.to_thread(self._history.settle)

    async def _find_out(self, policy: Policy, now: datetime) -> None:
        """What only asking tells: whether anything works in the background of what is due soon,
        and whether a hook objects to what is due."""
        asked = questions(self._snapshot, self._plan, self._ledger, policy, now)
        if asked:
            self._ledger = learn(self._ledger, await self._world.ask(asked), now)
            self._plan = decide(self._snapshot, self._ledger, policy, now)
        vetoes = await self._hooks.ask(self._plan.removals, now) if self._plan.removals else {}
        if vetoes:
            self._ledger = object_to(self._ledger, vetoes)
            self._plan = decide(self._snapshot, self._ledger, policy, now)

    def _acts_on_apps(self, policy: Policy) -> bool:
        return any(d.ref.kind is Kind.APP for d in self._remover.to_do(self._plan, policy))

    async def _observe(self, moment: Moment, list_apps: bool) -> None:
        snapshot = await self._world.observe(list_apps)
        outdated = self._world.has_apps and self._listing.is_outdated(
            moment.monotonic, self._ledger, snapshot.resources
        )
        if outdated and not list_apps:
            list_apps = True
            snapshot = await self._world.observe(list_apps)
        if list_apps:
            self._listing.was_made(moment.monotonic, Snapshot.APPS in snapshot.unread)
        self._snapshot = snapshot
        self._ledger = advance(self._ledger, snapshot, moment.now)

    def _listing_is_due(self, moment: Moment, policy: Policy) -> bool:
        shortest = policy.shortest_app_limit().total_seconds()
        return self._world.has_apps and self._listing.is_due(moment.monotonic, shortest)

    def _mind_the_clock(self, moment: Moment) -> None:
        """After a step of the wall clock every duration stays what it was; after that or a long
        pause (a frozen process, a sleeping laptop) nothing is removed before a new grace."""
        step = moment.step_since(self._moment)
        late = self._next_at is not None and (moment.monotonic - self._next_at > 3 * self._interval)
        self._moment = moment
        if step:
            self._ledger = shift(self._ledger, step)
            self._memory.clock_stepped(step)
        if step or late:
            self._ledger = replace(self._ledger, quiet_until=moment.now + self._grace)

    def _schedule(self, moment: Moment) -> None:
        """The next pass: at the next warning or removal, or after the poll interval."""
        current = self._clock.read()
        delay = self._interval
        plan, policy = self._plan, self.preferences.policy
        ahead = (
            plan.next_moment(moment.now),
            next_question(self._snapshot, plan, self._ledger, policy, moment.now),
        )
        upcoming = min((at for at in ahead if at is not None), default=None)
        if upcoming is not None:
            # Not before the instant itself: a timer may fire a moment early.
            until = (upcoming - current.now).total_seconds() + 0.001
            delay = min(delay, max(until, 0.0))
        self._next_at = current.monotonic + delay
        next_pass = current.now + timedelta(seconds=delay)
        self._passes = replace(self._passes, next_pass=next_pass)

    # -- health ------------------------------------------------------------------------------

    def _settle_faults(self, now: datetime) -> None:
        others = (
            *self.preferences.faults(now),
            *self._memory.faults(now),
            *self._remover.faults(now),
            *self._hooks.faults(now),
            *self._world.faults(now),
        )
        self._health.settle(self._snapshot, self._ledger, others, now)

    # -- what people ask ---------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """The report of the last pass, and of the health by now."""
        platform, now = self._world.platform, self._clock.read().now
        return build(
            now=now,
            platform={
                "kind": platform.kind,
                "domain_id": platform.domain_id,
                "user_profile_name": platform.user_profile_name,
                "space_name": platform.space_name,
                "region": platform.region_name,
                "native_idle_timeout_minutes": self._world.description.native_idle_minutes,
            },
            passes=self._passes,
            faults=self._health.faults,
            policy=self.preferences.policy,
            bounds=self.preferences.bounds(),
            snapshot=self._snapshot,
            ledger=self._ledger,
            plan=self._plan,
            outcomes=self._remover.outcomes,
            savings={**self._history.savings(), **self._account.view(now)},
        )

    def panel_asked(self) -> None:
        """Somebody looks: the list of apps is kept fresh for them, a minute old at most."""
        self._listing.panel_asked(self._clock.read().monotonic)

    async def patch_settings(self, patch: Any) -> dict[str, Any]:
        """Change settings; the next pass, at once, goes by them, and so does one under way."""
        await self.preferences.patch(patch)
        self._wake.set()
        return self.preferences.view()

    def keep_alives(self) -> list[dict[str, Any]]:
        """The keep-alives in force."""
        return keep_alives(self._ledger, self._clock.read().now)

    async def keep_alive(self, ref: Ref, minutes: float | None) -> list[dict[str, Any]]:
        """Hold ``ref`` for ``minutes`` from now, or release it (None); what holds by then.

        Raises RefusedError (404) for what is not there, StoreError when it is not on disk (it
        holds all the same, until the server restarts).
        """
        until = None
        if minutes is not None:
            until = self._clock.read().now + timedelta(minutes=minutes)
        known = ref if until is not None else None
        async with self._saying(lambda ledger: hold(ledger, ref, until), known):
            await self._memory.save_holds(self._ledger, self._moment)
        self._wake.set()
        return self.keep_alives()

    @contextlib.asynccontextmanager
    async def _saying(self, change: Change, known: Ref | None) -> AsyncIterator[None]:
        """Under the lock, after making ``change`` to the ledger; RefusedError (404) when ``known``
        is not there. A pass under way, which has the lock, sees the change at once: what is kept
        at the last moment is kept."""
        self._said.append(change)
        try:
            async with self._lock:
                # What is said is said by the clock as it is now, not as it was at the last pass.
                self._mind_the_clock(self._clock.read())
                if known is not None:
                    await self._find(known)
                self._ledger = change(self._ledger)
                yield
        finally:
            self._said.remove(change)

    def _with_what_was_said(self, ledger: Ledger) -> Ledger:
        for change in self._said:
            ledger = change(ledger)
        return ledger

    async def _find(self, ref: Ref) -> None:
        """Raises RefusedError (404) for what is not there, also not since the last pass."""
        if not self._knows(ref):
            await self._observe(self._clock.read(), list_apps=False)
        if not self._knows(ref):
            raise RefusedError(404, f"There is no {ref} here.", "id", ref.id)

    async def note_activity(self, ref: Ref, signal: str = Signal.PRESENCE) -> None:
        """Somebody says that ``ref`` is in use: a person by their presence, or a program of
        theirs. What runs in an app is covered with it. Raises RefusedError (404)."""
        now = self._clock.read().now
        async with self._saying(lambda ledger: note(ledger, self._covered(ref), signal, now), ref):
            pass

    def _covered(self, ref: Ref) -> list[Ref]:
        return [
            r.ref
            for r in self._snapshot.resources
            if ref in (EVERYTHING, r.ref)
            or (not isinstance(r, App) and r.app is not None and r.app == ref.id)
        ]

    def _knows(self, ref: Ref) -> bool:
        return ref == EVERYTHING or self._snapshot.find(ref) is not None

    async def remove(self, ref: Ref) -> Mapping[str, Any]:
        """Remove ``ref`` now because somebody asked; an app with what runs in it.

        Raises RefusedError for what is not there (404), or is never removed (409).
        """
        async with self._lock:
            moment = self._clock.read()
            self._mind_the_clock(moment)
            list_apps = ref.kind is Kind.APP and self._world.has_apps
            await self._observe(moment, list_apps)
            policy = self.preferences.policy
            self._ledger, outcome = await self._remover.on_request(
                ref, self._snapshot, self._ledger, policy, moment.now
            )
            if list_apps:  # who asked looks at once, and is to see what SageMaker says of it by now
                await self._observe(moment, list_apps)
            self._settle_faults(moment.now)
        self._wake.set()
        return outcome

    @property
    def platform(self) -> Platform:
        """Who this server is."""
        return self._world.platform

    @property
    def max_keep_alive_minutes(self) -> float:
        """The longest keep-alive the administrator allows."""
        return self._limits.max_keep_alive_minutes

    async def read_history(self, limit: int) -> list[dict[str, Any]]:
        """The newest ``limit`` removals, newest first."""
        return await asyncio.to_thread(self._history.read, limit)
