"""Ask kernels on this host whether their shells are free.

``kernel_info_request`` on the shell channel waits behind a running cell. So a reply proves that no
cell runs; without a reply a cell may run. Every kernel answers it, in any language (Jupyter
messaging protocol, "Kernel info"). The request uses the kernel's connection file, so it also works
for kernels of other programs.

A subshell is a thread of the kernel with its own queue of requests (JEP 91). Where requests to
subshells matter, ``list_subshell_request`` on the control channel says which subshells there are,
and these are asked like the main shell. A kernel that has subshells names that feature in its
kernel_info_reply (Jupyter messaging protocol 5.5, "supported_features").

Blocking: call it in a worker thread.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .. import safe_files
from ..core.translatable import sentence
from . import kernel_history

#: A free kernel answers within 30 ms. It needs longer on a busy host, or when it is swapped out.
ANSWER_SECONDS = 2.0

#: The members by which a JSON file is recognised as a connection file.
_NEEDED = frozenset({"ip", "transport", "shell_port", "key"})

#: A longer file is no connection file.
_MOST_BYTES = 64 * 1024

#: The name of that feature.
_SUBSHELLS = "kernel subshells"

_NOTHING: Mapping[str, Any] = {}

Connection = Mapping[str, Any]
Key = TypeVar("Key")


@dataclass(frozen=True)
class ShellAnswer:
    """Whether a kernel's shell answered.

    - ``free``: it answered. Otherwise it is busy or stuck, or it could not be asked.
    - ``failure``: why it could not be asked (empty: it was asked).
    - ``implementation``: the kernel's name for itself, as in its reply.
    - ``refused``: it could not be asked because its gateway refused the connection, and not because
      of a problem of this server (such as no free file descriptor).
    - ``subshells``: the ids of the kernel's subshells (None: it was not asked for them, or did not
      answer that request).
    """

    free: bool
    failure: str = ""
    implementation: str = ""
    refused: bool = False
    subshells: frozenset[str] | None = None


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


def subshells_of(reply: Mapping[str, Any]) -> frozenset[str] | None:
    """The ids in the content of a list_subshell_reply; None where it reports an error."""
    ids = reply.get("subshell_id")
    return frozenset(map(str, ids)) if isinstance(ids, list) else None


def ask_shells(
    connections: Mapping[Key, Connection],
    seconds: float = ANSWER_SECONDS,
    subshells: Mapping[Key, Collection[str]] | None = None,
    every_subshell: bool = False,
) -> dict[Key, ShellAnswer]:
    """Ask all of these kernels at once; one answer for each, within ``seconds``. The kernels in
    ``subshells`` are also asked which subshells they have. The subshells that it names have to
    answer like the main shell, unless they no longer exist. With ``every_subshell``, all subshells
    of each kernel have to answer. Never raises."""
    import zmq

    poller = zmq.Poller()
    asked: dict[Key, _Questions] = {}
    answers: dict[Key, ShellAnswer] = {}
    waiting: dict[Any, Key] = {}
    for key, connection in connections.items():
        try:
            asked[key] = _Questions(connection, (subshells or {}).get(key), every_subshell)
        except Exception as error:
            answers[key] = _unreachable(error)
            continue
        for socket in asked[key].sockets:
            waiting[socket] = key
            poller.register(socket, zmq.POLLIN)
    deadline = time.monotonic() + seconds
    try:
        while waiting and (left := deadline - time.monotonic()) > 0:
            for socket, _ in poller.poll(int(left * 1000) + 1):
                if socket not in waiting:
                    continue
                key = waiting[socket]
                questions = asked[key]
                try:
                    for new_socket in questions.read(socket):
                        waiting[new_socket] = key
                        poller.register(new_socket, zmq.POLLIN)
                except Exception as error:
                    answers[key] = _unreachable(error)
                if key in answers or questions.are_answered:
                    for its_socket in waiting.keys() & questions.sockets:
                        del waiting[its_socket]
                        poller.unregister(its_socket)
    finally:
        for questions in asked.values():
            questions.close()
    return {**{key: questions.answer() for key, questions in asked.items()}, **answers}


def _unreachable(error: Exception) -> ShellAnswer:
    failure = sentence("its shell channel cannot be reached (%1)", type(error).__name__)
    return ShellAnswer(False, failure)


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


class _Questions:
    """The questions to one kernel: to its main shell and, unless ``subshells`` is None, to these
    subshells and for the list of all subshells.

    With ``every_subshell``, the list and each subshell in it are asked after the main shell has
    answered, because most kernels have no subshells and would not answer the request for the list.
    """

    def __init__(
        self, connection: Connection, subshells: Collection[str] | None, every_subshell: bool
    ) -> None:
        self._connection = connection
        self._every_subshell = every_subshell
        self._by_socket: dict[Any, _Question] = {}
        try:
            self._main = self._ask(_Question(connection))
            self._subshells = {
                subshell: self._ask(_Question(connection, subshell=subshell))
                for subshell in subshells or ()
            }
            self._list = self._ask_for_list() if subshells is not None else None
        except BaseException:
            self.close()
            raise

    def _ask(self, question: _Question) -> _Question:
        self._by_socket[question.socket] = question
        return question

    def _ask_for_list(self) -> _Question:
        return self._ask(_Question(self._connection, "list_subshell_request", channel="control"))

    @property
    def sockets(self) -> Collection[Any]:
        return self._by_socket.keys()

    def read(self, socket: Any) -> Collection[Any]:
        """Read one message from this socket. Returns the sockets of the questions that follow."""
        before = set(self._by_socket)
        if self._by_socket[socket].is_answered() and self._every_subshell:
            self._ask_every_subshell()
        return self._by_socket.keys() - before

    def _ask_every_subshell(self) -> None:
        if self._list is None and self._main.has_feature(_SUBSHELLS):
            self._list = self._ask_for_list()
        for subshell in (self._living or frozenset()) - self._subshells.keys():
            question = _Question(self._connection, subshell=subshell)
            self._subshells[subshell] = self._ask(question)

    @property
    def _living(self) -> frozenset[str] | None:
        return None if self._list is None else subshells_of(self._list.reply)

    @property
    def _are_shells_free(self) -> bool:
        living = self._living
        if self._every_subshell and self._list is not None and living is None:
            return False
        return self._main.has_reply and all(
            question.has_reply or (living is not None and subshell not in living)
            for subshell, question in self._subshells.items()
        )

    @property
    def are_answered(self) -> bool:
        return self._are_shells_free and (self._list is None or self._list.has_reply)

    def answer(self) -> ShellAnswer:
        """What the kernel has answered so far."""
        free = self._are_shells_free
        return ShellAnswer(
            free, implementation=self._main.implementation if free else "", subshells=self._living
        )

    def close(self) -> None:
        for question in self._by_socket.values():
            question.close()


class _Question:
    """One request on its way to a kernel, and the content of its reply."""

    def __init__(
        self,
        connection: Connection,
        kind: str = "kernel_info_request",
        content: Mapping[str, Any] = _NOTHING,
        channel: str = "shell",
        subshell: str | None = None,
    ) -> None:
        import zmq
        from jupyter_client.client import KernelClient

        client: Any = KernelClient(context=zmq.Context.instance())
        client.load_connection_info(dict(connection))
        self._session = client.session
        self.socket = client.connect_shell() if channel == "shell" else client.connect_control()
        try:
            self.socket.linger = 0
            message = self._session.msg(kind, dict(content))
            if subshell is not None:
                message["header"]["subshell_id"] = subshell
            self._session.send(self.socket, message)
        except BaseException:
            self.close()
            raise
        self._id = message["header"]["msg_id"]
        self.has_reply = False
        self.reply: Mapping[str, Any] = {}

    def is_answered(self) -> bool:
        """Read the message that has arrived. Returns whether it is the reply to this question."""
        try:
            _, message = self._session.recv(self.socket)
        except Exception:
            return False  # not signed with this kernel's key: not its reply
        parent = message.get("parent_header") if isinstance(message, Mapping) else None
        if not isinstance(parent, Mapping) or parent.get("msg_id") != self._id:
            return False
        content = message.get("content")
        self.reply = content if isinstance(content, Mapping) else {}
        self.has_reply = True
        return True

    @property
    def implementation(self) -> str:
        """The kernel's name for itself, of a kernel_info_reply."""
        return str(self.reply.get("implementation") or "")

    def has_feature(self, name: str) -> bool:
        """Whether a kernel_info_reply names this feature."""
        features = self.reply.get("supported_features")
        return isinstance(features, list) and name in features

    def close(self) -> None:
        self.socket.close(linger=0)
