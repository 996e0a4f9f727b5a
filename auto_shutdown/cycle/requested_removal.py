"""Remove a resource because a user requested it. Neither an idle timeout nor activity delays such a
removal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..core.apps import Tenant, tenants_by_app
from ..core.decision import Action, Decision, Reason
from ..core.due import keep_alive_refs
from ..core.model import (
    IN_SERVICE,
    KERNEL_GATEWAY,
    App,
    Kind,
    Ref,
    Resource,
    Snapshot,
    Terminal,
    apps_of,
)
from ..core.outcome import Outcome, Result
from ..core.policy import Policy
from ..core.translatable import sentence
from .refused import RefusedError
from .removal_record import Removal
from .removal_tasks import RemovalTasks
from .situation import Situation

#: The reason of such a removal, as the report and the audit log show it.
REQUESTED = "A user requested the removal."

#: Seconds that a request waits for the removal. After that, the response says that the removal is
#: still in progress.
REQUEST_SECONDS = 20.0

#: The source in which the resources of each kind are listed.
_LISTS = {
    Kind.KERNEL: Snapshot.KERNELS,
    Kind.TERMINAL: Snapshot.TERMINALS,
    Kind.APP: Snapshot.APPS,
}

UNDER_WAY = sentence("The shutdown is still in progress. The report shows when it has ended.")


class RequestedRemovals:
    """The removals that users of one server request. ``wake`` begins another pass."""

    def __init__(self, situation: Situation, tasks: RemovalTasks, wake: Callable[[], None]) -> None:
        self._situation = situation
        self._tasks = tasks
        self._wake = wake

    def require_not_removing(self, ref: Ref) -> None:
        """Raises RefusedError (409) while the manager or SageMaker is ending ``ref`` or its app, or
        a user's request is about to end it. Such a removal can no longer be stopped."""
        if self._is_ending(ref):
            raise _being_removed(ref)
        resource = self._situation.snapshot.find(ref)
        if resource is None or isinstance(resource, App):
            return
        apps = [Ref(Kind.APP, app) for app in apps_of(resource)]
        # A resource that may run in several apps is sure to end only if all these apps end.
        if apps and all(map(self._is_ending, apps)):
            raise _being_removed(apps[0], requested=ref)

    def _is_ending(self, ref: Ref) -> bool:
        return ref in self._situation.removals_under_way or self._tasks.is_requested(ref)

    async def remove(
        self, ref: Ref, current_policy: Callable[[], Policy], now: datetime
    ) -> Mapping[str, Any]:
        """Remove ``ref``. If it is an app, remove its kernels and terminals first. Returns the
        outcome as the report shows it, after at most ``REQUEST_SECONDS`` for each resource.

        Raises RefusedError: 404 for an unknown resource, 409 for a resource that is being removed
        already and for an app that is never removed, 503 where the list of its kind is unknown.
        """
        snapshot = self._situation.snapshot
        resource = snapshot.find(ref)
        if resource is None:
            raise not_found(ref, snapshot)
        if self._tasks.has(ref):
            raise _being_removed(ref)
        inside: list[Tenant] = []
        may_be_inside: list[Tenant] = []
        if isinstance(resource, App):
            _require_removable(resource, snapshot)
            may_be_inside = tenants_by_app(snapshot).get(ref.id, [])
            inside += [tenant for tenant in may_be_inside if tenant.app == ref.id]
        ends_server = isinstance(resource, App) and resource.own
        # Mark all of them before the first wait. A user may now request a keep-alive for a kernel
        # of the app that is removed later. This must be refused, not accepted and then ignored.
        with self._tasks.requested([each.ref for each in (*inside, resource)]):
            for each in inside:
                if isinstance(each, Terminal) and each.in_image:
                    continue  # DeleteApp ends it; if DeleteApp is denied, the terminal must stay
                removal = self._removal_of(each, current_policy(), now, ends_server)
                ended = await self._end(each, removal, current_policy)
                if ended is not None and ended.ended:
                    may_be_inside.remove(each)  # it has an audit line of its own
            removal = self._removal_of(resource, current_policy(), now, ends_server)
            removal = replace(removal, tenants=may_be_inside)
            outcome = await self._end(resource, removal, current_policy)
        return removal.reported(outcome or Outcome(Result.TEMPORARY, UNDER_WAY))

    async def _end(
        self, resource: Resource, removal: Removal, current_policy: Callable[[], Policy]
    ) -> Outcome | None:
        """The outcome of the removal; None if it has not ended after ``REQUEST_SECONDS``."""
        running = self._tasks.running(resource.ref)
        if running is not None:  # a pass began it, and may yet keep the resource
            await asyncio.wait({running}, timeout=REQUEST_SECONDS)
            if not running.done():
                return None
            if running.result().ended:
                return running.result()
        task = self._tasks.begin(resource, removal, _Requested(removal.decision, current_policy))
        await asyncio.wait({task}, timeout=REQUEST_SECONDS)
        if task.done():
            return task.result()
        # The pass that follows the request still shows it as in progress.
        task.add_done_callback(lambda _task: self._wake())
        return None

    def _removal_of(
        self,
        resource: Resource,
        policy: Policy,
        now: datetime,
        ends_server: bool,
    ) -> Removal:
        detail = REQUESTED + self._note_of(resource, now)
        decision = Decision(resource.ref, Action.REMOVE, Reason.REQUESTED, detail)
        return Removal(decision, resource, policy, now, ends_server)

    def _note_of(self, resource: Resource, now: datetime) -> str:
        """The user's note on the keep-alive that the removal overrides, as a sentence."""
        covers = keep_alive_refs(
            resource.ref, *(() if isinstance(resource, App) else apps_of(resource))
        )
        hold = self._situation.ledger.hold_on(covers, now)
        return f" It was kept alive: {hold.note}." if hold is not None and hold.note else ""


@dataclass(frozen=True)
class _Requested:
    """The last decision of a removal that a user requested. It is always the user's own
    decision."""

    decision: Decision
    policy: Callable[[], Policy]

    async def observe(self) -> None:
        """Observe nothing: no activity delays this removal."""

    def is_recent(self) -> bool:
        return True

    def decide(self) -> Decision:
        """The user's decision."""
        return self.decision


def not_found(ref: Ref, snapshot: Snapshot) -> RefusedError:
    """The refusal of a request for ``ref``, which ``snapshot`` does not have: it does not exist
    (404), or nobody knows, because the list of its kind could not be read (503)."""
    unread = snapshot.unread.get(_LISTS[ref.kind])
    if unread is not None:
        return RefusedError(503, unread.message, "id", ref.id, unread.remedy)
    return RefusedError(404, sentence("There is no %1 here.", ref), "id", ref.id)


def _being_removed(ref: Ref, requested: Ref | None = None) -> RefusedError:
    """The refusal of a request for ``requested`` (None: for ``ref``), because ``ref`` is being
    removed."""
    message = sentence("The %1 is being shut down already.", ref)
    return RefusedError(409, message, "id", (requested or ref).id)


def _require_removable(app: App, snapshot: Snapshot) -> None:
    if Snapshot.APPS in snapshot.unread:
        unread = snapshot.unread[Snapshot.APPS]
        raise RefusedError(503, unread.message, "id", app.id, unread.remedy)
    if app.type != KERNEL_GATEWAY and not app.own:
        message = sentence("Apps of type %1 are never removed by this extension.", app.type)
        raise RefusedError(409, message, "id", app.id)
    if app.status != IN_SERVICE:
        raise RefusedError(409, sentence("The app has the status %1.", app.status), "id", app.id)
