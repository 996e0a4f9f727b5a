"""The requests of users to a running server: settings, keep-alives, presence, removals, history.

Requests and passes change the same :class:`~auto_shutdown.cycle.situation.Situation`. A request
takes effect at once, also during a pass: a keep-alive prevents each removal that the pass has not
begun. Only a request that has to observe the resources waits for the pass to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..core.formatting import iso
from ..core.ledger import hold, note
from ..core.model import Kind, Ref
from ..core.report import keep_alives
from ..core.signals import Signal
from ..core.translatable import joined, sentence
from ..state.history import History
from .refused import RefusedError
from .requested_removal import RequestedRemovals, not_found
from .session_recorder import SessionRecorder

if TYPE_CHECKING:
    from .controller import Controller

#: Reports of activity on one resource begin a pass at most once in this many seconds.
SHOW_SECONDS = 10.0


class UserRequests:
    """Serves the requests of users to one :class:`Controller`. All methods must be called on the
    server's event loop."""

    def __init__(
        self,
        controller: Controller,
        requested: RequestedRemovals,
        history: History,
        recorder: SessionRecorder,
    ) -> None:
        self._controller = controller
        self._requested = requested
        self._history = history
        self._recorder = recorder
        self._removals: set[asyncio.Task[Mapping[str, Any]]] = set()
        #: When a report of activity last began a pass, by resource (monotonic seconds).
        self._shown_at: dict[Ref, float] = {}

    @property
    def max_keep_alive_minutes(self) -> float:
        """The longest keep-alive that the administrator allows."""
        return self._controller.limits.max_keep_alive_minutes

    async def patch_settings(self, patch: Any) -> dict[str, Any]:
        """Change the user's settings. The new values apply at once, also to the pass in progress,
        and another pass begins at once. Returns the settings as ``GET settings`` does.

        Raises SettingError for a wrong value, StoreError when the file cannot be written.
        """
        await self._controller.preferences.patch(patch)
        self._controller.wake()
        return self._controller.preferences.view()

    def keep_alives(self) -> list[dict[str, Any]]:
        """The keep-alives in force."""
        return keep_alives(self._controller.situation.ledger, self._controller.ledger_time())

    async def keep_alive(
        self, ref: Ref, minutes: float | None, note: str = ""
    ) -> list[dict[str, Any]]:
        """Keep ``ref`` for ``minutes`` from now, or end its keep-alive (None). ``note`` is the
        user's reason. Returns the keep-alives in force then.

        Raises RefusedError (404) for an unknown resource. Raises StoreError when the keep-alive
        cannot be saved; then it holds until the server restarts.
        """
        until = None
        if minutes is not None:
            await self._require(ref)
            until = self._controller.ledger_time() + timedelta(minutes=minutes)
        self._controller.situation.change_ledger(lambda ledger: hold(ledger, ref, until, note))
        await self._controller.save_keep_alives(ref)
        self._controller.wake()
        return self.keep_alives()

    async def note_activity(self, ref: Ref, signal: str = Signal.PRESENCE) -> None:
        """Note that a person (presence) or a program (heartbeat) reports ``ref`` as in use. For an
        app, this also counts for its kernels and terminals. Raises RefusedError (404) for an
        unknown resource."""
        await self._require(ref)
        now, situation = self._controller.ledger_time(), self._controller.situation
        covered = situation.covered_by(ref)
        situation.change_ledger(lambda ledger: note(ledger, covered, signal, now))
        self._show_activity(ref)

    def _show_activity(self, ref: Ref) -> None:
        """Begin a pass, so that the report shows the activity of ``ref`` at once: for each resource
        at most once in ``SHOW_SECONDS``, because a program may report its activity all the time."""
        now = time.monotonic()
        shown = {each: at for each, at in self._shown_at.items() if now - at < SHOW_SECONDS}
        if ref not in shown:
            shown[ref] = now
            if ref.kind is Kind.KERNEL:
                self._controller.kernel_changed(ref.id)
            else:
                self._controller.wake()
        self._shown_at = shown

    async def _require(self, ref: Ref) -> None:
        """Raises RefusedError for a resource that is being removed (409), and for a resource that
        does not exist (404). A resource may have appeared since the last pass. So this observes all
        resources once more, and raises 503 if it cannot because a pass does not end, or if the list
        of its kind could not be read."""
        situation = self._controller.situation
        self._requested.require_not_removing(ref)
        if not situation.knows(ref) and not await self._controller.look(list_apps=False):
            message = sentence(
                "A pass has not ended yet, so the server does not know whether a %1 exists. "
                "Try again.",
                ref,
            )
            raise RefusedError(503, message, "id", ref.id)
        if not situation.knows(ref):
            raise not_found(ref, situation.snapshot)

    async def remove(self, ref: Ref) -> Mapping[str, Any]:
        """Remove ``ref`` now; an app with its kernels and terminals. Returns the outcome.

        Raises RefusedError for an unknown resource (404), for a resource that is being removed
        already and for an app that is never removed (409), and while the list of apps cannot be
        read (503). The removal goes on if the caller is cancelled.
        """
        task = asyncio.ensure_future(self._remove(ref))
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)
        return await asyncio.shield(task)

    async def wait_for_removals(self, seconds: float) -> None:
        """Wait for the requested removals, for at most ``seconds``. A removal of this server's own
        app ends the server, often before its audit line is complete and its user has an answer."""
        if self._removals:
            await asyncio.wait(self._removals, timeout=seconds)

    async def _remove(self, ref: Ref) -> Mapping[str, Any]:
        controller, list_apps = self._controller, ref.kind is Kind.APP
        await controller.look(list_apps)
        outcome = await self._requested.remove(
            ref, lambda: controller.preferences.policy, controller.ledger_time()
        )
        if list_apps:  # so that the report shows the app's new status at once
            await controller.look(list_apps)
        controller.wake()
        return outcome

    async def read_history(self, limit: int) -> list[dict[str, Any]]:
        """The newest ``limit`` removals, newest first."""
        return await self._history.read_newest(limit)

    async def stopped(self) -> dict[str, Any]:
        """The summaries of the stopped sessions that can be brought back, newest first, without
        code; and when this server started. Raises RefusedError (507) if they cannot be read."""
        with self._reading_entries():
            entries = await self._recorder.entries(self._controller.ledger_time())
        return {"stopped": entries, "server_started": iso(self._controller.started_at)}

    async def stopped_session(self, name: str) -> dict[str, Any]:
        """The stopped session with the id ``name``, with the code of its cells. Raises
        RefusedError: 404 for an unknown id, 507 if it cannot be read."""
        with self._reading_entries():
            session = await self._recorder.find(name, self._controller.ledger_time())
        if session is None:
            raise _no_stopped_session(name)
        return session

    async def forget_stopped(self, name: str) -> None:
        """Delete the stopped session with the id ``name``. Raises RefusedError: 404 for an unknown
        id, 507 if it cannot be deleted."""
        with self._reading_entries():
            known = await self._recorder.forget(name)
        if not known:
            raise _no_stopped_session(name)

    @contextlib.contextmanager
    def _reading_entries(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            problem = self._recorder.read_error(error)
            about = sentence("The stopped sessions cannot be read.")
            message = joined(about, str(problem), problem.remedy)
            raise RefusedError(507, message, "id", None) from None


def _no_stopped_session(name: str) -> RefusedError:
    """The refusal of a request for the stopped session with the unknown id ``name``."""
    return RefusedError(404, sentence("There is no stopped session with this id."), "id", name)
