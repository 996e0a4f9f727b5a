"""Shut down a kernel, after a last look at it.

A kernel may become active between the decision to remove it and its end. So this module looks at
the kernel right before the shutdown, and no request of a client reaches the kernel meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ..core.marks import BUSY, COMING_UP, DEAD
from ..core.model import Kernel
from ..core.outcome import Outcome, Result
from ..core.signals import Signal
from ..core.translatable import sentence
from .final_check import FinalCheck, allows, always, kept
from .iopub_subscription import IOPubSubscription
from .kernel_access import fresh_model, is_listed, resolve
from .kernel_models import kernel_of_model
from .kernel_usage import Usage
from .own_questions import OwnQuestions
from .shells import Shells
from .websockets import WebsocketClients

#: The details of the outcome STALE: why a kernel was not shut down after all.
USED = "It was used at the last moment."
SILENT = "Its shell did not answer at the last moment"
CAME_UP = "It had never answered, and has answered at the last moment."

#: The phase of a kernel whose process has ended or is ending.
ENDED = "ended"

#: Seconds that a kernel's manager may need to notice the end of this extension's own request.
SETTLE_SECONDS = 1.0


class KernelShutdown:
    """Shuts down kernels of ``manager``. ``questions`` gets this extension's questions to them.
    ``observed`` gives a kernel the state that its messages show. ``subscription`` gives the IOPub
    subscription of a kernel (None: it has none)."""

    def __init__(
        self,
        manager: Any,
        clients: WebsocketClients,
        shells: Shells,
        questions: OwnQuestions,
        observed: Callable[[Kernel], Kernel],
        subscription: Callable[[str], IOPubSubscription | None],
    ) -> None:
        self._manager = manager
        self._clients = clients
        self._requests = clients.requests
        self._shells = shells
        self._observed = observed
        self._subscription = subscription
        self._questions = questions
        #: The questions in progress, by kernel id.
        self._asking: dict[str, asyncio.Task[Usage]] = {}

    async def session_history(self, kernel: Kernel) -> tuple[Kernel, tuple[str, ...] | None]:
        """The kernel, and the code of the cells that it has run (None: the kernel does not answer).
        Never raises."""
        if kernel.state != "idle":
            return kernel, None
        try:
            if await self._has_moved(kernel):
                return kernel, None
            answer = await self._ask(kernel, self._shells.ask_history)
        except Exception:
            return kernel, None
        return kernel, answer.cells

    async def _ask(self, kernel: Kernel, ask: Callable[[str], Awaitable[Usage]]) -> Usage:
        """Ask ``kernel``, which has the stamp before the question, and note the stamp after it.

        The question goes on to its end when the caller is cancelled. Otherwise nobody would note
        the stamp that it moved, and the kernel would look used. Raises what ``ask`` raises."""
        await self._last_question(kernel.id)
        question = asyncio.ensure_future(self._ask_and_note(kernel, ask))
        self._asking[kernel.id] = question
        question.add_done_callback(partial(self._question_ended, kernel.id))
        return await asyncio.shield(question)

    async def _ask_and_note(self, kernel: Kernel, ask: Callable[[str], Awaitable[Usage]]) -> Usage:
        with self._questions.to([kernel]):
            answer = await ask(kernel.id)
            # If its connection broke, the request of another client may have passed unseen.
            broke = bool(answer.shell.failure) and not answer.shell.refused
            if not answer.other_client_seen and not broke:
                self._questions.moved_stamp(kernel, answer.stamps.get(Signal.LAST_ACTIVITY))
            return answer

    def _question_ended(self, kernel_id: str, question: asyncio.Task[Usage]) -> None:
        if self._asking.get(kernel_id) is question:
            del self._asking[kernel_id]
        if not question.cancelled():
            question.exception()  # its caller may no longer wait for it

    async def _last_question(self, kernel_id: str) -> None:
        """Wait for the end of the question in progress to this kernel. Until then nobody knows
        which of the kernel's stamps the question moves."""
        question = self._asking.get(kernel_id)
        if question is not None:
            await asyncio.wait({question})

    async def remove(
        self, kernel: Kernel, only_unmoved: bool, still_removable: FinalCheck = always
    ) -> Outcome:
        """Shut one kernel down gracefully, and end its session. Never raises.

        With ``only_unmoved`` this looks at the kernel once more, and skips the shutdown if the
        kernel became active since it was observed as ``kernel``. From before that look to the end,
        no request of a client reaches the kernel (docs/reliability.md, "The race").
        ``still_removable`` is called right before the shutdown.

        Never cancel this: a kernel manager whose shutdown is cancelled half way can never shut that
        kernel down again."""
        if only_unmoved:
            await self._last_question(kernel.id)
        with self._clients.held_back(kernel.id) as held:
            try:
                outcome = await self._shut_down(kernel, only_unmoved, still_removable)
            except Exception as error:
                outcome = await self._failure(kernel, error)
            # A cell of a client is dropped only if there is no kernel left that could run it.
            if outcome.ended and not self._may_be_listed(kernel.id):
                held.clear()
        return outcome

    async def _shut_down(
        self, kernel: Kernel, only_unmoved: bool, still_removable: FinalCheck
    ) -> Outcome:
        if only_unmoved:
            why_kept = await self._why_kept(kernel)
            if why_kept:
                return Outcome(Result.STALE, why_kept)
        if not allows(still_removable):
            return kept()
        await resolve(self._manager.shutdown_kernel(kernel.id))
        return Outcome(Result.REMOVED, "The kernel was shut down.")

    async def _why_kept(self, kernel: Kernel) -> str:
        """Why the kernel must not be shut down after all; empty if it may be shut down.

        The shell of an idle kernel must answer. If the shell of a kernel that is stuck in starting
        answers, the kernel is judged as a running kernel. After that, messages and model are read
        once more. Between that reading of a local kernel and its end no other code runs on the
        server's event loop.
        """
        is_starting = kernel.state in COMING_UP
        if kernel.state == "idle" or is_starting:
            if await self._has_moved(kernel):
                return USED
            answer = await self._ask(kernel, self._shells.ask)
            if answer.shell.free and (is_starting or kernel.refused):
                return CAME_UP
            # ``max_busy_minutes`` ends a kernel whose gateway refuses each connection.
            goes_unanswered = kernel.refused and answer.shell.refused
            if is_starting and not answer.shell.failure:
                goes_unanswered = True
            if not answer.shell.free and not goes_unanswered:
                return f"{SILENT}: {answer.shell.failure}" if answer.shell.failure else SILENT
            if answer.other_client_seen:
                return USED
        return USED if await self._has_moved(kernel) else ""

    async def _has_moved(self, kernel: Kernel) -> bool:
        """Whether the kernel received a request or began to work since it was observed as
        ``kernel``. Raises what its manager raises: an unreadable kernel is not shut down."""
        fresh = await self._read_with_messages(kernel)
        # Our own query makes the kernel busy, and its manager may not have noticed the end yet.
        give_up_at = time.monotonic() + SETTLE_SECONDS
        while fresh and fresh.state == BUSY != kernel.state and time.monotonic() < give_up_at:
            requests = self._requests.known(kernel.id)
            if requests is not None and (requests.unfinished or requests.shell_silent):
                break
            await asyncio.sleep(0.05)
            fresh = await self._read_with_messages(kernel)
        if fresh is None:
            return True  # one of the unread messages may be a request
        stamp_moved = fresh.iopub is None and fresh.last_activity != kernel.last_activity
        return (
            bool(fresh.unreadable)
            or stamp_moved
            or fresh.request_at != kernel.request_at
            or _phase(fresh.state) not in (_phase(kernel.state), ENDED)
            or _no_longer_waits(kernel, fresh)
        )

    async def _read_with_messages(self, kernel: Kernel) -> Kernel | None:
        """The kernel as it is now, after its waiting messages were read. None if more messages wait
        than can be read at once."""
        subscription = self._subscription(kernel.id)
        if subscription is not None and not subscription.catch_up():
            return None
        model = await fresh_model(self._manager, kernel.id)
        if not model:
            raise LookupError("its manager gives no model for it")
        return self._observed(kernel_of_model(kernel.id, model, kernel.paths))

    async def _failure(self, kernel: Kernel, error: Exception) -> Outcome:
        """The outcome of a shutdown that raised ``error``.

        A manager raises KeyError or HTTP 404 for a kernel that it does not have. A bug in the
        manager may raise KeyError, too. So the outcome is GONE only for such an error and if the
        manager no longer lists the kernel."""
        if isinstance(error, KeyError) or getattr(error, "status_code", None) == 404:
            # A remote manager drops a kernel from its own list only when it reads the list of its
            # gateway, so let it read that list first.
            with contextlib.suppress(Exception):
                await resolve(self._manager.list_kernels())
            if not self._may_be_listed(kernel.id):
                return Outcome(Result.GONE, "The kernel was already gone.")
        return Outcome(
            Result.TEMPORARY,
            sentence("Shutting down kernel %1 failed: %2.", kernel.id, type(error).__name__),
            type(error).__name__,
            sentence(
                "The extension tries again. The server's log has the messages of the kernel "
                "manager."
            ),
        )

    def _may_be_listed(self, kernel_id: str) -> bool:
        """Whether the manager still lists the kernel, or its list cannot be read."""
        try:
            return is_listed(self._manager, kernel_id)
        except Exception:
            return True


def _phase(state: str) -> str:
    """``state``, but one value for all states of a start, and one for all states of an end. A
    kernel that fails to start may go through all of these states although nobody uses it."""
    if state in COMING_UP:
        return "starting"
    return ENDED if state in DEAD else state


def _no_longer_waits(before: Kernel, now: Kernel) -> bool:
    """Whether a person came back to a kernel that waited in ``input()`` or in the debugger."""
    if before.waiting_for is None:
        return False
    return now.waiting_for != before.waiting_for or now.connections > before.connections
