"""Runs code in a kernel of a running server, as a client of the server's kernel websocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from .client import Client
from .server_error import ExitCode, ServerError

#: How long the websocket may take to open. The server opens it once the kernel is ready, and a
#: kernel that was just started needs many seconds.
OPEN_SECONDS = 60.0

#: How long the websocket may take to close.
CLOSE_SECONDS = 2.0

Show = Callable[[str], None]


def run_cells(client: Client, kernel_id: str, cells: Sequence[str], show: Show) -> int | None:
    """Run ``cells`` (source code) one after another and pass their output to ``show``. Stops at the
    first error.

    Returns the index of the cell that failed, or None when all cells succeeded. Raises ServerError
    when the connection fails. On Ctrl-C it interrupts the kernel, then raises KeyboardInterrupt.
    """
    try:
        return asyncio.run(_run(client, kernel_id, cells, show))
    except KeyboardInterrupt:
        client.request("POST", f"api/kernels/{kernel_id}/interrupt", below="")
        raise
    except (OSError, asyncio.TimeoutError, ValueError) as error:
        message = f"The connection to the kernel failed ({type(error).__name__})."
        remedy = "Open the notebook in the browser: its kernel has been started."
        raise ServerError(ExitCode.NO_SERVER, message, remedy) from None


async def _run(client: Client, kernel_id: str, cells: Sequence[str], show: Show) -> int | None:
    from tornado.httpclient import HTTPRequest
    from tornado.websocket import websocket_connect

    url, headers = client.channels(kernel_id)
    request = HTTPRequest(url, headers=dict(headers))
    socket = await asyncio.wait_for(websocket_connect(request), OPEN_SECONDS)
    try:
        for index, cell in enumerate(cells):
            message = _execute_request(cell)
            await socket.write_message(json.dumps(message))
            if not await _succeeds(socket, message["header"]["msg_id"], show):
                return index
        return None
    finally:
        socket.close()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_wait_until_closed(socket), CLOSE_SECONDS)


async def _wait_until_closed(socket: Any) -> None:
    while await socket.read_message() is not None:
        pass


def _execute_request(code: str) -> dict[str, Any]:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "session": uuid.uuid4().hex,
        "username": "auto_shutdown",
        "date": datetime.now(timezone.utc).isoformat(),
        "version": "5.3",
    }
    content = {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    return {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "buffers": [],
        "channel": "shell",
    }


async def _succeeds(socket: Any, msg_id: str, show: Show) -> bool:
    """Pass the output of the request ``msg_id`` to ``show`` until the request has ended. Returns
    whether it succeeded. The request has ended when its reply *and* its status ``idle`` came: they
    come on different channels, in either order."""
    status, idle = "", False
    while not (status and idle):
        text = await socket.read_message()
        if text is None:
            raise ConnectionError("closed")
        message = json.loads(text) if isinstance(text, str) else {}
        if (message.get("parent_header") or {}).get("msg_id") != msg_id:
            continue
        kind, content = message["header"]["msg_type"], message.get("content") or {}
        if kind == "execute_reply":
            status = str(content.get("status") or "error")
        elif kind == "status":
            idle = content.get("execution_state") == "idle"
        else:
            _show_output(kind, content, show)
    return status == "ok"


def _show_output(kind: str, content: Mapping[str, Any], show: Show) -> None:
    if kind == "stream":
        show(str(content.get("text") or "").rstrip("\n"))
    elif kind in ("execute_result", "display_data"):
        show(str((content.get("data") or {}).get("text/plain") or ""))
    elif kind == "error":
        show(f"{content.get('ename')}: {content.get('evalue')}")
