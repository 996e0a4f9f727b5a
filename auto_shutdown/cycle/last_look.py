"""The last look at a resource, right before its removal, and the decision on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..core.advance import advance_part
from ..core.answers import record_answers
from ..core.apps import needs_work_query, tenants_by_app
from ..core.decision import Decision
from ..core.due import has_recent_answer, window_of
from ..core.marks import Work
from ..core.model import Answer, App, Kind, Ref, Snapshot
from ..core.planner import decide
from ..core.policy import Policy
from ..world.world import World
from .situation import Situation

#: An app is deleted only if its last look ended at most this time ago (seconds). The look reads the
#: kernels of the app last.
LOOK_VALID_SECONDS = 5.0

#: The longest time in seconds that the last look waits for the answers about background work. After
#: that the removal fails, which is a fault, and is tried again later.
ASK_SECONDS = 60.0


@dataclass
class LastLook:
    """The last look at ``ref``, and the decision on it.

    ``fresh`` is the snapshot of that look, which began at ``began_at`` and ended at ``ended_at``
    (monotonic seconds). ``now`` is the instant of the pass by the clock of the ledger.
    ``ledger_shift`` returns by how much the instants of the ledger were shifted since the server
    started.
    """

    world: World
    situation: Situation
    ledger_time: Callable[[], datetime]
    ledger_shift: Callable[[], timedelta]
    policy: Callable[[], Policy]
    read_other_servers: Callable[[], Awaitable[None]]
    read_stop_switch: Callable[[], Awaitable[None]]
    now: datetime
    fresh: Snapshot
    ref: Ref
    began_at: float
    ended_at: float = 0.0

    def __post_init__(self) -> None:
        self._shift_before = self.ledger_shift()

    async def observe(self) -> None:
        """Observe an app again, because SageMaker deletes an app whatever runs in it. A kernel or
        terminal is not observed here: ``World.remove`` checks it right before its shutdown.

        For each resource, then read the settings and keep-alives that users have set on another
        server, which may manage the same app, and the switch by which an administrator stops all
        removals. On a slow file system this may take so long that the look is out of date
        (``LOOK_VALID_SECONDS``). Then do both once more."""
        await self._look()
        await self._read_requests()
        if not self.is_recent():
            await asyncio.gather(self._look(), self._read_requests())

    async def _read_requests(self) -> None:
        await asyncio.gather(self.read_other_servers(), self.read_stop_switch())

    async def _look(self) -> None:
        if self.ref.kind is Kind.APP:
            await self._ask_for_background_work()
            self.began_at = time.monotonic()
            self.fresh = await look_again(self.world, self.ref, self.policy())
            # Read the clock before the change: if the wall clock was stepped, reading it shifts
            # the ledger.
            now = self.ledger_time()
            self.situation.change_ledger(lambda ledger: advance_part(ledger, self.fresh, now))
        self.ended_at = time.monotonic()

    async def _ask_for_background_work(self) -> None:
        """Query the app for background work once more: a cell in another server, papermill or a job
        in tmux may have begun since the query of the pass. This comes before the last look, because
        it may take seconds."""
        app = self.fresh.find(self.ref)
        if not isinstance(app, App):
            return
        mark = self.situation.ledger.marks.get(self.ref)
        inside = tenants_by_app(self.fresh).get(app.id, ())
        if not needs_work_query(app, inside, Work() if mark is None else mark.work):
            return
        limit, _ = self.policy().limit_of(app)
        window = window_of(limit)
        with self.world.asking([self.ref]):
            answers = await asyncio.wait_for(self.world.ask({self.ref: window}), ASK_SECONDS)
            self._record(answers, window)

    def _record(self, answers: tuple[Answer, ...], window: timedelta) -> None:
        now = self.ledger_time()
        # The pass may have removed the only kernel that could answer. Its last answer still holds.
        mark = self.situation.ledger.marks.get(self.ref)
        if mark is not None and mark.work.result == "none" and has_recent_answer(mark, now, window):
            answers = tuple(a for a in answers if a.ref != self.ref or a.answered or a.unread)
        self.situation.change_ledger(lambda ledger: record_answers(ledger, answers, now))

    def is_recent(self) -> bool:
        """Whether the look is recent enough to delete an app. DeleteApp may wait behind other calls
        in the thread of the SageMaker calls, and a cell may begin meanwhile."""
        if self.ref.kind is not Kind.APP:
            return True
        return time.monotonic() - self.ended_at <= LOOK_VALID_SECONDS

    def decide(self) -> Decision | None:
        """Decide with the current ledger, the current policy, and what this server process has
        observed since the last look: a client that connected, a request, or a kernel or terminal
        that was started. It may be called in any thread."""
        seen, ledger = self.world.updated(self.fresh, self.began_at), self.situation.ledger
        # If the wall clock was stepped since the pass, the ledger was shifted. Shift the instant of
        # the pass by the same time.
        now = self.now + (self.ledger_shift() - self._shift_before)
        if seen is not self.fresh:
            ledger = advance_part(ledger, seen, now)
        return decide(seen, ledger, self.policy(), now).of(self.ref)


async def look_again(world: World, ref: Ref, policy: Policy) -> Snapshot:
    """Observe again everything that the decision on ``ref`` depends on. With
    ``only_when_it_saves`` it also depends on the other apps of the instance."""
    if policy.may_stop_only_to_save:
        return await world.observe(list_apps=False, last_look=True)
    return await world.look_again(ref)
