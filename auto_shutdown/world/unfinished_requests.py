"""The unfinished requests of one kernel, by message id, and when each of them ends.

A request ends when the kernel reports ``idle`` for it. That message can be lost, and a kernel can
drop a request without a message. So the answers to later questions can end a request, too.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

#: A request that has not begun never reached the kernel if the shell has answered this number of
#: later questions. One answer is not enough: the shell takes turns between its clients, so a
#: question can overtake a cell that waits behind another cell. A request to a subshell ends when
#: the subshell is missing in this number of lists of the kernel's subshells.
ANSWERS_BEFORE_LOST = 2

#: The number of finished requests that are remembered. Two messages about the same end may arrive
#: at different times.
_REMEMBERED = 64


@dataclass
class Request:
    """One unfinished request.

    - ``subshell``: the id of the subshell to which it was sent (None: to the main shell).
    - ``since``: when it was sent, or when it began, in monotonic seconds.
    - ``started``: the kernel has reported ``busy`` for it.
    - ``answers``: the number of answers to later questions that suggest that it was lost.
    - ``end_may_be_missed``: its end may have passed unseen, because this server received no status
      of the kernel for a time.
    """

    subshell: str | None
    since: float
    started: bool
    answers: int = 0
    end_may_be_missed: bool = False


@dataclass
class UnfinishedRequests:
    """The requests that wait or run. Iterating returns their message ids."""

    _by_id: dict[str, Request] = field(default_factory=dict)
    _finished: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _announced_cells: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def subshell_of(self, request_id: str) -> str | None:
        """The subshell to which the request was sent; None if it is the main shell or unknown."""
        request = self._by_id.get(request_id)
        return request.subshell if request is not None else None

    @property
    def subshells(self) -> frozenset[str]:
        """The subshells that have unfinished requests."""
        return frozenset(r.subshell for r in self._by_id.values() if r.subshell)

    def any_started(self, without: Collection[str]) -> bool:
        """Whether a request has begun that is not in ``without``."""
        return any(r.started for i, r in self._by_id.items() if i not in without)

    def sent(self, request_id: str, subshell: str | None) -> None:
        """A client sends the request."""
        self._by_id[request_id] = Request(subshell, time.monotonic(), started=False)

    def begins(self, request_id: str, subshell: str | None) -> bool:
        """The kernel reports ``busy`` for the request. False if its end is known already: then this
        is a late copy of the message."""
        if request_id in self._finished:
            return False
        self._by_id[request_id] = Request(subshell, time.monotonic(), started=True)
        return True

    def runs_again(self, request_id: str) -> bool:
        """The kernel publishes the code of a cell, so the cell runs now. Returns whether the
        request had ended before. Only the first copy of this message counts."""
        if request_id in self._announced_cells:
            return False
        self._announced_cells.append(request_id)
        if request_id not in self._finished:
            return False
        self._finished.remove(request_id)
        return True

    def finish(self, request_id: str) -> bool:
        """The request has ended. Returns whether it was unfinished."""
        finished = self._by_id.pop(request_id, None)
        if finished is None:
            return False
        self._finished.append(request_id)
        if finished.started and finished.subshell is None:
            # The main shell runs one cell at a time, so earlier cells have ended, too. Their
            # ``idle`` was lost, for example when a connection to a gateway broke. The shell's
            # next answer confirms that.
            for request in self._by_id.values():
                request.end_may_be_missed |= request.started and request.since < finished.since
        return True

    def process_was_started(self) -> None:
        """The kernel has a new process. The requests that ran have ended with the old process.
        Requests sent since then wait for the new process."""
        self._by_id = {i: r for i, r in self._by_id.items() if not r.started}

    def ends_may_be_missed(self) -> None:
        """From now on, the end of each of these requests may pass unseen."""
        for request in self._by_id.values():
            request.end_may_be_missed = True

    def clear(self) -> None:
        """All requests have ended, or can no longer be followed."""
        self._by_id.clear()

    def shell_answered(self, asked_at: float, one_by_one: bool) -> list[str]:
        """The main shell has answered a question that was asked at ``asked_at`` (monotonic), so a
        request to it ends if its ``idle`` may have passed unseen and the kernel handles the
        requests of its main shell ``one_by_one``. Returns the requests that have ended."""

        def has_ended(request: Request) -> bool:
            return request.end_may_be_missed and one_by_one

        return self._count_answer(asked_at, lambda subshell: subshell is None, has_ended)

    def subshells_listed(self, asked_at: float, living: Collection[str]) -> list[str]:
        """The kernel was asked at ``asked_at`` (monotonic), and has only the subshells ``living``.
        Returns the requests that have ended with their subshell."""

        def has_ended(request: Request) -> bool:
            return request.answers >= ANSWERS_BEFORE_LOST

        return self._count_answer(
            asked_at, lambda subshell: subshell is not None and subshell not in living, has_ended
        )

    def _count_answer(
        self,
        asked_at: float,
        concerns: Callable[[str | None], bool],
        has_ended: Callable[[Request], bool],
    ) -> list[str]:
        """Count an answer for the requests of the subshells that it ``concerns``. Returns the
        requests that have ended. It also drops the requests that never reached the kernel."""
        ended = []
        for request_id, request in list(self._by_id.items()):
            if not concerns(request.subshell) or request.since >= asked_at:
                continue
            request.answers += 1
            if request.started:
                if has_ended(request):
                    self.finish(request_id)
                    ended.append(request_id)
            elif request.answers >= ANSWERS_BEFORE_LOST:
                # Not noted as finished, so it counts if it begins after all.
                del self._by_id[request_id]
        return ended
