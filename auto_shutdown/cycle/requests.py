"""What users ask of a running server: settings, keep-alives, presence, removals, the history.

Requests and passes change the same :class:`~auto_shutdown.cycle.situation.Situation`. A request
takes effect at once, also in the middle of a pass: a resource that somebody keeps while a pass
removes others is kept. Only a request that has to look at the world waits for the pass.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..core.ledger import hold, note
from ..core.model import Kind, Ref
from ..core.report import keep_alives
from ..core.signals import Signal
from ..core.words import iso
from ..state.history import History
from .refused import RefusedError
from .removal import Remover, being_removed
from .session_recorder import SessionRecorder

if TYPE_CHECKING:
    from .controller import Controller


class UserRequests:
    """The requests to one :class:`Controller`. All methods belong to the server's event loop."""

    def __init__(
        self,
        controller: Controller,
        remover: Remover,
        history: History,
        recorder: SessionRecorder,
    ) -> None:
        self._controller = controller
        self._remover = remover
        self._history = history
        self._recorder = recorder
        self._removals: set[asyncio.Task[Mapping[str, Any]]] = set()

    @property
    def max_keep_alive_minutes(self) -> float:
        """The longest keep-alive that the administrator allows."""
        return self._controller.limits.max_keep_alive_minutes

    async def patch_settings(self, patch: Any) -> dict[str, Any]:
        """Change the user's settings. A pass under way goes by them, and another begins at once.

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
        """Keep ``ref`` for ``minutes`` from now, or release it (None). ``note`` is the user's
        reason. Returns the keep-alives in force then.

        Raises RefusedError (404) for an unknown resource. Raises StoreError when the keep-alive
        cannot be saved; then it holds until the server restarts.
        """
        until = None
        if minutes is not None:
            await self._require(ref)
            until = self._controller.ledger_time() + timedelta(minutes=minutes)
        self._controller.situation.change_ledger(lambda ledger: hold(ledger, ref, until, note))
        await self._controller.save_keep_alives()
        self._controller.wake()
        return self.keep_alives()

    async def note_activity(self, ref: Ref, signal: str = Signal.PRESENCE) -> None:
        """Note that a person (presence) or a program (heartbeat) reports ``ref`` as in use. An
        app covers what runs in it. Raises RefusedError (404) for an unknown resource."""
        await self._require(ref)
        now, situation = self._controller.ledger_time(), self._controller.situation
        covered = situation.covered_by(ref)
        situation.change_ledger(lambda ledger: note(ledger, covered, signal, now))

    async def _require(self, ref: Ref) -> None:
        """Raises RefusedError (404) for what is not there. What the last pass did not see may
        have come since, so the world is looked at once more."""
        situation, looked = self._controller.situation, True
        if self._remover.is_removing(ref):
            raise being_removed(ref)
        if not situation.knows(ref):
            looked = await self._controller.look(list_apps=False)
        if not looked:
            message = (
                f"Whether there is a {ref} cannot be told: a pass has not ended yet. Try again."
            )
            raise RefusedError(503, message, "id", ref.id)
        if not situation.knows(ref):
            raise RefusedError(404, f"There is no {ref} here.", "id", ref.id)

    async def remove(self, ref: Ref) -> Mapping[str, Any]:
        """Remove ``ref`` now; an app with what runs in it. Returns the outcome.

        Raises RefusedError for an unknown resource (404), and for one that is never removed or
        is being removed already (409).
        """
        task = asyncio.ensure_future(self._remove(ref))
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)
        return await asyncio.shield(task)

    async def wait_for_removals(self, seconds: float) -> None:
        """Let the removals under way end, for at most ``seconds``. A removal of this server's own
        app stops the server, often before its audit line is complete and its user is answered."""
        if self._removals:
            await asyncio.wait(self._removals, timeout=seconds)

    async def _remove(self, ref: Ref) -> Mapping[str, Any]:
        controller, list_apps = self._controller, ref.kind is Kind.APP
        await controller.look(list_apps)
        outcome = await self._remover.remove_on_request(
            ref, lambda: controller.preferences.policy, controller.ledger_time()
        )
        if list_apps:  # the report shows at once what SageMaker says of the app by now
            await controller.look(list_apps)
        controller.wake()
        return outcome

    async def read_history(self, limit: int) -> list[dict[str, Any]]:
        """The newest ``limit`` removals, newest first."""
        return await self._history.read_newest(limit)

    async def stopped(self) -> dict[str, Any]:
        """What can be brought back, newest first, without code; and when this server started: a
        stop before that ended the server. Raises RefusedError (507)."""
        with _reading_entries():
            entries = await self._recorder.entries(self._controller.ledger_time())
        return {"stopped": entries, "server_started": iso(self._controller.started_at)}

    async def stopped_session(self, name: str) -> dict[str, Any]:
        """One of them, with the code of its cells. Raises RefusedError (404, 507)."""
        with _reading_entries():
            found = await self._recorder.find(name, self._controller.ledger_time())
        if found is None:
            raise RefusedError(404, "There is nothing of this id to bring back.", "id", name)
        return found

    async def forget_stopped(self, name: str) -> None:
        """Delete one of them. Raises RefusedError (404, 507)."""
        with _reading_entries():
            known = await self._recorder.forget(name)
        if not known:
            raise RefusedError(404, "There is nothing of this id to bring back.", "id", name)


@contextlib.contextmanager
def _reading_entries() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        message = f"What was stopped cannot be read from the state directory ({why})."
        raise RefusedError(507, message, "id", None) from None
