"""Kernel managers that record a shutdown instead of carrying it out. race.py loads them.

They send a harmless request on the same channel, and record when the kernel answers: then it would
have ended. So one kernel lasts for thousands of removals.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from jupyter_server.gateway.gateway_client import GatewayClient
from jupyter_server.gateway.managers import GatewayMappingKernelManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from auto_shutdown.world.kernels import KernelSource

# The kernel stays listed. The extension must believe that it has been shut down.
KernelSource.is_listed = lambda *_: False  # type: ignore[method-assign]

#: The environment variable that names the file of removals. Each removal is a line of JSON.
LINES = "RACE_LINES"


def note(kernel_id: str, called_at: float) -> None:
    line = json.dumps({"kernel": kernel_id, "called_at": called_at, "dead_at": time.time()})
    with open(os.environ[LINES], "a") as file:
        file.write(line + "\n")


class SparingKernels(AsyncMappingKernelManager):
    """Of this host: a shutdown is a request on a control channel that is connected for it."""

    async def shutdown_kernel(self, kernel_id: str, *_: Any, **__: Any) -> None:
        called_at = time.time()
        client = self.get_kernel(kernel_id).client()
        client.start_channels(shell=False, iopub=False, stdin=False, hb=False, control=True)
        try:
            client.session.send(client.control_channel.socket, "kernel_info_request")
            await client.control_channel.get_msg(timeout=10)
        finally:
            client.stop_channels()
        note(kernel_id, called_at)


class SparingGatewayKernels(GatewayMappingKernelManager):
    """Behind a gateway: a shutdown is a request to it for that kernel."""

    async def shutdown_kernel(self, kernel_id: str, *_: Any, **__: Any) -> None:
        called_at = time.time()
        await self.get_kernel(kernel_id).refresh_model()
        note(kernel_id, called_at)

    async def shutdown_all(self, now: bool = False) -> None:
        GatewayClient.instance()
