"""The headers of cells, and a kernel that runs cells, for the tests of its requests."""

from __future__ import annotations

from typing import Any

from auto_shutdown.world.kernel_requests import KernelRequests


def cell(name: str = "1", subshell: str | None = None) -> dict[str, Any]:
    return {"msg_type": "execute_request", "msg_id": name, "subshell_id": subshell}


def running(*cells: dict[str, Any]) -> KernelRequests:
    requests = KernelRequests()
    for each in cells or (cell(),):
        requests.has_status("busy", each)
    return requests
