"""The clients of race.py: a page, and a client that connects to the kernel's own sockets."""

from __future__ import annotations

import json
import queue
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from jupyter_client import BlockingKernelClient
from websocket import WebSocketTimeoutException

from auto_shutdown.local_studio.server import KernelClient

#: For each request: when the kernel reported ``busy`` and ``idle`` for it, as a Unix time.
States = dict[str, dict[str, float]]


class Client(Protocol):
    """Sends requests to one kernel. ``states`` has the states that the kernel reported, by message
    id."""

    states: States

    def execute(self, code: str) -> str:
        """Send a cell. Returns its message id."""
        ...

    def ask_info(self) -> str:
        """Send a kernel_info_request on the shell channel. Returns its message id."""
        ...

    def listen(self, seconds: float) -> None:
        """Read one message into ``states``, or return after ``seconds``."""
        ...

    def close(self) -> None: ...


def note_state(states_by_id: States, message: Any) -> None:
    """Store the time of a status message under the id of its request."""
    if message["header"]["msg_type"] != "status":
        return
    at = message["header"]["date"]
    stamp = at if isinstance(at, datetime) else datetime.fromisoformat(at.replace("Z", "+00:00"))
    states = states_by_id.setdefault(message["parent_header"].get("msg_id", ""), {})
    states[message["content"]["execution_state"]] = stamp.timestamp()


class Page(KernelClient):
    """Sends requests through the websocket of a server, as a page does."""

    def __init__(self, url: str) -> None:
        super().__init__(url, 60.0)
        self.states: States = {}

    def execute(self, code: str) -> str:
        return self.ask(
            "execute_request", code=code, silent=False, store_history=False, allow_stdin=False
        )

    def ask_info(self) -> str:
        return self.ask("kernel_info_request")

    def listen(self, seconds: float) -> None:
        self._connection.settimeout(max(seconds, 0.001))
        with suppress(WebSocketTimeoutException):
            note_state(self.states, json.loads(self._connection.recv()))

    def close(self) -> None:
        self._connection.close()


class Direct:
    """Sends requests to the kernel's own sockets, as ``jupyter console --existing`` does."""

    def __init__(self, connection_file: Path) -> None:
        self.states: States = {}
        self._client = BlockingKernelClient(connection_file=str(connection_file))
        self._client.load_connection_file()
        self._client.start_channels(stdin=False, hb=False)
        self._client.wait_for_ready(timeout=120)

    def execute(self, code: str) -> str:
        return str(self._client.execute(code, store_history=False, allow_stdin=False))

    def ask_info(self) -> str:
        return str(self._client.kernel_info())

    def listen(self, seconds: float) -> None:
        with suppress(queue.Empty):
            note_state(self.states, self._client.get_iopub_msg(timeout=max(seconds, 0.001)))

    def close(self) -> None:
        self._client.stop_channels()
