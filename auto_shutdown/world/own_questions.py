"""What this extension's own questions change in the models of kernels.

On a gateway, a question moves the kernel's ``last_activity``, makes the kernel busy for a moment,
and needs a connection. None of this is activity. A question takes up to seconds, and a pass, a
removal or a request of a user may observe the kernel meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from ..core.marks import BUSY
from ..core.model import Kernel
from ..core.signals import Signal
from .kernel_usage import Usage
from .stamps import MovedStamps


class OwnQuestions:
    """The questions in progress, and the stamps that the last questions have moved."""

    def __init__(self) -> None:
        self._moved: MovedStamps[str] = MovedStamps()
        #: The kernels that are asked now: each as observed before, and the number of questions.
        self._asked: dict[str, tuple[Kernel, int]] = {}

    @contextlib.contextmanager
    def to(self, kernels: Iterable[Kernel]) -> Iterator[None]:
        """Ask these kernels in the body. Each was observed before the question. Until the end of
        the body, ``without`` shows them as they were before."""
        asked = tuple(kernels)
        for kernel in asked:
            before, count = self._asked.get(kernel.id, (kernel, 0))
            self._asked[kernel.id] = before, count + 1
        try:
            yield
        finally:
            for kernel in asked:
                before, count = self._asked.pop(kernel.id)
                if count > 1:
                    self._asked[kernel.id] = before, count - 1

    def moved_stamp(self, kernel: Kernel, after: datetime | None) -> None:
        """Note that a question moved the ``last_activity`` of ``kernel``, which was observed before
        the question, to ``after`` (None: it is not known)."""
        self._moved.note(kernel.id, kernel.last_activity, after)

    def without(self, kernel: Kernel) -> Kernel:
        """``kernel``, as its manager describes it now, without what our own questions changed.

        While this server asks a kernel, it cannot tell whether its question or another client
        of the gateway changed the model. So this shows the ``last_activity`` and the number of
        connections from before the question, and hides that the kernel became busy. The
        activity of another client shows after the question. A client of this server shows at
        once, by its messages."""
        before, _ = self._asked.get(kernel.id, (None, 0))
        if before is None or before.unreadable or kernel.unreadable:
            return self.without_ended(kernel)
        return replace(
            kernel,
            last_activity=before.last_activity,
            state=before.state if kernel.state == BUSY else kernel.state,
            connections=min(kernel.connections, before.connections),
        )

    def without_ended(self, kernel: Kernel) -> Kernel:
        """``kernel`` without the ``last_activity`` that our ended questions moved. A change
        during a question in progress shows, because another client may have made it. A removal
        must see such a change, so it decides by this."""
        at = self._moved.without(kernel.id, kernel.last_activity)
        return kernel if at == kernel.last_activity else replace(kernel, last_activity=at)

    def answered(self, kernel_id: str, usage: Usage) -> Usage:
        """The answer of a kernel, with the stamps that ``without_ended`` shows. If a question has
        moved the stamp and the next one does not, both must show the same."""
        at = self._moved.without(kernel_id, usage.stamps.get(Signal.LAST_ACTIVITY))
        return replace(usage, stamps=Kernel(kernel_id, last_activity=at).stamps)

    def keep_only(self, kernel_ids: Collection[str]) -> None:
        """Forget the kernels that no longer exist."""
        self._moved.keep_only(kernel_ids)
