"""Reads and shuts down kernels through the server's own managers, in the server's process.

This works with the local kernel manager and with remote ones (gateway mode, Studio Classic's),
synchronous or asynchronous. One starting kernel makes ``list_kernels()`` raise for all kernels. So
the kernels that are missing from its result are read one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from traitlets import TraitError

from ..core.apps import DEAD
from ..core.marks import BUSY, COMING_UP
from ..core.model import KERNEL_GATEWAY, Departure, Kernel
from ..core.signals import Signal
from ..core.texts import sentence
from ..core.verdict import Outcome, Result
from .iopub import IOPubListener, IOPubSubscription
from .kernel_access import channels_of, fresh_model, kernel_of, limit_of, pid_of, resolve
from .kernel_lifecycle import KernelLifecycle
from .kernel_usage import Usage
from .requests import KernelRequests
from .shells import OwnChannels, Shells
from .stamps import parse_stamp
from .websockets import WebsocketClients

#: What separates kernel and image in the kernelspec names of Studio Classic.
SAGEMAKER_INTERNAL = "__SAGEMAKER_INTERNAL__"

#: Why a kernel is not shut down at the last moment.
USED = "It was used at the last moment."
SILENT = "Its shell did not answer at the last moment"
CAME_UP = "It had never answered, and has answered at the last moment."

#: Seconds that a kernel's manager may need to notice the end of this extension's own request.
SETTLE_SECONDS = 1.0

Model = Mapping[str, Any]


#: By kernel id: a model, and the kernel that was made from it.
Joined = dict[str, tuple[Model, Kernel]]


class KernelSource:
    """Reads and shuts down the kernels of one server.

    ``clients`` follows the websockets of this server. ``own_channels`` gives the websocket of a
    kernel through this server.
    """

    def __init__(
        self,
        kernel_manager: Any,
        session_manager: Any,
        clients: WebsocketClients | None = None,
        own_channels: OwnChannels | None = None,
    ) -> None:
        self._kernels = kernel_manager
        self._sessions = session_manager
        self._clients = clients or WebsocketClients()
        self._requests = self._clients.requests
        self._listener = IOPubListener(kernel_manager, self._requests)
        self._shells = Shells(kernel_manager, self._requests, own_channels)
        self._lifecycle = KernelLifecycle(
            kernel_manager, self._requests, self._read_now, self._listener.subscribe
        )
        self._just_asked: dict[str, Usage] = {}
        self._limits: dict[str, timedelta | None] = {}
        self._last_sessions: list[Model] = []
        self._joined: Joined = {}
        self._with_changes: dict[str, tuple[Kernel, dict[str, Any], Kernel]] = {}

    async def read(self) -> tuple[dict[str, Model], dict[str, str]]:
        """All kernel models by id, and the reason for each kernel that could not be read.

        Raises whatever the manager raises when not even the ids can be had.
        """
        models = {str(model["id"]): model for model in await self._list()}
        unreadable: dict[str, str] = {}
        for kernel_id in list(self._kernels.list_kernel_ids()):
            if kernel_id not in models:
                model = await self._read_one(kernel_id, unreadable)
                if model is not None:
                    models[kernel_id] = model
        self._listener.attend(models, unreadable)
        self._limits = {kernel_id: self._limit_of(kernel_id) for kernel_id in models}
        return models, unreadable

    async def _list(self) -> list[Model]:
        """The manager's own list. A remote manager learns only through this call of kernels that
        started before this server did; without the call their app would look empty.

        While a kernel is starting, a local manager raises TraitError. Then the kernels are read one
        by one. Any other error is passed on.
        """
        try:
            return list(await resolve(self._kernels.list_kernels()))
        except TraitError:
            return []

    def _limit_of(self, kernel_id: str) -> timedelta | None:
        if kernel_id in self._limits:
            return self._limits[kernel_id]
        return limit_of(self._kernels, kernel_id)

    def joined(
        self,
        models: Mapping[str, Model],
        unreadable: Mapping[str, str],
        sessions: Iterable[Model],
    ) -> tuple[Kernel, ...]:
        """The kernels, from ``read``, ``read_sessions`` and their messages."""
        kernels = tuple(map(self.observed, join(models, unreadable, sessions, self._joined)))
        self._lifecycle.look(kernels)
        # A kernel may have been started, and be at work, since ``read`` made its list.
        listed = map(str, self._kernels.list_kernel_ids())
        known = {kernel.id for kernel in kernels}.union(listed)
        self._requests.keep_only(known)
        for kernel_id in self._with_changes.keys() - known:
            del self._with_changes[kernel_id]
        return kernels

    async def read_again(self, kernel_ids: Iterable[str]) -> tuple[Kernel, ...] | None:
        """These kernels as they are now, with the paths of the last full reading. None if one was
        not there then. Raises what the manager raises."""
        found = []
        for kernel_id in kernel_ids:
            if kernel_id not in self._joined:
                return None
            fresh = await fresh_model(self._kernels, kernel_id)
            if not fresh or kernel_id not in self._joined:
                return None
            self._listener.notice_restart(kernel_id)
            model, before = self._joined[kernel_id]
            found.append(self.observed(_kernel(kernel_id, {**model, **fresh}, before.paths)))
        return tuple(found)

    @property
    def departures(self) -> tuple[Departure, ...]:
        """The kernels that ended a short time ago, with their last use."""
        return self._lifecycle.departures

    def _read_now(self, kernel_id: str) -> Kernel:
        """The kernel as its manager knows it. Raises LookupError if the manager would have to send
        a request for that."""
        kernel_of(self._kernels, kernel_id)
        model = self._kernels.kernel_model(kernel_id)
        if not isinstance(model, Mapping):
            raise LookupError(kernel_id)
        return _kernel(kernel_id, model, ())

    def observed(self, kernel: Kernel) -> Kernel:
        """``kernel`` with the state that its messages show, and whether it waits for a person."""
        requests, subscription = self._requests.known(kernel.id), self._subscription(kernel.id)
        own_limit = self._limits.get(kernel.id)
        if requests is None and subscription is None and own_limit is None:
            return kernel
        if requests is not None and requests.unreachable and not kernel.unreadable:
            why = f"its shell could not be asked whether a cell runs: {requests.unreachable}"
            return replace(kernel, unreadable=why)
        state, waiting_for = kernel.state, None
        if requests is not None and state in DEAD:
            requests.ended()
        elif requests is not None:
            state = _state_by_messages(state, requests)
            if requests.waits_for_input(kernel.state):
                waiting_for = "input"
        if waiting_for is None and state == BUSY and subscription and subscription.in_debugger:
            waiting_for = "debugger"
        return self._changed(
            kernel,
            state=state,
            connections=max(kernel.connections, self._clients.connections(kernel.id)),
            iopub=subscription.activity if subscription is not None else None,
            waiting_for=waiting_for,
            own_limit=own_limit,
            shell_silent=requests is not None and requests.shell_silent,
            refused=requests.refused if requests is not None else "",
            request_sent_at=requests.sent_at if requests is not None else None,
        )

    def _changed(self, kernel: Kernel, **changes: Any) -> Kernel:
        """``kernel`` with ``changes``. A kernel that is the same as in the last pass gives the same
        object, because the constructor of a kernel costs more than the rest of reading it."""
        last = self._with_changes.get(kernel.id)
        if last is not None and last[0] is kernel and last[1] == changes:
            return last[2]
        changed = replace(kernel, **changes)
        self._with_changes[kernel.id] = kernel, changes, changed
        return changed

    def had_come_up(self, kernel_ids: Iterable[str]) -> None:
        """Earlier passes saw these kernels idle or busy. If the manager of one lists it as starting
        now, that is no sign that it is stuck: an earlier server knew better (a gateway may list a
        kernel as starting for ever)."""
        for kernel_id in kernel_ids:
            self._requests.of(kernel_id).came_up = True

    def is_starting(self, kernel: Kernel) -> bool:
        """Whether the kernel is listed as starting, and no message shows that it came up."""
        return self.observed(kernel).state in COMING_UP

    def _subscription(self, kernel_id: str) -> IOPubSubscription | None:
        return self._listener.subscription(kernel_id)

    def pid_of(self, kernel_id: str) -> int | None:
        """The process id of a kernel on this host; None for a kernel elsewhere."""
        return pid_of(self._kernels, kernel_id)

    def channels_of(self, kernel_id: str) -> str | None:
        """The websocket URL of a kernel behind a gateway; None for any other kernel."""
        return channels_of(self._kernels, kernel_id)

    async def ask_usage(self, kernel_id: str) -> Usage:
        """Ask a kernel in another container for its processor time, and ask its shell. Never
        raises."""
        usage = await self._shells.ask_by_websocket(kernel_id, with_usage=True)
        if not usage.failure:
            self._requests.of(kernel_id).came_up = True
        self._just_asked[kernel_id] = usage
        return usage

    async def ask_shells(self, kernel_ids: Iterable[str]) -> dict[str, Usage]:
        """Ask the shells of these kernels, except those that ``ask_usage`` has just asked. Never
        raises."""
        just_asked, self._just_asked = self._just_asked, {}
        missing = [kernel_id for kernel_id in kernel_ids if kernel_id not in just_asked]
        return {**just_asked, **await self._shells.ask_all(missing)}

    def close(self) -> None:
        """End the subscriptions to all kernels."""
        self._listener.close()

    async def _read_one(self, kernel_id: str, unreadable: dict[str, str]) -> Model | None:
        try:
            model: Model | None = await resolve(self._kernels.kernel_model(kernel_id))
        except Exception as error:
            if kernel_id in self._kernels:
                unreadable[kernel_id] = f"{type(error).__name__} when reading its model"
            return None
        if not model:
            unreadable[kernel_id] = "its manager gives no model for it"
        return model or None

    async def read_sessions(self) -> list[Model]:
        """The session models. While a kernel is starting, the server cannot list them (TraitError);
        then this returns the previous list."""
        with contextlib.suppress(TraitError):
            self._last_sessions = list(await resolve(self._sessions.list_sessions()))
        return self._last_sessions

    async def session_history(self, kernel: Kernel) -> tuple[Kernel, tuple[str, ...] | None]:
        """The kernel after this request, and the code of the cells that it has run (None: the
        kernel does not answer). Never raises.

        The request moves ``last_activity`` of a kernel behind an older gateway. The returned kernel
        has the new stamp, unless another client used the kernel meanwhile."""
        if kernel.state != "idle":
            return kernel, None
        try:
            if await self._has_moved(kernel):
                return kernel, None
            answer = await self._shells.ask_history(kernel.id)
        except Exception:
            return kernel, None
        if not answer.other_client_seen:
            stamp = answer.stamps.get(Signal.LAST_ACTIVITY, kernel.last_activity)
            kernel = replace(kernel, last_activity=stamp)
        return kernel, answer.cells

    async def remove(self, kernel: Kernel, only_unmoved: bool) -> Outcome:
        """Shut one kernel down gracefully, and end its session. Never raises.

        With ``only_unmoved`` this looks at the kernel once more, and skips the shutdown if the
        kernel became active since it was observed as ``kernel``. From before that look to the end,
        no request of a client reaches the kernel (docs/reliability.md, "The race").

        Never cancel this: a kernel manager whose shutdown is cancelled half way can never shut that
        kernel down again."""
        with self._clients.held_back(kernel.id) as held:
            try:
                outcome = await self._shut_down(kernel, only_unmoved)
            except Exception as error:
                outcome = self._failure(kernel, error)
            if outcome.ended:
                held.clear()
        return outcome

    def is_listed(self, kernel_id: str) -> bool:
        """Whether the kernel's manager still lists the kernel. Sends no request to a gateway."""
        return kernel_id in set(self._kernels.list_kernel_ids())

    async def _shut_down(self, kernel: Kernel, only_unmoved: bool) -> Outcome:
        if only_unmoved:
            refused = await self._may_be_at_work(kernel)
            if refused:
                return Outcome(Result.STALE, refused)
        await resolve(self._kernels.shutdown_kernel(kernel.id))
        return Outcome(Result.REMOVED, "The kernel was shut down.")

    async def _may_be_at_work(self, kernel: Kernel) -> str:
        """Why the kernel must not be shut down after all; empty if it may be.

        The shell of an idle kernel must answer. If the shell of a kernel that is stuck in starting
        answers, the kernel is judged as a running kernel. After that, messages and model are read
        once more. Between that reading of a local kernel and its end nothing else has a turn on the
        server's loop.
        """
        is_starting = kernel.state in COMING_UP
        if kernel.state == "idle" or is_starting:
            if await self._has_moved(kernel):
                return USED
            answer = await self._shells.ask(kernel.id)
            if answer.shell.free and (is_starting or kernel.refused):
                return CAME_UP
            # A kernel that refused each connection for so long goes by ``max_busy_minutes``.
            goes_unanswered = kernel.refused and answer.shell.refused
            if is_starting and not answer.shell.failure:
                goes_unanswered = True
            if not answer.shell.free and not goes_unanswered:
                return f"{SILENT}: {answer.shell.failure}" if answer.shell.failure else SILENT
            if answer.other_client_seen:
                return USED
            # The question itself moves the stamp of a kernel behind an older gateway.
            stamp = answer.stamps.get(Signal.LAST_ACTIVITY, kernel.last_activity)
            kernel = replace(kernel, last_activity=stamp)
        return USED if await self._has_moved(kernel) else ""

    async def _has_moved(self, kernel: Kernel) -> bool:
        """Whether the kernel received a request or began to work since it was observed as
        ``kernel``. Raises what its manager raises: an unreadable kernel is not shut down."""
        fresh = await self._read_with_messages(kernel)
        # Our own question makes the kernel busy, and its manager may not have its end yet.
        give_up_at = time.monotonic() + SETTLE_SECONDS
        while fresh and fresh.state == BUSY != kernel.state and time.monotonic() < give_up_at:
            requests = self._requests.known(kernel.id)
            if requests is not None and (requests.unfinished or requests.shell_silent):
                break
            await asyncio.sleep(0.05)
            fresh = await self._read_with_messages(kernel)
        if fresh is None:
            return True  # the unread messages may tell of a request
        stamp_moved = fresh.iopub is None and fresh.last_activity != kernel.last_activity
        return (
            bool(fresh.unreadable)
            or stamp_moved
            or fresh.request_at != kernel.request_at
            or (fresh.state == BUSY and kernel.state != BUSY)
            or (kernel.waiting_for is not None and fresh.connections > kernel.connections)
        )

    async def _read_with_messages(self, kernel: Kernel) -> Kernel | None:
        """The kernel as it is now, with the messages that have arrived and wait for their turn.
        None if more messages wait than can be read at once."""
        subscription = self._subscription(kernel.id)
        if subscription is not None and not subscription.catch_up():
            return None
        model = await fresh_model(self._kernels, kernel.id)
        if not model:
            raise LookupError("its manager gives no model for it")
        return self.observed(_kernel(kernel.id, model, kernel.paths))

    def _failure(self, kernel: Kernel, error: Exception) -> Outcome:
        if isinstance(error, KeyError) or getattr(error, "status_code", None) == 404:
            return Outcome(Result.GONE, "The kernel was already gone.")
        return Outcome(
            Result.TEMPORARY,
            sentence("Shutting down kernel %1 failed: %2.", kernel.id, type(error).__name__),
            type(error).__name__,
            sentence("It is tried again; the server's log has what its kernel manager says."),
        )


def _state_by_messages(state: str, requests: KernelRequests) -> str:
    """The state of a kernel, corrected by its messages. Messages only add activity: a kernel with
    an unfinished request or a silent shell is busy, and a kernel that has sent a message is no
    longer starting."""
    if state in COMING_UP and not requests.came_up:
        return state
    if requests.unfinished or requests.shell_silent:
        return BUSY
    return "idle" if state in COMING_UP else state


def join(
    models: Mapping[str, Model],
    unreadable: Mapping[str, str],
    sessions: Iterable[Model],
    before: Joined | None = None,
) -> tuple[Kernel, ...]:
    """The kernels, from their models and their sessions.

    ``before`` is the result of the previous pass: an unchanged kernel is taken from it, and then it
    is replaced by the new result. A session adds its path, and the fields that only its copy of the
    model has (``app_name`` on Studio Classic). A kernel that only a session names is included,
    because it may run in an app. Sessions with a null kernel and kernels without a session are
    common.
    """
    merged = dict(models)
    paths: dict[str, list[str]] = {}
    for session in sessions:
        model = session.get("kernel")
        if not isinstance(model, Mapping) or not model.get("id"):
            continue
        kernel_id = str(model["id"])
        if kernel_id not in unreadable:
            listed = merged.get(kernel_id)
            if listed is None or not model.keys() <= listed.keys():
                merged[kernel_id] = {**model, **(listed or {})}
        if session.get("path"):
            paths.setdefault(kernel_id, []).append(str(session["path"]))
    made: Joined = {}
    for key, model in merged.items():
        known, at = (before or {}).get(key), tuple(paths.get(key, ()))
        if known is None or known[0] != model or known[1].paths != at:
            # Copy the model, because managers may change theirs later.
            known = dict(model), _kernel(key, model, at)
        made[key] = known
    if before is not None:
        before.clear()
        before.update(made)
    kernels = [kernel for _, kernel in made.values()]
    kernels += [
        Kernel(key, paths=tuple(paths.get(key, ())), unreadable=why)
        for key, why in unreadable.items()
    ]
    return tuple(kernels)


def _kernel(kernel_id: str, model: Model, paths: tuple[str, ...]) -> Kernel:
    name, _, image = str(model.get("name") or "").partition(SAGEMAKER_INTERNAL)
    app_name = model.get("app_name")
    try:
        last_activity = parse_stamp(model.get("last_activity"))
        connections = int(model.get("connections") or 0)
    except (TypeError, ValueError) as error:
        return Kernel(kernel_id, name, paths=paths, unreadable=str(error))
    return Kernel(
        id=kernel_id,
        name=name,
        state=str(model.get("execution_state") or "unknown"),
        last_activity=last_activity,
        connections=connections,
        app=f"{KERNEL_GATEWAY}/{app_name}" if app_name else None,
        instance_type=model.get("instance_type") or None,
        image=image or None,
        paths=paths,
    )
