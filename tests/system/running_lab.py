"""A real server in this process, and the actions of a user and a browser."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.websocket import WebSocketClosedError

from auto_shutdown.api.base_handler import CONTROLLER

LIMIT = 5.0


class Lab:
    """A server, and the actions of a user and a browser."""

    def __init__(self, app: Any, fetch: Any, ws_fetch: Any) -> None:
        self.app, self.fetch, self.ws_fetch = app, fetch, ws_fetch

    @property
    def settings(self) -> Any:
        return self.app.web_app.settings

    async def until(self, condition: Callable[[], Any], seconds: float = 60.0) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.05)
        raise TimeoutError(json.dumps(self.settings[CONTROLLER].report(), indent=1))

    def verdict(self, ref_id: str) -> dict[str, Any]:
        """The row of one resource in the report; empty after its removal."""
        if CONTROLLER not in self.settings:
            return {}  # it begins a moment after the server
        rows = self.settings[CONTROLLER].report()["resources"]
        found: dict[str, Any] = next((r for r in rows if r["id"] == ref_id), {})
        return found

    async def kernel(self, name: str = "python3") -> str:
        kernel_id = str(await self.app.kernel_manager.start_kernel(kernel_name=name))
        await self.until(lambda: self.verdict(kernel_id))
        await self._wait_until_started(kernel_id)
        return kernel_id

    async def _wait_until_started(self, kernel_id: str) -> None:
        """An old server may begin to listen after the first messages of the kernel. It then reports
        the kernel as "starting" until the kernel sends more."""
        for attempt in range(200):
            if self.app.kernel_manager.kernel_model(kernel_id)["execution_state"] != "starting":
                return
            if attempt > 20:
                socket = await self.connect(kernel_id)
                await self.execute(socket, "pass")
                socket.close()
            await asyncio.sleep(0.1)

    async def connect(self, kernel_id: str) -> Any:
        return await self.ws_fetch("api", "kernels", kernel_id, "channels")

    async def send(self, socket: Any, msg_type: str, content: Any, channel: str = "shell") -> str:
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": msg_type,
            "username": "",
            "session": "s",
            "version": "5.3",
            "date": "2026-01-01T00:00:00Z",
        }
        parts = {"parent_header": {}, "metadata": {}, "content": content, "channel": channel}
        await socket.write_message(json.dumps({"header": header, **parts}))
        return str(header["msg_id"])

    async def hear(self, socket: Any, *kinds: str) -> Any:
        while True:
            text = await asyncio.wait_for(socket.read_message(), 60)
            if text is None:
                raise WebSocketClosedError
            message = json.loads(text)
            if message["msg_type"] in kinds:
                return message

    async def execute(self, socket: Any, code: str, wait: bool = True) -> None:
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": True}
        asked = await self.send(socket, "execute_request", content)
        while wait:
            reply = await self.hear(socket, "execute_reply")
            if reply["parent_header"]["msg_id"] == asked:
                assert reply["content"]["status"] == "ok", reply["content"]
                return

    async def run(self, kernel_id: str, code: str) -> None:
        """Run ``code`` to its end and leave."""
        socket = await self.connect(kernel_id)
        await self.execute(socket, code)
        socket.close()


async def removed_one_limit_after_its_client_left(lab: Lab, kernel: str, socket: Any) -> None:
    left = time.monotonic()
    socket.close()
    await lab.until(gone(lab, kernel))
    assert time.monotonic() - left > LIMIT * 0.8


def gone(lab: Lab, ref_id: str) -> Callable[[], bool]:
    return lambda: not lab.verdict(ref_id)
