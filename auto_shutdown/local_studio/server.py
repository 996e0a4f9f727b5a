"""A client of a running Jupyter server, over HTTP and websockets."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from websocket import WebSocketTimeoutException, create_connection

from .deadline import Deadline
from .jupyter_names import kernelspec
from .processes import Leashed

TOKEN = "local-studio"


class HttpError(Exception):
    """The server answered with an error ``status`` and ``body``."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body[:500]}")
        self.status = status
        self.body = body


class KernelClient:
    """A websocket to one kernel, like that of a browser page. The end of a ``with`` block closes
    it. ``seconds`` limits the wait for one message (as a Deadline)."""

    def __init__(self, url: str, seconds: float) -> None:
        self._seconds = seconds
        self._connection = create_connection(url, timeout=seconds)

    def __enter__(self) -> KernelClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, msg_type: str, channel: str = "shell", **content: Any) -> str:
        """Send one request. Returns its message id."""
        message_id = uuid.uuid4().hex
        header = {
            "msg_id": message_id,
            "msg_type": msg_type,
            "username": "",
            "session": uuid.uuid4().hex,
            "version": "5.3",
            "date": "",
        }
        empty: dict[str, Any] = {"parent_header": {}, "metadata": {}, "buffers": []}
        message = {"header": header, "content": content, "channel": channel, **empty}
        self._connection.send(json.dumps(message))
        return message_id

    def hear(self, msg_type: str, asked: str | None = None) -> dict[str, Any]:
        """The next message of this type; with ``asked``, the next one that answers that request."""
        while True:
            found = self._next_message()
            ours = asked is None or (found.get("parent_header") or {}).get("msg_id") == asked
            if ours and found.get("msg_type") == msg_type:
                return found

    def _next_message(self) -> dict[str, Any]:
        deadline = Deadline(self._seconds)
        while True:
            try:
                message: dict[str, Any] = json.loads(self._connection.recv())
            except WebSocketTimeoutException:
                if deadline.has_passed:
                    raise
            else:
                return message

    def hear_state(self, state: str, asked: str) -> None:
        """Wait until the kernel reports ``state`` for the request ``asked``."""
        while self.hear("status", asked)["content"]["execution_state"] != state:
            pass


def _code_cell(source: str) -> dict[str, Any]:
    empty: dict[str, Any] = {"execution_count": None, "metadata": {}, "outputs": []}
    return {"cell_type": "code", "id": uuid.uuid4().hex[:8], "source": source, **empty}


class JupyterServerApp:
    """One running server. ``url`` ends in a slash."""

    token = TOKEN

    def __init__(self, url: str, start: Callable[[], Leashed]) -> None:
        self.url = url
        self._start = start
        self.process = start()
        self._settle()

    def _settle(self) -> None:
        """Wait until the extension has started. Until then it answers with status 503."""
        deadline = Deadline(30.0)
        while not deadline.has_passed:
            try:
                self.status()
            except HttpError as error:
                if error.status != 503:
                    return
                time.sleep(0.05)
            else:
                return

    @property
    def log(self) -> str:
        return self.process.log

    def stop(self) -> None:
        """Stop the server with SIGTERM."""
        self.process.stop()

    def kill(self) -> None:
        """Kill the server with SIGKILL."""
        self.process.kill()

    def restart(self) -> None:
        """Stop the server if it runs, and start it again at the same address."""
        if self.process.running:
            self.stop()
        self.process = self._start()
        self._settle()

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request. Returns the JSON of the answer, None for an empty answer. Raises
        HttpError."""
        request = urllib.request.Request(
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise HttpError(error.code, error.read().decode("utf-8", "replace")) from None
        return json.loads(text) if text else None

    # -- what a person does ------------------------------------------------------------------

    def open_notebook(
        self,
        path: str,
        image: str = "datascience-1.0",
        instance_type: str = "ml.t3.medium",
        cells: Sequence[str] = (),
    ) -> str:
        """Write a new notebook with ``cells`` of code, and start its kernel, which also creates its
        app. Returns the id of the kernel."""
        spec = {"name": kernelspec(image), "display_name": image}
        notebook = {
            "cells": [_code_cell(source) for source in cells],
            "metadata": {"instance_type": instance_type, "kernelspec": spec},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        content = {"type": "notebook", "format": "json", "content": notebook}
        self.request("PUT", f"api/contents/{quote(path)}", content)
        session = {
            "path": path,
            "name": path,
            "type": "notebook",
            "kernel": {"name": kernelspec(image)},
        }
        return str(self.request("POST", "api/sessions", session)["kernel"]["id"])

    def execute(self, kernel_id: str, code: str, wait: bool = True, seconds: float = 60.0) -> None:
        """Run ``code``, wait for its end (or only its start, without ``wait``), and disconnect."""
        with self.client(kernel_id, seconds) as client:
            asked = client.ask(
                "execute_request", code=code, silent=False, store_history=True, allow_stdin=False
            )
            client.hear_state("idle" if wait else "busy", asked)

    def client(self, kernel_id: str, seconds: float = 60.0) -> KernelClient:
        """Connect a client to one kernel."""
        address = f"api/kernels/{kernel_id}/channels?token={TOKEN}"
        return KernelClient(self.url.replace("http", "ws", 1) + address, seconds)

    def open_terminal(self, name: str | None = None) -> str:
        """Open a terminal and return its name. An image terminal needs its ``name``."""
        return str(self.request("POST", "api/terminals", {"name": name} if name else {})["name"])

    def type(self, terminal: str, text: str) -> None:
        """Connect to a terminal, type ``text``, and disconnect."""
        address = f"terminals/websocket/{terminal}?token={TOKEN}"
        connection = create_connection(self.url.replace("http", "ws", 1) + address, timeout=30)
        connection.recv()  # the first message tells that the terminal is ready
        connection.send(json.dumps(["stdin", text]))
        connection.recv()  # and has echoed something
        connection.close()

    def status(self) -> dict[str, Any]:
        """The extension's report."""
        found: dict[str, Any] = self.request("GET", "auto-shutdown/status")
        return found

    def wait_for(self, what: str, condition: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Poll until ``condition`` returns a true value, and return that. Raises TimeoutError with
        the log after ``seconds`` (of a Deadline)."""
        deadline = Deadline(seconds)
        while not deadline.has_passed:
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        raise TimeoutError(f"{what} did not happen in {seconds} s; the log:\n{self.log[-3000:]}")
