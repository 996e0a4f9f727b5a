"""A kernel's reply to usage_request, as values. Any kernel may send any content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from auto_shutdown.world import kernel_usage


class Websocket:
    """The websocket of a kernel that answers each request at once, ``usage_request`` with
    ``content``."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        self.messages: list[str] = []

    async def write_message(self, text: str) -> None:
        parent = json.loads(text)["header"]
        reply = parent["msg_type"].replace("request", "reply")
        content = self.content if reply == "usage_reply" else {"implementation": "ipython"}
        self._send(reply, parent, content)
        self._send("status", parent, {"execution_state": "idle"})

    def _send(self, kind: str, parent: Mapping[str, Any], content: Mapping[str, Any]) -> None:
        message = {"header": {"msg_type": kind}, "parent_header": parent, "content": content}
        self.messages.append(json.dumps(message))

    async def read_message(self) -> str:
        return self.messages.pop(0)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("content", "cores", "process_id", "is_readable"),
    [
        (
            {"kernel_cpu": 50.0, "host_cpu_percent": 25.0, "cpu_count": 4, "pid": 7},
            (0.5, 1.0),
            7,
            True,
        ),
        ({"kernel_cpu": 0.0, "cpu_count": 4, "pid": 7}, (0.0, 0.0), 7, True),
        ({"kernel_cpu": 50.0}, (0.5, 0.0), None, True),
        ({"kernel_cpu": 50.0, "host_cpu_percent": 12.5}, (0.5, None), None, True),
        ({"kernel_cpu": 50.0, "host_cpu_percent": "x", "cpu_count": 4}, (0.5, None), None, True),
        (
            {"kernel_cpu": "much", "host_cpu_percent": True, "pid": "seven"},
            (None, None),
            None,
            False,
        ),
        ({"kernel_cpu": float("inf"), "pid": float("nan")}, (None, 0.0), None, False),
        ({}, (None, 0.0), None, False),
    ],
    ids=[
        "whole",
        "an idle host",
        "no process id",
        "no number of processors",
        "a text for the host",
        "texts",
        "no finite numbers",
        "empty",
    ],
)
async def test_a_usage_reply_is_read(
    content: Mapping[str, Any],
    cores: tuple[float | None, float | None],
    process_id: int | None,
    is_readable: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def connect(_request: Any) -> Websocket:
        return Websocket(content)

    async def read_stamps() -> kernel_usage.Stamps:
        return {}

    monkeypatch.setattr(kernel_usage, "websocket_connect", connect)
    monkeypatch.setattr(kernel_usage, "REST_STEP", 0.001)
    usage = await kernel_usage.ask("ws://gateway/k", {}, read_stamps)
    assert (usage.kernel_cores, usage.host_cores) == cores
    assert usage.cpu_count == content.get("cpu_count", 1)
    assert (usage.process_id, usage.is_readable) == (process_id, is_readable)
    assert (usage.failure, usage.shell.free) == ("", True)


@pytest.mark.parametrize("living", [[], ["sub"]])
async def test_main_shell_names_the_kernel_whatever_its_subshells_answer(
    living: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ipykernel 7.4 answers for a deleted subshell with an error, which may arrive last."""

    class Kernel(Websocket):
        async def write_message(self, text: str) -> None:
            parent = json.loads(text)["header"]
            content: dict[str, Any] = {"implementation": "ipython"}
            if parent["msg_type"] == "list_subshell_request":
                content = {"status": "ok", "subshell_id": living}
            elif "subshell_id" in parent:
                content = {"status": "error"}
            self._send(parent["msg_type"].replace("request", "reply"), parent, content)
            self._send("status", parent, {"execution_state": "idle"})

    async def connect(_request: Any) -> Websocket:
        return Kernel({})

    async def read_stamps() -> kernel_usage.Stamps:
        return {}

    monkeypatch.setattr(kernel_usage, "websocket_connect", connect)
    monkeypatch.setattr(kernel_usage, "REST_STEP", 0.001)
    usage = await kernel_usage.ask("ws://gateway/k", {}, read_stamps, ["sub"], with_usage=False)
    assert (usage.shell.free, usage.shell.implementation) == (True, "ipython")
    assert usage.shell.subshells == frozenset(living)
