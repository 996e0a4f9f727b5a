"""Kernel managers that record a shutdown instead of carrying it out. The servers of race.py load
them.

Instead of the shutdown request they send a harmless request on the same channel. The kernel would
have ended when it answers that request. So one kernel lasts for thousands of removals.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_server.gateway.gateway_client import GatewayClient
from jupyter_server.gateway.managers import GatewayMappingKernelManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from auto_shutdown.core.model import Kernel
from auto_shutdown.core.outcome import Outcome
from auto_shutdown.world.final_check import FinalCheck, always
from auto_shutdown.world.kernel_shutdown import KernelShutdown
from auto_shutdown.world.kernels import KernelSource

# The kernel stays listed. The extension must believe that it has been shut down.
KernelSource.is_listed = lambda *_: False  # type: ignore[method-assign]
KernelShutdown._may_be_listed = lambda *_: False  # type: ignore[method-assign]

_remove = KernelSource.remove


async def _remove_and_forget(
    self: KernelSource, kernel: Kernel, only_unmoved: bool, still_removable: FinalCheck = always
) -> Outcome:
    """Remove the kernel, and forget its requests, as the extension forgets those of a kernel that
    is no longer listed. Otherwise it would wait for the end of a cell that it has refused, and keep
    the kernel from then on."""
    outcome = await _remove(self, kernel, only_unmoved, still_removable)
    if outcome.ended:
        self._requests.of(kernel.id).ended()
    return outcome


KernelSource.remove = _remove_and_forget  # type: ignore[method-assign]

#: The environment variable that names the file of removals. Each line is JSON.
LINES = "RACE_LINES"


@contextmanager
def recorded_removal(kernel_id: str) -> Iterator[None]:
    """Record a removal: a line when it is called, and a second line when the kernel would have
    ended (``dead_at``) or the body has failed (``dead_at`` is null)."""
    called = {"kernel": kernel_id, "called_at": time.time()}
    _write_line(called)
    dead_at = None
    try:
        yield
        dead_at = time.time()
    finally:
        _write_line({**called, "dead_at": dead_at})


def _write_line(removal: dict[str, Any]) -> None:
    with open(os.environ[LINES], "a") as file:
        file.write(json.dumps(removal) + "\n")


class RecordingKernels(AsyncMappingKernelManager):
    """Kernels of this host: a shutdown is a request on a control channel, connected for it."""

    async def shutdown_kernel(self, kernel_id: str, *_: Any, **__: Any) -> None:
        with recorded_removal(kernel_id):
            client = self.get_kernel(kernel_id).client()
            client.start_channels(shell=False, iopub=False, stdin=False, hb=False, control=True)
            try:
                client.session.send(client.control_channel.socket, "kernel_info_request")
                await client.control_channel.get_msg(timeout=10)
            finally:
                client.stop_channels()


class RecordingGatewayKernels(GatewayMappingKernelManager):
    """Kernels behind a gateway: a shutdown is a request for the kernel's model."""

    async def shutdown_kernel(self, kernel_id: str, *_: Any, **__: Any) -> None:
        with recorded_removal(kernel_id):
            await self.get_kernel(kernel_id).refresh_model()

    async def shutdown_all(self, now: bool = False) -> None:
        GatewayClient.instance()
