"""Follow the execution requests (and similar requests) of each kernel, to know whether it is busy.

The ``execution_state`` of a kernel's model is not enough. It is the state in the last status
message that the kernel manager tracks. A kernel that runs a cell also answers requests on other
channels, and each of these answers ends with the status ``idle``.

So this module follows each request by its message id. A request runs from the status ``busy`` to
the status ``idle`` that name it as their parent message (unfinished_requests.py). A cell that waits
behind another cell counts from the moment at which a client sent it.

The messages come from the kernel's IOPub channel (iopub_subscription.py) and from the websockets of
this server (websockets.py). The answers of the shell (shells.py) end requests whose ``idle`` was
lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..core.marks import BUSY
from .input_questions import InputQuestion, InputQuestions
from .request_types import CODE_REQUESTS, UNTRACKED, USER_REQUESTS
from .unfinished_requests import UnfinishedRequests

#: States in which the kernel's process has ended, or is about to end.
_ENDED = frozenset({"restarting", "autorestarting", "dead", "terminating", "terminated"})

#: If a kernel's shell cannot be asked, its state is unknown for this time. Then it is asked again.
UNREACHABLE_SECONDS = 60.0


@dataclass
class KernelRequests:
    """The unfinished requests of one kernel, and what its messages and its shell have shown.

    - ``on_iopub``: this server reads the kernel's IOPub channel.
    - ``has_clients``: clients are connected to the kernel through this server. Their websockets and
      the IOPub channel both carry the end of each request.
    - ``last_ran_at``: when a request that runs code last began or ended.
    - ``sent_at``: when a client of this server last sent one of ``USER_REQUESTS``.
    - ``came_up``: the kernel has sent a message since its process was last started.
    - ``shell_silent``: the shell did not answer the last question, so a cell may run.
    - ``end_unseen``: a cell ran when this server lost its last way to see the end of the cell, and
      nothing has shown since that the cell ended. It also starts as True for a kernel that an
      earlier server process saved in this state.
    - ``refused``: why the kernel's gateway refused the last connection (empty: it did not refuse,
      or this server could not ask).
    - ``unwatched_subshells``: the subshells that had unfinished requests when this server lost its
      last way to see the end of these requests. A subshell is a thread of the kernel with its own
      queue of requests (JEP 91), so the main shell's answer does not show their end.
    - ``busy_without_request``: the kernel was last seen busy only because its manager says so. A
      restart of the kernel ends all requests here, but the manager reports the last status message
      until the next status message arrives.
    - ``busy_is_old``: if the manager reports ``busy``, that is the state of a process which has
      ended. The manager keeps the state of the last status message that it tracks. If the first
      message of the new process is lost, it would report for ever the cell in which the previous
      process ended. Only for kernels whose IOPub channel this server reads.
    - ``usage_answers``: the number of ``usage_request`` that the kernel has begun to answer, on its
      IOPub channel. Pages send them again and again to show the kernel's processor and memory.
    - ``on_change``: called when the kernel begins or ends its work, begins or ends to wait in
      ``input()``, or starts anew.
    """

    on_iopub: bool = False
    has_clients: bool = False
    last_ran_at: datetime | None = None
    sent_at: datetime | None = None
    came_up: bool = False
    shell_silent: bool = False
    end_unseen: bool = False
    refused: str = ""
    unwatched_subshells: set[str] = field(default_factory=set)
    busy_without_request: bool = False
    busy_is_old: bool = False
    usage_answers: int = 0
    on_change: Callable[[], None] = field(default=lambda: None, compare=False)
    _questions: InputQuestions = field(default_factory=InputQuestions)
    _signalled: tuple[object, ...] = (False, None, False, False)
    _unreachable: tuple[float, str] | None = None
    _unfinished: UnfinishedRequests = field(default_factory=UnfinishedRequests)

    @property
    def unfinished(self) -> int:
        """The number of requests that run or wait."""
        return len(self._unfinished)

    @property
    def asked_for_input(self) -> bool:
        """Whether a request waits in ``input()``, as far as is known."""
        return bool(self._questions)

    def asks_for_input(self, request_id: str, message_id: str = "") -> None:
        """The request asks for input with the message ``message_id``."""
        subshell = self._unfinished.subshell_of(request_id)
        self._questions[request_id] = InputQuestion(message_id, subshell)
        self._signal_change()

    def input_answered(self, message_id: str = "") -> None:
        """A client answers the message ``message_id``."""
        self._questions.answered(message_id)
        self._signal_change()

    def _signal_change(self, certainly: bool = False) -> None:
        """Signal a change of what this object knows. ``certainly``: something else has changed."""
        state = (bool(self._unfinished), tuple(self._questions), self.shell_silent, self.came_up)
        if state != self._signalled or certainly:
            self._signalled = state
            self.on_change()

    def waits_for_input(self, state: str) -> bool:
        """Whether the kernel only waits in ``input()``. ``state`` is what its manager reports. A
        kernel with subshells can run another cell while one cell waits."""
        if not self._questions or self._runs_beside_input():
            return False
        if self.shell_silent or state == BUSY:
            return True
        return not self._questions.keys().isdisjoint(self._unfinished)

    def _runs_beside_input(self) -> bool:
        """Whether a request has started that does not wait in ``input()``. A cell that waits for
        its turn has not started."""
        return self._unfinished.any_started(without=self._questions)

    def sent(self, header: Mapping[str, Any]) -> None:
        """A client of this server sends a request with ``header``."""
        kind = header.get("msg_type")
        if kind not in USER_REQUESTS:
            return
        self.sent_at = datetime.now(timezone.utc)
        # Only cells wait long for their turn. A request of another type counts when it begins.
        if kind == "execute_request":
            self._unfinished.sent(str(header.get("msg_id")), header.get("subshell_id"))
            self._signal_change()

    def has_status(self, state: str, parent: Mapping[str, Any]) -> None:
        """The kernel reports ``state`` for the request whose header is ``parent``."""
        self.refused = ""
        self._note_status(state, parent)
        ends_unseen_work = state == "idle" and self.busy_without_request
        if ends_unseen_work:
            self.busy_without_request = False
        starts_anew = state in _ENDED or state == "starting"
        self._signal_change(certainly=starts_anew or ends_unseen_work)

    def _note_status(self, state: str, parent: Mapping[str, Any]) -> None:
        request_id = str(parent.get("msg_id") or "")
        if state in _ENDED:
            self.ended()
        elif state == "starting":
            self.came_up, self.shell_silent = True, False
            self._questions.clear()
            self.end_unseen = False
            self.unwatched_subshells.clear()
            self._unfinished.process_was_started()
        elif state == "busy":
            self.came_up = True
            if parent.get("msg_type") not in UNTRACKED:
                self.busy_is_old = False  # the manager receives this message, too
            subshell = parent.get("subshell_id")
            runs_code = parent.get("msg_type") in CODE_REQUESTS and request_id
            if runs_code and self._unfinished.begins(request_id, subshell):
                self.last_ran_at = datetime.now(timezone.utc)
                if subshell is None and parent.get("msg_type") == "execute_request":
                    self._questions.main_shell_runs(request_id)
        elif state == "idle":
            self.came_up = True
            self.has_finished(request_id)
            if parent.get("msg_type") == "execute_request" and not parent.get("subshell_id"):
                self.shell_silent = self.end_unseen = False

    def runs_cell(self, parent: Mapping[str, Any]) -> None:
        """The kernel publishes ``execute_input`` for the cell ``parent``, so the cell runs now.

        Its ``idle`` may have come before. jupyter_ui_poll can postpone a cell: the kernel then
        sends ``busy`` and ``idle`` at once, and a second ``idle`` after the run.

        Only the first copy of the message counts. Each client gets a copy, and a client may get its
        copy after the end of the cell."""
        request_id = str(parent.get("msg_id") or "")
        if self._unfinished.runs_again(request_id):
            self.has_status("busy", parent)

    def has_finished(self, request_id: str) -> None:
        """The request has ended."""
        if self._unfinished.finish(request_id):
            self._note_ends([request_id])
        self._questions.pop(request_id, None)
        self._signal_change()

    def has_come_up(self) -> None:
        """The kernel has answered a question, so its process has come up. No request ends."""
        self.came_up = True
        self._signal_change()

    def ended(self) -> None:
        """The kernel's process has ended, so all its requests have ended."""
        self._unfinished.clear()
        self.unwatched_subshells.clear()
        self._questions.clear()
        self.came_up, self.shell_silent = False, False
        self.end_unseen = False
        self._unreachable, self.refused = None, ""
        self._signal_change()

    def process_ended(self) -> None:
        """The manager has noticed that the kernel's process has died, and starts another one."""
        self.was_replaced()
        self.ended()
        self._signal_change(certainly=True)

    def was_replaced(self) -> None:
        """The manager has replaced the kernel's process by another one. Requests that were sent
        meanwhile stay: the new process may receive them."""
        self.busy_is_old = self.on_iopub

    def iopub_closed(self) -> None:
        """This server no longer reads the kernel's IOPub channel."""
        self.on_iopub = False
        if not self.has_clients:
            self._unfinished.ends_may_be_missed()

    def last_client_left(self) -> None:
        """The last client of this server has disconnected. If this server does not read the IOPub
        channel (the kernel runs in another container), it can no longer see the end of a request.
        So it drops the requests. The shell has to answer before the kernel is removed. It is not
        asked sooner: that could lose output of the cell (docs/decisions/006). Until then the cell
        counts for the app if the kernel ends (``end_unseen``)."""
        self.has_clients = False
        if self.on_iopub:
            return
        if self._runs_beside_input():
            self._questions.clear()  # from now on, nobody sees whether the other cell still runs
        self.end_unseen |= bool(self._unfinished)
        self.unwatched_subshells |= self._unfinished.subshells
        self._unfinished.clear()
        self._signal_change()

    def shell_answered(self, asked_at: float, one_by_one: bool) -> None:
        """The kernel's shell has answered a question that was asked at ``asked_at`` (monotonic).

        The answer does not prove that no cell runs: a cell can let the kernel answer its shell
        (jupyter_ui_poll, ``kernel.do_one_iteration()``). So a request that has begun ends with its
        own ``idle``. The answer ends it only if that ``idle`` may have passed unseen, and if the
        kernel handles the requests of its main shell ``one_by_one``.
        """
        self.came_up, self.shell_silent, self._unreachable = True, False, None
        self.refused, self.end_unseen = "", False
        self.unwatched_subshells.clear()
        self._note_ends(self._unfinished.shell_answered(asked_at, one_by_one))
        for waiting in self._questions.keys() - set(self._unfinished):
            del self._questions[waiting]
        self._signal_change()

    @property
    def subshells_to_ask(self) -> frozenset[str] | None:
        """The subshells that have to answer like the main shell. None if no request to a subshell
        is unfinished, so that the kernel need not list its subshells either."""
        if self.unwatched_subshells or self._unfinished.subshells:
            return frozenset(self.unwatched_subshells)
        return None

    def subshells_listed(self, asked_at: float, living: Collection[str]) -> None:
        """The kernel was asked at ``asked_at`` (monotonic), and has only the subshells ``living``.

        A client deletes a subshell when a person closes its console, also while requests wait in
        it. ipykernel 7.0 to 7.3 drops these requests, and requests that arrive later, without a
        reply or a status. The id of a subshell is never used again, so such a request ends here. A
        request to a living subshell stays."""
        self._note_ends(self._unfinished.subshells_listed(asked_at, living))
        self._signal_change()

    def _note_ends(self, request_ids: Collection[str]) -> None:
        """These requests have just ended."""
        for request_id in request_ids:
            self.last_ran_at = datetime.now(timezone.utc)
            self._questions.pop(request_id, None)

    def shell_is_silent(self, failure: str, refused: bool = False) -> None:
        """The shell did not answer (``failure`` empty), or this server could not ask it because of
        ``failure``. ``refused``: the kernel's gateway refused the connection."""
        if refused:
            self.refused, self._unreachable = failure, None
        elif failure:
            # Nobody knows whether the gateway would still refuse a connection.
            self.refused = ""
            self._unreachable = (time.monotonic() + UNREACHABLE_SECONDS, failure)
        else:
            self.shell_silent, self._unreachable, self.refused = True, None, ""
            self._signal_change()

    @property
    def unreachable(self) -> str:
        """Why the shell could not be asked a short time ago; empty if it could be asked."""
        if self._unreachable is None or self._unreachable[0] < time.monotonic():
            return ""
        return self._unreachable[1]
