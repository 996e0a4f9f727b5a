"""Ask a kernel over a websocket whether its shells are free, and how much processor time it used.

``kernel_info_request`` on the shell channel waits behind a running cell; ``usage_request`` on the
control channel does not (ipykernel 6.11 and newer). The websocket is that of the kernel's gateway.

With older gateways each query moves the kernel's ``last_activity``, and so does opening the
websocket. That is no activity of a user. So this module reads the stamp again after the answer. The
messages on the websocket show whether another client used the kernel meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from ..core.translatable import sentence
from . import kernel_history
from .request_types import USER_REQUESTS
from .shell_probe import ANSWER_SECONDS, ShellAnswer, subshells_of
from .websocket_handlers import OWN_SESSION_PREFIX

#: How long the stamp of the model may take to come to rest after the answer.
REST_SECONDS = 2.0
REST_STEP = 0.1

Stamps = Mapping[str, datetime]

NO_ANSWER = ShellAnswer(False)


@dataclass(frozen=True)
class Usage:
    """A kernel's answer to a usage query.

    ``kernel_cores`` and ``host_cores`` are the processor time since the previous query, in cores
    (None: the kernel does not report it). ``failure`` says why there is no answer. ``shell`` is the
    answer of the shell channel. ``stamps`` are the kernel's stamps after the query.
    ``other_client_seen``: another client sent a request during the query. ``cells`` is the code of
    the cells in the kernel's session, where the query asked for it and the kernel answered.
    ``process_id`` is the id of the kernel's process in its container (None: not reported).
    ``cpu_count`` is the number of processors of the host (1: not reported), and ``host_part`` the
    part of them that was used (0 to 1). ipykernel before 6.15 does not report their number. Then
    ``host_cores`` is None, unless the host is idle.
    """

    kernel_cores: float | None = None
    host_cores: float | None = None
    host_part: float | None = None
    failure: str = ""
    stamps: Stamps = field(default_factory=dict, hash=False)
    other_client_seen: bool = False
    shell: ShellAnswer = NO_ANSWER
    cells: tuple[str, ...] | None = None
    process_id: int | None = None
    cpu_count: float = 1.0

    @property
    def is_readable(self) -> bool:
        """Whether the kernel reported its own processor time."""
        return not self.failure and self.kernel_cores is not None

    @property
    def reports_host(self) -> bool:
        """Whether the kernel reported its own processor time and that of its host."""
        return self.is_readable and self.host_cores is not None


async def ask(
    url: str,
    arguments: Mapping[str, Any],
    read_stamps: Callable[[], Awaitable[Stamps]],
    subshells: Collection[str] | None = None,
    with_usage: bool = True,
    with_history: bool = False,
) -> Usage:
    """Ask the kernel whose websocket is ``url``. ``arguments`` are for its HTTPRequest (the
    credentials), ``read_stamps`` reads its model. ``subshells``: ask which subshells there are, and
    these have to answer like the main shell, unless they no longer exist (None: do not ask). Never
    raises."""
    conversation = _Conversation(subshells, with_usage, with_history)
    failure = unreachable = ""
    refused = False
    try:
        await asyncio.wait_for(conversation.hold(url, arguments), ANSWER_SECONDS)
    except asyncio.TimeoutError:
        failure = sentence("it did not answer within %1", timedelta(seconds=ANSWER_SECONDS))
    except Exception as error:
        code = getattr(error, "code", None)
        status = f" {code}" if isinstance(code, int) else ""
        failure = unreachable = sentence(
            "it cannot be reached (%1)", f"{type(error).__name__}{status}"
        )
        refused = not conversation.is_connected and _is_refusal(error)
    usage = conversation.usage(failure, unreachable, await stamps_at_rest(read_stamps))
    return replace(usage, shell=replace(usage.shell, refused=refused and not usage.shell.free))


def _is_refusal(error: Exception) -> bool:
    """Whether ``error``, which kept the connection from opening, means that the kernel's gateway
    refuses the connection.

    The end of an open connection is no refusal: the kernel may have the query, and a cell may run.
    An answer about this server's credentials is no refusal, and neither is an error of this server
    (no file descriptors, no name of the host)."""
    if isinstance(error, HTTPClientError):
        return error.code in (404, 410) or error.code >= 500
    return isinstance(error, ConnectionError)


async def stamps_at_rest(read_stamps: Callable[[], Awaitable[Stamps]]) -> Stamps:
    """The stamps, as soon as two readings in a row are the same: a gateway updates them a moment
    late. Empty if they cannot be read. Then a stamp that the query moved counts as activity in the
    next pass."""
    try:
        before = await read_stamps()
        for _ in range(int(REST_SECONDS / REST_STEP)):
            await asyncio.sleep(REST_STEP)
            after = await read_stamps()
            if after == before:
                break
            before = after
        return before
    except Exception:
        return {}


class _Conversation:
    """The queries that are sent on one websocket, and their answers."""

    def __init__(
        self, subshells: Collection[str] | None, with_usage: bool, with_history: bool = False
    ) -> None:
        self._session = OWN_SESSION_PREFIX + uuid.uuid4().hex
        self._usage_id = uuid.uuid4().hex if with_usage else ""
        self._history_id = uuid.uuid4().hex if with_history else ""
        self._cells: tuple[str, ...] | None = None
        self._history_is_missing = with_history
        self._shell_ids: dict[str, str | None] = {uuid.uuid4().hex: None}
        self._shell_ids.update((uuid.uuid4().hex, subshell) for subshell in subshells or ())
        self._list_id = uuid.uuid4().hex if subshells is not None else ""
        self._subshells: frozenset[str] | None = None
        self._list_is_missing = subshells is not None
        self._unanswered = set(self._shell_ids)
        self._reply: Mapping[str, Any] | None = None
        self._implementation = ""
        self._waiting_for_idle = {self._usage_id, self._history_id, *self._shell_ids} - {""}
        self._others = False
        #: Whether the gateway has accepted the connection.
        self.is_connected = False

    async def hold(self, url: str, arguments: Mapping[str, Any]) -> None:
        """Send the queries, and read until all are answered. Raises what the connection raises."""
        request = HTTPRequest(f"{url}?session_id={self._session}", **arguments)
        socket = await websocket_connect(request)
        self.is_connected = True
        try:
            for shell_id, subshell in self._shell_ids.items():
                await socket.write_message(
                    self._question(shell_id, "kernel_info_request", "shell", subshell)
                )
            if self._usage_id:
                await socket.write_message(
                    self._question(self._usage_id, "usage_request", "control", None)
                )
            if self._history_id:
                await socket.write_message(
                    self._question(
                        self._history_id, kernel_history.KIND, "shell", None, kernel_history.CONTENT
                    )
                )
            if self._list_id:
                await socket.write_message(
                    self._question(self._list_id, "list_subshell_request", "control", None)
                )
            while self._is_waiting():
                text = await socket.read_message()
                if text is None:
                    raise ConnectionError
                self._read(json.loads(text))
        finally:
            socket.close()

    def _is_waiting(self) -> bool:
        usage_is_missing = bool(self._usage_id) and self._reply is None
        missing = usage_is_missing or self._history_is_missing or self._list_is_missing
        return bool(self._unanswered or self._waiting_for_idle) or missing

    def _question(
        self,
        name: str,
        kind: str,
        channel: str,
        subshell: str | None,
        content: Mapping[str, Any] | None = None,
    ) -> str:
        header = {
            "msg_id": name,
            "msg_type": kind,
            "session": self._session,
            "username": "auto_shutdown",
            "date": datetime.now(timezone.utc).isoformat(),
            "version": "5.3",
        }
        if subshell is not None:
            header["subshell_id"] = subshell
        parts = {"header": header, "parent_header": {}, "metadata": {}, "content": content or {}}
        return json.dumps({**parts, "buffers": [], "channel": channel})

    def _read(self, message: Mapping[str, Any]) -> None:
        header, parent = message.get("header") or {}, message.get("parent_header") or {}
        kind, content = header.get("msg_type"), message.get("content") or {}
        parent_id = parent.get("msg_id")
        if kind == "usage_reply" and parent_id == self._usage_id:
            self._reply = content
        elif kind == kernel_history.REPLY and parent_id == self._history_id:
            self._cells = kernel_history.cells_of(content)
            self._history_is_missing = False
        elif kind == "list_subshell_reply" and parent_id == self._list_id:
            self._list_is_missing = False
            self._subshells = subshells_of(content)
            self._expect_no_answer_of_ended_subshells()
        elif kind == "kernel_info_reply" and parent_id in self._shell_ids:
            self._unanswered.discard(parent_id)
            # The error of a subshell that no longer exists does not name the implementation.
            self._implementation = str(content.get("implementation") or self._implementation)
        elif kind == "status" and content.get("execution_state") == "idle":
            self._waiting_for_idle.discard(parent_id)
        if parent.get("msg_type") in USER_REQUESTS:
            self._others = True

    def _expect_no_answer_of_ended_subshells(self) -> None:
        if self._subshells is None:
            return
        for shell_id, subshell in self._shell_ids.items():
            if subshell is not None and subshell not in self._subshells:
                self._unanswered.discard(shell_id)
                self._waiting_for_idle.discard(shell_id)

    def usage(self, failure: str, unreachable: str, stamps: Stamps) -> Usage:
        shell = ShellAnswer(
            not self._unanswered,
            unreachable if self._unanswered else "",
            self._implementation,
            subshells=self._subshells,
        )
        own_session = self._implementation in kernel_history.OWN_SESSION
        cells = self._cells if own_session else None
        found = Usage(stamps=stamps, other_client_seen=self._others, shell=shell, cells=cells)
        if self._reply is None:
            return replace(found, failure=failure or "it did not answer")
        percent = _number(self._reply.get("kernel_cpu"))
        # ipykernel leaves out a zero: for an idle host, and for the first query of a process.
        host = _number(self._reply.get("host_cpu_percent", 0.0))
        part = None if host is None else host / 100
        cores = _number(self._reply.get("cpu_count")) or None
        process_id = _number(self._reply.get("pid"))
        return replace(
            found,
            kernel_cores=None if percent is None else percent / 100,
            host_cores=_cores_of(part, cores),
            host_part=part,
            cpu_count=cores or 1.0,
            process_id=None if process_id is None else int(process_id),
        )


def _cores_of(part: float | None, processors: float | None) -> float | None:
    """The cores that are this ``part`` of all processors. None where they are not known."""
    if not part:
        return part
    return None if processors is None else part * processors


def _number(value: Any) -> float | None:
    """``value`` if it is a finite number; None for anything else that a kernel may answer."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None
