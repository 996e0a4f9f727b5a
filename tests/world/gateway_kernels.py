"""Kernel managers by values, and a kernel behind a gateway as its manager knows it."""

from __future__ import annotations

import json
from typing import Any

from tornado.httpclient import AsyncHTTPClient

from auto_shutdown.world.shell_probe import ShellAnswer

FREE = ShellAnswer(True, "", "ipython")


class Manager(dict):  # type: ignore[type-arg]
    """Kernel managers by the id of their kernel."""

    def get_kernel(self, kernel_id: str) -> Any:
        return self[kernel_id]

    def kernel_model(self, kernel_id: str) -> Any:
        return {"id": kernel_id}


class Behind:
    """A kernel behind a gateway, whose manager knows its address at the gateway."""

    def __init__(self, url: str) -> None:
        self.kernel_url = url

    async def refresh_model(self) -> Any:
        return json.loads((await AsyncHTTPClient().fetch(self.kernel_url)).body)
