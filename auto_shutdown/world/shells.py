"""Ask the shells of this server's kernels whether they are free, wherever the kernels run.

Kernels on this host are asked by the content of their connection files, in a worker thread, all at
once. A kernel behind a gateway is asked on a new websocket to the gateway; a kernel of any other
manager on a websocket to this server, which forwards it.

The result is stored with the kernel's requests. A shell that does not answer may run a cell, so the
kernel is busy until the shell answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ..core.model import Kernel
from ..core.translatable import sentence
from .file_thread import FileThread
from .kernel_access import channels_of, connection_of, fresh_model, gateway_arguments
from .kernel_usage import Stamps, Usage, ask, stamps_at_rest
from .requests_by_kernel import Requests
from .shell_probe import ANSWER_SECONDS, Connection, ShellAnswer, ask_history, ask_shells
from .stamps import parse_stamp

#: The number of kernels in other containers that are asked at once. Each needs a connection.
AT_ONCE = 8

#: The number of kernels on this host that are asked at once. Each needs a socket.
AT_ONCE_HERE = 64

#: The ``implementation`` of kernels that handle the requests of their main shell one by one: an
#: answer of such a kernel proves that all earlier requests have ended. Every version of ipykernel
#: reports this name.
ONE_BY_ONE = frozenset({"ipython"})

#: The websocket of a kernel through this server, and the arguments of its HTTPRequest.
OwnChannels = Callable[[str], "tuple[str, Mapping[str, Any]]"]


def is_old_server() -> bool:
    """Whether ``kernel_info_request`` moves ``last_activity`` here: before jupyter_server 2.15."""
    from jupyter_server import version_info

    return tuple(version_info[:2]) < (2, 15)


class Shells:
    """The shells of the kernels of ``manager``. ``own_channels`` gives the websocket of a kernel
    through this server (None: there is no such way)."""

    def __init__(
        self, manager: Any, requests: Requests, own_channels: OwnChannels | None = None
    ) -> None:
        self._manager = manager
        self._requests = requests
        self._own_channels = own_channels
        self._thread = FileThread("shells")
        # Reading a history may take seconds. The question whether a cell runs must not wait for it.
        self._history_thread = FileThread("cells")

    async def ask_all(self, kernel_ids: Iterable[str]) -> dict[str, Usage]:
        """Ask these kernels, as ``ask`` asks one. Never raises."""
        here: dict[str, Connection] = {}
        elsewhere: list[str] = []
        for kernel_id in kernel_ids:
            connection = None
            if channels_of(self._manager, kernel_id) is None:
                connection = connection_of(self._manager, kernel_id)
            if connection is None:
                elsewhere.append(kernel_id)
            else:
                here[kernel_id] = connection
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask_one(kernel_id: str) -> dict[str, Usage]:
            async with gate:
                return {kernel_id: await self.ask_by_websocket(kernel_id, False)}

        answers: dict[str, Usage] = {}
        for some in await asyncio.gather(self._ask_here(here), *map(ask_one, elsewhere)):
            answers.update(some)
        return answers

    async def ask(self, kernel_id: str) -> Usage:
        """Ask one shell; with the kernel's stamps after the question where that may move them."""
        if channels_of(self._manager, kernel_id) is None:
            connection = connection_of(self._manager, kernel_id)
            if connection is not None:
                return (await self._ask_here({kernel_id: connection}))[kernel_id]
        return await self.ask_by_websocket(kernel_id, False)

    async def ask_history(self, kernel_id: str) -> Usage:
        """Ask one shell for the code of the cells of its session; as ``ask``. Never raises."""
        if channels_of(self._manager, kernel_id) is None:
            connection = connection_of(self._manager, kernel_id)
            if connection is not None:
                return await self._ask_history_here(kernel_id, connection)
        return await self.ask_by_websocket(kernel_id, False, with_history=True)

    async def _ask_history_here(self, kernel_id: str, connection: Connection) -> Usage:
        cells = None
        with contextlib.suppress(OSError):
            cells = await self._history_thread.run(ask_history, connection)
        if self._requests.of(kernel_id).on_iopub:
            return Usage(cells=cells)
        # Every jupyter_server counts history_request as activity.
        stamps = await stamps_at_rest(partial(self._stamps_of, kernel_id))
        return Usage(cells=cells, stamps=stamps)

    async def ask_by_websocket(
        self, kernel_id: str, with_usage: bool, with_history: bool = False
    ) -> Usage:
        """Ask a kernel in another container, ``with_usage`` also for its processor time,
        ``with_history`` also for the code of its cells."""
        url, arguments = channels_of(self._manager, kernel_id), gateway_arguments
        through_this_server = url is None
        if url is None and self._own_channels is not None and not with_usage:
            url, own_arguments = self._own_channels(kernel_id)
            arguments = lambda: own_arguments  # noqa: E731
        if url is None:
            failure = sentence("it cannot be asked from here")
            return Usage(failure=failure, shell=ShellAnswer(False, failure))
        asked_at = time.monotonic()
        subshells = self._subshells_to_ask(kernel_id)
        stamps = partial(self._stamps_of, kernel_id)
        usage = await ask(url, arguments(), stamps, subshells, with_usage, with_history)
        if through_this_server:
            # This server itself refuses a connection when it has no file descriptor left. That says
            # nothing about a gateway.
            usage = replace(usage, shell=replace(usage.shell, refused=False))
        self._note(kernel_id, usage.shell, asked_at)
        return usage

    async def _stamps_of(self, kernel_id: str) -> Stamps:
        model = await fresh_model(self._manager, kernel_id)
        last_activity = parse_stamp(model.get("last_activity"))
        return Kernel(kernel_id, last_activity=last_activity).stamps

    async def _ask_here(self, connections: Mapping[str, Connection]) -> dict[str, Usage]:
        found: dict[str, ShellAnswer] = {}
        asked_to_list: set[str] = set()
        names = list(connections)
        for first in range(0, len(names), AT_ONCE_HERE):
            some = {name: connections[name] for name in names[first : first + AT_ONCE_HERE]}
            asked_at = time.monotonic()
            to_ask = {name: self._subshells_to_ask(name) for name in some}
            subshells = {name: ids for name, ids in to_ask.items() if ids is not None}
            asked_to_list.update(subshells)
            try:
                answers = dict(await self._thread.run(ask_shells, some, ANSWER_SECONDS, subshells))
            except OSError as error:
                why = error.strerror or type(error).__name__
                answers = {name: ShellAnswer(False, why) for name in some}
            for kernel_id, answer in answers.items():
                self._note(kernel_id, answer, asked_at)
            found.update(answers)
        moved = [i for i in found if self._is_stamp_moved(i, i in asked_to_list)]
        at_rest = (stamps_at_rest(partial(self._stamps_of, kernel_id)) for kernel_id in moved)
        stamps = dict(zip(moved, await asyncio.gather(*at_rest)))
        return {i: Usage(shell=answer, stamps=stamps.get(i, {})) for i, answer in found.items()}

    def _subshells_to_ask(self, kernel_id: str) -> Collection[str] | None:
        known = self._requests.known(kernel_id)
        return known.subshells_to_ask if known is not None else None

    def _is_stamp_moved(self, kernel_id: str, asked_to_list: bool) -> bool:
        """Whether a question moves the ``last_activity`` that dates the kernel's last use: on an
        old server, if this server does not read the kernel's IOPub channel. Every server counts
        list_subshell_request as activity."""
        moves = asked_to_list or is_old_server()
        return moves and not self._requests.of(kernel_id).on_iopub

    def _note(self, kernel_id: str, answer: ShellAnswer, asked_at: float) -> None:
        requests = self._requests.of(kernel_id)
        if answer.subshells is not None:
            requests.subshells_listed(asked_at, answer.subshells)
        if answer.free:
            requests.shell_answered(asked_at, answer.implementation in ONE_BY_ONE)
        else:
            requests.shell_is_silent(answer.failure, answer.refused)
