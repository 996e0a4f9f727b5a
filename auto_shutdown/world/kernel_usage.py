"""Asking a kernel in another container for its processor time: ``usage_request`` on the control
channel (ipykernel 6.11 and newer), through the websocket of its gateway.

Each such request moves the kernel's ``last_activity``, and opening the websocket does so with old
gateways. That is our own doing and no activity: the stamp is read after it, and everything heard
on the websocket meanwhile tells whether anybody else was at the kernel.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from .requests import COUNTS

#: The answer takes about 30 ms; a kernel that has none by then is not waited for.
ASK_SECONDS = 2.0

#: How long the model's stamp may take to come to rest after the answer.
REST_SECONDS = 2.0
REST_STEP = 0.1

Stamps = Mapping[str, datetime]


@dataclass(frozen=True)
class Usage:
    """``kernel_cores`` and ``host_cores``: processor time since the last such request, in cores
    (None: the kernel does not say). ``failure`` says why there is no answer."""

    kernel_cores: float | None = None
    host_cores: float | None = None
    failure: str = ""
    stamps: Stamps = field(default_factory=dict, hash=False)
    others_heard: bool = False


async def ask(
    url: str, arguments: Mapping[str, Any], read_stamps: Callable[[], Awaitable[Stamps]]
) -> Usage:
    """Ask the kernel whose websocket is ``url``. ``arguments`` are for its HTTPRequest (the
    gateway's credentials), ``read_stamps`` reads its model. Never raises."""
    conversation = _Conversation()
    failure = ""
    try:
        await asyncio.wait_for(conversation.hold(url, arguments), ASK_SECONDS)
    except asyncio.TimeoutError:
        failure = f"it did not answer within {ASK_SECONDS:g} s"
    except Exception as error:
        failure = f"it cannot be reached ({type(error).__name__})"
    return conversation.usage(failure, await _stamps_at_rest(read_stamps))


async def _stamps_at_rest(read_stamps: Callable[[], Awaitable[Stamps]]) -> Stamps:
    """The stamps, when two readings are the same: a gateway notes our own request a moment late.
    None when they cannot be read; what they then are at the next look counts as activity."""
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
    """One question on one websocket, and what was heard meanwhile."""

    def __init__(self) -> None:
        self._session = uuid.uuid4().hex
        self._id = uuid.uuid4().hex
        self._reply: Mapping[str, Any] | None = None
        self._at_rest = False
        self._others = False

    async def hold(self, url: str, arguments: Mapping[str, Any]) -> None:
        request = HTTPRequest(f"{url}?session_id={self._session}", **arguments)
        socket = await websocket_connect(request)
        try:
            await socket.write_message(self._question())
            while self._reply is None or not self._at_rest:
                text = await socket.read_message()
                if text is None:
                    raise ConnectionError
                self._hear(json.loads(text))
        finally:
            socket.close()

    def _question(self) -> str:
        header = {
            "msg_id": self._id,
            "msg_type": "usage_request",
            "session": self._session,
            "username": "auto_shutdown",
            "date": datetime.now(timezone.utc).isoformat(),
            "version": "5.3",
        }
        parts = {"header": header, "parent_header": {}, "metadata": {}, "content": {}}
        return json.dumps({**parts, "buffers": [], "channel": "control"})

    def _hear(self, message: Mapping[str, Any]) -> None:
        header, parent = message.get("header") or {}, message.get("parent_header") or {}
        kind, content = header.get("msg_type"), message.get("content") or {}
        if parent.get("msg_id") == self._id:
            if kind == "usage_reply":
                self._reply = content
            elif kind == "status" and content.get("execution_state") == "idle":
                self._at_rest = True
        elif parent.get("msg_type") in COUNTS:
            self._others = True

    def usage(self, failure: str, stamps: Stamps) -> Usage:
        if self._reply is None:
            failure = failure or "it did not answer"
            return Usage(failure=failure, stamps=stamps, others_heard=self._others)
        percent, host = self._reply.get("kernel_cpu"), self._reply.get("host_cpu_percent")
        cores = self._reply.get("cpu_count") or 1
        return Usage(
            kernel_cores=None if percent is None else float(percent) / 100,
            # ipykernel leaves out a zero: of an idle host, and of the first question ever.
            host_cores=float(host or 0.0) / 100 * float(cores),
            stamps=stamps,
            others_heard=self._others,
        )
