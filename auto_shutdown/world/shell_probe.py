"""Ask kernels on this host whether their main shell is free.

``kernel_info_request`` on the shell channel waits behind a running cell. So a reply proves that no
cell runs; without a reply a cell may run. Every kernel answers it, in any language (Jupyter
messaging protocol, "Kernel info"). The request uses the kernel's connection file, so it also works
for kernels of other programs.

Blocking: call it in a worker thread.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .. import safe_files
from . import kernel_history

#: A free kernel answers within 30 ms. It needs longer on a busy host, or when it is swapped out.
ANSWER_SECONDS = 2.0

#: The members by which a JSON file is recognised as a connection file.
_NEEDED = frozenset({"ip", "transport", "shell_port", "key"})

#: A longer file is no connection file.
_MOST_BYTES = 64 * 1024

_NOTHING: Mapping[str, Any] = {}

Connection = Mapping[str, Any]
Key = TypeVar("Key")


@dataclass(frozen=True)
class ShellAnswer:
    """``free``: the shell answered. Otherwise it is busy or stuck; or it could not be asked, and
    ``failure`` says why. ``implementation`` is the kernel's name for itself, as in its reply.
    ``refused``: it could not be asked because its gateway refused the connection, and not because
    of this server (which may have no file descriptors left)."""

    free: bool
    failure: str = ""
    implementation: str = ""
    refused: bool = False


def read_connection_file(path: Path) -> Connection | None:
    """The content of a connection file; None for a JSON file of another kind. Any program may name
    the path, so it may hold anything (a pipe). Raises OSError, and ValueError for what is not
    JSON."""
    text = safe_files.read_bytes(path, _MOST_BYTES, follow=True, any_owner=True)
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("too deeply nested") from error
    if isinstance(content, dict) and content.keys() >= _NEEDED:
        return content
    return None


def ask_shells(
    connections: Mapping[Key, Connection], seconds: float = ANSWER_SECONDS
) -> dict[Key, ShellAnswer]:
    """Ask all of these kernels at once; one answer for each, within ``seconds``. Never raises."""
    import zmq

    poller = zmq.Poller()
    asked: dict[Any, _Question] = {}
    answers: dict[Key, ShellAnswer] = {}
    waiting: dict[Any, Key] = {}
    for key, connection in connections.items():
        try:
            question = _Question(connection)
        except Exception as error:
            failure = f"its shell channel cannot be reached ({type(error).__name__})"
            answers[key] = ShellAnswer(False, failure)
            continue
        asked[question.socket] = question
        waiting[question.socket] = key
        poller.register(question.socket, zmq.POLLIN)
    deadline = time.monotonic() + seconds
    try:
        while waiting and (left := deadline - time.monotonic()) > 0:
            for socket, _ in poller.poll(int(left * 1000) + 1):
                question = asked[socket]
                if question.is_answered():
                    answers[waiting.pop(socket)] = ShellAnswer(True, "", question.implementation)
                    poller.unregister(socket)
    finally:
        for question in asked.values():
            question.close()
    return {**{key: ShellAnswer(False) for key in waiting.values()}, **answers}


def ask_history(connection: Connection, seconds: float = ANSWER_SECONDS) -> tuple[str, ...] | None:
    """The code of the cells that this kernel has run; None where it does not say within
    ``seconds``, or is not known to answer with its own session. Never raises."""
    import zmq

    if ask_shells({"": connection}, seconds)[""].implementation not in kernel_history.OWN_SESSION:
        return None
    try:
        question = _Question(connection, kernel_history.KIND, kernel_history.CONTENT)
    except Exception:
        return None
    deadline = time.monotonic() + seconds
    try:
        while (left := deadline - time.monotonic()) > 0:
            if question.socket.poll(int(left * 1000) + 1, zmq.POLLIN) and question.is_answered():
                return kernel_history.cells_of(question.reply)
    except Exception:
        return None
    finally:
        question.close()
    return None


class _Question:
    """One request on its way to a shell channel, and the content of its reply."""

    def __init__(
        self,
        connection: Connection,
        kind: str = "kernel_info_request",
        content: Mapping[str, Any] = _NOTHING,
    ) -> None:
        import zmq
        from jupyter_client.client import KernelClient

        client: Any = KernelClient(context=zmq.Context.instance())
        client.load_connection_info(dict(connection))
        self._session = client.session
        self.socket = client.connect_shell()
        try:
            self.socket.linger = 0
            message = self._session.send(self.socket, kind, dict(content))
        except BaseException:
            self.close()
            raise
        self._id = message["header"]["msg_id"]
        self.reply: Mapping[str, Any] = {}

    def is_answered(self) -> bool:
        """Take up what has arrived; whether our reply is among it."""
        try:
            _, message = self._session.recv(self.socket)
        except Exception:
            return False  # not signed with this kernel's key: not its reply
        parent = message.get("parent_header") if isinstance(message, Mapping) else None
        if not isinstance(parent, Mapping) or parent.get("msg_id") != self._id:
            return False
        content = message.get("content")
        self.reply = content if isinstance(content, Mapping) else {}
        return True

    @property
    def implementation(self) -> str:
        """The kernel's name for itself, of a kernel_info_reply."""
        return str(self.reply.get("implementation") or "")

    def close(self) -> None:
        self.socket.close(linger=0)
