"""Kernel managers that spare the kernel: where they would shut it down they ask it something over
the same way, and note when. So one kernel stands thousands of removals, and each tells exactly
when it would have died. Loaded into a server by race.py."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from jupyter_server.gateway.gateway_client import GatewayClient
from jupyter_server.gateway.managers import GatewayMappingKernelManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from auto_shutdown.world.kernels import KernelSource

# A spared kernel stays listed; to the product it has to look as gone as if it had been shut down.
KernelSource.is_listed = lambda *_: False  # type: ignore[method-assign]

#: Where the removals are noted, one line of JSON each.
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
