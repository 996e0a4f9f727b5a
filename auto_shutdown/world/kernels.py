"""Read and shut down kernels through the server's own managers, in the server's process.

This works with the local kernel manager and with remote ones (gateway mode, Studio Classic's),
synchronous or asynchronous. While one kernel is starting, ``list_kernels()`` may raise an error
instead of listing the others. So the kernels that it does not list are read one by one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from traitlets import TraitError

from ..core.marks import BUSY, COMING_UP, DEAD
from ..core.model import Departure, Kernel
from ..core.outcome import Outcome
from ..core.translatable import joined, sentence
from .changes_since_observation import updated_kernel
from .final_check import FinalCheck, always
from .iopub import IOPubListener
from .iopub_subscription import IOPubSubscription
from .kernel_access import (
    channels_of,
    fresh_model,
    is_listed,
    kernel_of,
    limit_of,
    pid_of,
    resolve,
)
from .kernel_lifecycle import KernelLifecycle
from .kernel_models import Joined, Model, join, kernel_of_model, state_by_messages
from .kernel_shutdown import KernelShutdown
from .kernel_usage import Usage
from .own_questions import OwnQuestions
from .shells import OwnChannels, Shells
from .start_questions import StartQuestions
from .websockets import WebsocketClients


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
            kernel_manager,
            self._requests,
            self._read_now,
            self._listener.subscribe,
            self._listener.process_ended,
        )
        #: This extension's own questions to the kernels.
        self.own_questions = OwnQuestions()
        self._shutdown = KernelShutdown(
            kernel_manager,
            self._clients,
            self._shells,
            self.own_questions,
            self._observed_for_removal,
            self._subscription,
        )
        self._start_questions = StartQuestions(kernel_manager, self._requests)
        self._just_asked: dict[str, Usage] = {}
        self._limits: dict[str, timedelta | None] = {}
        self._last_sessions: list[Model] = []
        self._has_read = False
        self._joined: Joined = {}
        self._with_changes: dict[str, tuple[Kernel, dict[str, Any], Kernel]] = {}

    async def read(self) -> tuple[dict[str, Model], dict[str, str]]:
        """All kernel models by id, and the reason for each kernel that could not be read.

        Raises the manager's error if the manager cannot even list the ids.
        """
        models = {str(model["id"]): model for model in await self._list()}
        unreadable: dict[str, str] = {}
        for kernel_id in list(self._kernels.list_kernel_ids()):
            if kernel_id not in models:
                model = await self._read_one(kernel_id, unreadable)
                if model is not None:
                    models[kernel_id] = model
        self._listener.attend(models, unreadable)
        self._read_limits(models)
        return models, unreadable

    async def _list(self) -> list[Model]:
        """The manager's own list. Kernels behind a gateway may be older than this server. A remote
        manager learns of them only through this call. Without it, their app would seem empty.

        While a kernel is starting, a local manager raises TraitError. Then the kernels are read one
        by one. Any other error is passed on.
        """
        try:
            return list(await resolve(self._kernels.list_kernels()))
        except TraitError:
            return []

    def _read_limits(self, kernel_ids: Iterable[str]) -> None:
        """Read the limits of these kernels, each once. A limit that cannot be read is read again in
        the next pass."""
        limits: dict[str, timedelta | None] = {}
        for kernel_id in kernel_ids:
            with contextlib.suppress(OSError, KeyError, ValueError):
                if kernel_id in self._limits:
                    limits[kernel_id] = self._limits[kernel_id]
                else:
                    limits[kernel_id] = limit_of(self._kernels, kernel_id)
        self._limits = limits

    def joined(
        self,
        models: Mapping[str, Model],
        unreadable: Mapping[str, str],
        sessions: Iterable[Model],
    ) -> tuple[Kernel, ...]:
        """The kernels, from the results of ``read`` and ``read_sessions`` and from the messages of
        the kernels."""
        if not self._has_read:
            # These kernels are older than this server, so it may have missed the end of a cell.
            self._has_read = True
            older = (i for i in (*models, *unreadable) if not self._requests.of(i).on_iopub)
            self.may_run_cells(older)
        kernels = tuple(map(self.observed, join(models, unreadable, sessions, self._joined)))
        self._lifecycle.look(kernels)
        self._start_questions.look(kernels)
        # A kernel may have started, and may be at work, since ``read`` made its list. So do not
        # forget its requests.
        listed = map(str, self._kernels.list_kernel_ids())
        known = {kernel.id for kernel in kernels}.union(listed)
        self._requests.keep_only(known)
        self.own_questions.keep_only(known)
        self._start_questions.keep_only(known)
        for kernel_id in self._with_changes.keys() - known:
            del self._with_changes[kernel_id]
        return kernels

    async def read_again(self, kernel_ids: Iterable[str]) -> tuple[Kernel, ...] | None:
        """These kernels as they are now, with the paths of the last full reading. None if one of
        them was not in that reading. Raises the manager's error."""
        kernels = []
        for kernel_id in kernel_ids:
            if kernel_id not in self._joined:
                return None
            fresh = await fresh_model(self._kernels, kernel_id)
            if not fresh or kernel_id not in self._joined:
                return None
            self._listener.attend_to(kernel_id)
            model, before = self._joined[kernel_id]
            kernels.append(
                self.observed(kernel_of_model(kernel_id, {**model, **fresh}, before.paths))
            )
        self._start_questions.look(kernels)
        return tuple(kernels)

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
        return kernel_of_model(kernel_id, model, ())

    def observed(self, kernel: Kernel) -> Kernel:
        """``kernel``, as its manager describes it, with the state that its messages show, and
        whether it waits for a person."""
        return self._with_messages(self.own_questions.without(kernel), kernel.state)

    def _observed_for_removal(self, kernel: Kernel) -> Kernel:
        """As ``observed``, but this hides nothing because of a question in progress."""
        return self._with_messages(self.own_questions.without_ended(kernel), kernel.state)

    def _with_messages(self, kernel: Kernel, described: str) -> Kernel:
        """``kernel`` with what its messages show. Its manager describes its state as
        ``described``."""
        requests, subscription = self._requests.known(kernel.id), self._subscription(kernel.id)
        own_limit = self._limits.get(kernel.id)
        unknown = self._listener.why_unknown(kernel.id)
        if unknown and not kernel.unreadable and kernel.state not in DEAD:
            why = joined(sentence("its messages cannot be read:"), unknown)
            return replace(kernel, unreadable=why)
        if requests is None and subscription is None and own_limit is None:
            return kernel
        if requests is not None and requests.unreachable and not kernel.unreadable:
            why = joined(
                sentence("its shell could not be asked whether a cell runs:"), requests.unreachable
            )
            return replace(kernel, unreadable=why)
        state, waiting_for = kernel.state, None
        if requests is not None and state in DEAD:
            requests.ended()
        elif requests is not None:
            if described != BUSY:
                requests.busy_is_old = False
            elif requests.busy_is_old:
                state = "restarting"
            requests.busy_without_request = state == BUSY and not requests.unfinished
            state = state_by_messages(state, requests)
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
            end_unseen=requests is not None and requests.end_unseen,
            refused=requests.refused if requests is not None else "",
            request_sent_at=requests.sent_at if requests is not None else None,
        )

    def _changed(self, kernel: Kernel, **changes: Any) -> Kernel:
        """``kernel`` with ``changes``. If nothing has changed since the last pass, this returns the
        same object again: constructing a kernel takes longer than the rest of reading it."""
        last = self._with_changes.get(kernel.id)
        if last is not None and last[0] is kernel and last[1] == changes:
            return last[2]
        changed = replace(kernel, **changes)
        self._with_changes[kernel.id] = kernel, changes, changed
        return changed

    def updated(self, kernel: Kernel) -> Kernel:
        """``kernel``, which was observed before, with what its clients and its messages have shown
        since then. Sends no request, and may be called in any thread."""
        return updated_kernel(
            kernel,
            self._requests.known(kernel.id),
            self._subscription(kernel.id),
            self._clients.connections(kernel.id),
        )

    def was_started_since(self, monotonic: float) -> bool:
        """Whether this server has begun to start a kernel since that instant of the monotonic
        clock, or still waits for the start of one. May be called in any thread."""
        return self._lifecycle.was_started_since(monotonic)

    def had_come_up(self, kernel_ids: Iterable[str]) -> None:
        """Note that an earlier server saw these kernels idle or busy. So they are not stuck in
        starting, even if their manager lists them as starting (a gateway may do so for ever)."""
        for kernel_id in kernel_ids:
            self._requests.of(kernel_id).came_up = True

    def may_run_cells(self, kernel_ids: Iterable[str]) -> None:
        """Note that nobody saw the end of the last cell of these kernels."""
        for kernel_id in kernel_ids:
            self._requests.of(kernel_id).end_unseen = True

    def is_starting(self, kernel: Kernel) -> bool:
        """Whether ``kernel`` was observed as starting, and no message since shows that it came
        up."""
        requests = self._requests.known(kernel.id)
        state = kernel.state if requests is None else state_by_messages(kernel.state, requests)
        return state in COMING_UP

    def _subscription(self, kernel_id: str) -> IOPubSubscription | None:
        return self._listener.subscription(kernel_id)

    def pid_of(self, kernel_id: str) -> int | None:
        """The process id of a kernel on this host; None for a kernel elsewhere."""
        return pid_of(self._kernels, kernel_id)

    def usage_answers(self, kernel_id: str) -> int:
        """How often clients have asked the kernel for its use of the host, as far as this server
        reads its IOPub channel."""
        known = self._requests.known(kernel_id)
        return known.usage_answers if known is not None else 0

    def channels_of(self, kernel_id: str) -> str | None:
        """The websocket URL of a kernel behind a gateway; None for any other kernel."""
        return channels_of(self._kernels, kernel_id)

    async def ask_usage(self, kernel_id: str) -> Usage:
        """Ask a kernel in another container for its processor time, and ask its shell. Never
        raises."""
        answer = await self._shells.ask_by_websocket(kernel_id, with_usage=True)
        usage = self.own_questions.answered(kernel_id, answer)
        if not usage.failure:
            self._requests.of(kernel_id).came_up = True
        self._just_asked[kernel_id] = usage
        return usage

    async def ask_shells(self, kernel_ids: Iterable[str]) -> dict[str, Usage]:
        """Ask the shells of these kernels, except those that ``ask_usage`` has just asked. Never
        raises."""
        just_asked, self._just_asked = self._just_asked, {}
        missing = [kernel_id for kernel_id in kernel_ids if kernel_id not in just_asked]
        answers = await self._shells.ask_all(missing)
        asked = {i: self.own_questions.answered(i, answer) for i, answer in answers.items()}
        return {**just_asked, **asked}

    def close(self) -> None:
        """End the subscriptions to all kernels, and withdraw the questions to starting kernels."""
        self._listener.close()
        self._start_questions.close()

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

    def place(self, kernels: Iterable[Kernel]) -> None:
        """Note in which apps ``kernels`` run or may run. If a kernel ends before the next reading,
        its apps are still known."""
        self._lifecycle.place(kernels)

    @property
    def last_sessions(self) -> list[Model]:
        """The sessions that were last listed."""
        return self._last_sessions

    async def session_history(self, kernel: Kernel) -> tuple[Kernel, tuple[str, ...] | None]:
        """As :meth:`KernelShutdown.session_history`."""
        return await self._shutdown.session_history(kernel)

    async def remove(
        self, kernel: Kernel, only_unmoved: bool, still_removable: FinalCheck = always
    ) -> Outcome:
        """As :meth:`KernelShutdown.remove`."""
        return await self._shutdown.remove(kernel, only_unmoved, still_removable)

    def is_listed(self, kernel_id: str) -> bool:
        """As :func:`kernel_access.is_listed`."""
        return is_listed(self._kernels, kernel_id)
