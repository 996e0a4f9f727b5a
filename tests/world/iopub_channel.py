"""Messages of a kernel's IOPub channel as they come from the wire, and a manager of kernels."""

from __future__ import annotations

import json
from typing import Any

from auto_shutdown.world.iopub_subscription import DELIMITER


def wire(kind: str, parent_kind: str = "", parent_id: str = "1", **content: Any) -> list[bytes]:
    parent = {"msg_type": parent_kind, "msg_id": parent_id} if parent_kind else {}
    parts = [{"msg_type": kind}, parent, {}, content]
    return [b"topic", DELIMITER, b"signature", *(json.dumps(part).encode() for part in parts)]


def status(parent_kind: str, *states: str, parent_id: str = "1") -> list[list[bytes]]:
    return [
        wire("status", parent_kind, parent_id, execution_state=s)
        for s in states or ("busy", "idle")
    ]


class Stream:
    def __init__(self) -> None:
        self.is_closed = False

    def on_recv(self, listener: Any) -> None:
        self.listener = listener

    def closed(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


class FakeKernel:
    """A kernel on this host. ``failure`` is raised when somebody connects."""

    def __init__(self, pid: int | None) -> None:
        self.stream = Stream()
        self.provisioner = type("Provisioner", (), {"pid": pid})()
        self.iopub_port = 1000
        self.failure: Exception | None = None
        self.attempts = 0

    def connect_iopub(self) -> Stream:
        self.attempts += 1
        if self.failure is not None:
            raise self.failure
        return self.stream


class FakeManager(dict):  # type: ignore[type-arg]
    def get_kernel(self, kernel_id: str) -> Any:
        return self[kernel_id]
