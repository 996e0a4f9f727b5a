"""Ask each kernel that was started on this host whether it has come up.

A kernel reports once that it starts, on its IOPub channel. This server and its kernel manager
subscribe to that channel, but ZeroMQ connects only after the kernel has bound its port: it tries
again every 100 to 200 ms. If the kernel reports its start before ZeroMQ has connected, the report
is lost. After its report the kernel sends nothing until somebody sends it a request. This server
sends a request when a page connects, and when somebody asks for a restart. A kernel without a page,
and a kernel that died and was started again, would stay ``starting`` until
``startup_grace_minutes`` are over.

So this module sends one ``kernel_info_request`` to the kernel's shell channel. ZeroMQ delivers it
when the kernel has come up, however long that takes, so no request has to be sent twice. The
kernel's messages about this request are no activity (request_types.py). Kernels whose IOPub channel
this server does not read are not asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from typing import Any

from ..core.marks import COMING_UP
from ..core.model import Kernel
from .kernel_access import kernel_of, pid_of
from .kernel_requests import KernelRequests
from .requests_by_kernel import Requests

#: A kernel is asked this time (seconds) after a pass has first seen it starting. By then most
#: kernels have come up, and a page that was opened with the kernel has made that known.
ASK_AFTER_SECONDS = 2.0

_log = logging.getLogger(__name__)


class StartQuestions:
    """Asks the kernels of ``manager``, and notes in ``requests`` which have come up."""

    def __init__(self, manager: Any, requests: Requests) -> None:
        self._manager = manager
        self._requests = requests
        self._questions: dict[str, StartQuestion] = {}

    def look(self, kernels: Iterable[Kernel]) -> None:
        """Plan a question to each of these kernels that is starting, one for each of its processes,
        and withdraw the questions to the others. Call it on the server's event loop."""
        for kernel in kernels:
            if kernel.unreadable:
                continue  # it may still be starting
            # Without the IOPub channel, ``last_activity`` shows when the kernel was last used. Old
            # versions of jupyter_server move it for each message, so the question would look like
            # use.
            if kernel.state in COMING_UP and kernel.iopub is not None:
                self._plan(kernel.id)
            else:
                self._withdraw(kernel.id)

    def keep_only(self, kernel_ids: Collection[str]) -> None:
        """Withdraw the questions to all other kernels, which no longer exist."""
        for gone in self._questions.keys() - set(kernel_ids):
            self._withdraw(gone)

    def _withdraw(self, kernel_id: str) -> None:
        question = self._questions.pop(kernel_id, None)
        if question is not None:
            question.close()

    def close(self) -> None:
        """Withdraw all questions."""
        self.keep_only(())

    def _plan(self, kernel_id: str) -> None:
        pid = pid_of(self._manager, kernel_id)
        question = self._questions.get(kernel_id)
        if pid is None or (question is not None and question.pid == pid):
            return
        self._withdraw(kernel_id)
        question = StartQuestion(pid, self._requests.of(kernel_id))
        self._questions[kernel_id] = question
        question.timer = asyncio.get_running_loop().call_later(
            ASK_AFTER_SECONDS, self._ask, kernel_id, question
        )

    def _ask(self, kernel_id: str, question: StartQuestion) -> None:
        try:
            question.send(kernel_of(self._manager, kernel_id))
        except Exception as error:
            # For example without free file descriptors. The next full pass plans it again.
            _log.debug("auto_shutdown: kernel %s cannot be asked: %r", kernel_id, error)
            self._withdraw(kernel_id)


class StartQuestion:
    """The question to one process of a kernel. ``pid`` is the id of that process."""

    def __init__(self, pid: int, requests: KernelRequests) -> None:
        self.pid = pid
        self.timer: asyncio.TimerHandle | None = None
        self._requests = requests
        self._session: Any = None
        self._stream: Any = None
        self._id = ""

    def send(self, kernel: Any) -> None:
        """Send the question, unless a message of the kernel has shown that it came up. Raises
        OSError or ZMQError if the kernel cannot be asked now."""
        if self._requests.came_up:
            return
        stream = kernel.connect_shell()
        if not hasattr(stream, "on_recv"):
            stream.close()
            return
        self._stream, self._session = stream, kernel.session
        stream.on_recv(self._receive)
        message = self._session.send(stream, "kernel_info_request")
        self._id = message["header"]["msg_id"]

    def _receive(self, parts: list[bytes]) -> None:
        """Take note of one message on the shell channel. Never raises: the server's event loop
        calls it."""
        try:
            _, parts = self._session.feed_identities(parts)
            parent = self._session.deserialize(parts, content=False)["parent_header"]
            if parent.get("msg_id") != self._id:
                return
        except Exception:
            return  # it is not signed with this kernel's key
        self.close()
        self._requests.has_come_up()

    def close(self) -> None:
        """Withdraw the question."""
        if self.timer is not None:
            self.timer.cancel()
        if self._stream is not None and not self._stream.closed():
            self._stream.close(linger=0)
