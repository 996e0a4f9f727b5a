"""A server extension for the benchmarks: it adds many kernels and measures within the server.

The kernels are Jupyter's own ``KernelManager`` objects without processes, because listing a kernel
costs the same with and without a process. Their models name an app and an instance type, as in
Studio Classic. Everything else is the ordinary Jupyter server.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado import web
from tornado.ioloop import IOLoop

from auto_shutdown.api.base_handler import CONTROLLER

from .names import IMAGE

#: Seconds between two wake-ups of the coroutine that measures blocks of the event loop.
WAKE_SECONDS = 0.001

#: An activity of the server, during which blocks are measured.
Activity = Callable[[Any], Awaitable[None]]


def app_name(index: int) -> str:
    return f"datascience-1-0-ml-t3-medium-{index:04d}"


class CrowdKernelManager(AsyncMappingKernelManager):
    """Kernels without processes, spread over apps."""

    def fill(self, kernels: int, apps: int) -> list[str]:
        self.apps_by_kernel: dict[str, str] = {}
        for index in range(kernels):
            kernel_id = str(uuid.uuid4())
            kernel = self.kernel_manager_factory(parent=self, kernel_name="python3")
            kernel.execution_state = "idle"
            kernel.last_activity = datetime.now(timezone.utc)
            kernel.reason = ""
            self._kernels[kernel_id] = kernel
            self._kernel_connections[kernel_id] = 1
            self.apps_by_kernel[kernel_id] = app_name(index % apps)
        return list(self._kernels)

    def kernel_model(self, kernel_id: str) -> dict[str, Any]:
        model: dict[str, Any] = super().kernel_model(kernel_id)
        model["name"] = f"python3__SAGEMAKER_INTERNAL__{IMAGE}"
        model["app_name"] = self.apps_by_kernel[kernel_id]
        model["instance_type"] = "ml.t3.medium"
        return model

    async def shutdown_all(self, now: bool = False) -> None:
        self._kernels.clear()


class AppsHandler(APIHandler):
    """Answers ``/sagemaker/api/apps``, a route of Studio Classic. The answer comes from memory, so
    it costs as little as possible."""

    @web.authenticated
    def get(self) -> None:
        names = sorted(set(self.kernel_manager.apps_by_kernel.values()))
        answer = [
            {
                "app_name": name,
                "environment_arn": IMAGE,
                "environment_name": "datascience-1.0",
                "image_name": "datascience-1.0",
                "instance_type": "ml.t3.medium",
            }
            for name in names
        ]
        self.finish(json.dumps(answer))


#: An idle timeout after which Jupyter's own culler removes nothing during a benchmark (seconds).
A_YEAR = 365 * 24 * 3600


class PassesHandler(APIHandler):
    """Runs passes. Answers with the processor seconds of one pass, with those that Jupyter itself
    needs to list its kernels and sessions, and with those of one round of Jupyter's own culler."""

    @web.authenticated
    async def get(self) -> None:
        controller = self.settings[CONTROLLER]
        count = int(self.get_argument("count"))
        begin = time.process_time()
        for _ in range(count):
            await controller.run_pass()
        spent = time.process_time() - begin
        begin = time.process_time()
        for _ in range(count):
            self.kernel_manager.list_kernels()
            await self.session_manager.list_sessions()
        listing = time.process_time() - begin
        culling = await self._rounds_of_the_culler(count)
        changed = await self._partial_passes(controller, count)
        answer = {
            "cpu": spent / count,
            "listing": listing / count,
            "culling": culling / count,
            "changed": changed,
            "resources": len(controller.situation.snapshot.resources),
        }
        self.finish(json.dumps(answer))

    async def _rounds_of_the_culler(self, count: int) -> float:
        """The processor seconds of ``count`` rounds of Jupyter's own culler, which reads the time
        stamp, the state and the connections of each kernel."""
        manager = self.kernel_manager
        known = manager.cull_idle_timeout
        manager.cull_idle_timeout = A_YEAR
        begin = time.process_time()
        for _ in range(count):
            await manager.cull_kernels()
        spent = time.process_time() - begin
        manager.cull_idle_timeout = known
        return spent

    async def _partial_passes(self, controller: Any, count: int) -> float:
        """The processor seconds of one partial pass, after a kernel began or ended its work."""
        kernel_id = self.kernel_manager.list_kernel_ids()[0]
        kernel = self.kernel_manager.get_kernel(kernel_id)
        for _ in range(3):  # try again if the full pass at the poll interval came in between
            last = controller.report()["health"]["last_pass"]
            begin = time.process_time()
            for number in range(2 * count):
                kernel.execution_state = "idle" if number % 2 else "busy"
                await controller.run_pass(kernels=[kernel_id])
            spent = time.process_time() - begin
            if controller.report()["health"]["last_pass"] == last:
                return spent / (2 * count)
        raise RuntimeError("A full pass ran in place of partial ones.")


class CpuHandler(APIHandler):
    """Answers with the processor seconds of the server so far."""

    @web.authenticated
    def get(self) -> None:
        self.finish(json.dumps({"cpu": time.process_time()}))


class BlocksHandler(APIHandler):
    """Answers with the blocks of the event loop during an activity (the argument ``during``): the
    longest, the 99th percentile, and the duration of the activity, all in seconds."""

    @web.authenticated
    async def get(self) -> None:
        activity = ACTIVITIES[self.get_argument("during")]
        probe = EventLoopProbe()
        measuring = asyncio.ensure_future(probe.measure())
        await asyncio.sleep(0.2)
        probe.delays.clear()
        begin = time.perf_counter()
        await activity(self)
        spent = time.perf_counter() - begin
        probe.stopped = True
        await measuring
        delays = sorted(probe.delays)
        result = {"longest": delays[-1], "p99": delays[int(len(delays) * 0.99)], "seconds": spent}
        self.finish(json.dumps(result))


class EventLoopProbe:
    """Wakes every millisecond and records how late each wake-up was, in seconds. A delay counts
    only as far as this process used the processor meanwhile, because other processes also cause
    delays."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.stopped = False

    async def measure(self) -> None:
        last, spent = time.perf_counter(), time.process_time()
        while not self.stopped:
            await asyncio.sleep(WAKE_SECONDS)
            late = time.perf_counter() - last - WAKE_SECONDS
            self.delays.append(max(0.0, min(late, time.process_time() - spent)))
            last, spent = time.perf_counter(), time.process_time()


async def nothing(_: APIHandler) -> None:
    await asyncio.sleep(2.0)


async def passes(handler: APIHandler) -> None:
    for _ in range(20):
        await handler.settings[CONTROLLER].run_pass()
        await asyncio.sleep(0.05)


def sagemaker() -> Any:
    """The extension's SageMaker client, for the account in the environment variables."""
    from auto_shutdown.world.platform import STUDIO_CLASSIC, Platform
    from auto_shutdown.world.sagemaker import SageMaker

    platform = Platform(
        STUDIO_CLASSIC,
        os.environ["BENCH_DOMAIN"],
        os.environ["BENCH_OWNER"],
        region_name=os.environ["AWS_DEFAULT_REGION"],
    )
    return SageMaker(platform)


#: The client that ``first_load`` creates and ``calls`` uses.
_clients: list[Any] = []


async def first_load(_: APIHandler) -> None:
    """Import boto3, create a client and make the first call, as the extension does."""
    assert "boto3" not in sys.modules, "boto3 was already loaded"
    client = sagemaker()
    _clients.append(client)
    await client.list_apps()


async def calls(_: APIHandler) -> None:
    for _ in range(20):
        await _clients[0].list_apps()


async def load_on_the_loop(_: APIHandler) -> None:
    """Do the same as other tools do: create the SageMaker client in the handler itself."""
    assert "boto3" not in sys.modules, "boto3 was already loaded"
    from boto3.session import Session

    client = Session().client("sagemaker")
    client.list_apps(DomainIdEquals=os.environ["BENCH_DOMAIN"])


ACTIVITIES: dict[str, Activity] = {
    "nothing": nothing,
    "passes": passes,
    "first-load": first_load,
    "calls": calls,
    "load-on-the-loop": load_on_the_loop,
}


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "bench.crowd"}]


def _load_jupyter_server_extension(server: Any) -> None:
    handlers = [
        ("/sagemaker/api/apps", AppsHandler),
        ("/bench/passes", PassesHandler),
        ("/bench/cpu", CpuHandler),
        ("/bench/blocks", BlocksHandler),
    ]
    server.web_app.add_handlers(".*$", handlers)
    kernels, apps = int(os.environ["BENCH_KERNELS"]), int(os.environ["BENCH_APPS"])
    ids = server.kernel_manager.fill(kernels, apps)

    async def open_sessions() -> None:
        for index, kernel_id in enumerate(ids):
            path = f"work/notebook-{index}.ipynb"
            await server.session_manager.save_session(
                str(uuid.uuid4()), path, path, "notebook", kernel_id
            )

    IOLoop.current().add_callback(open_sessions)
