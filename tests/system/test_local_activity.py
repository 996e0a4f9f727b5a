"""The activity that keeps a kernel, on a real server with real kernels.

Limits of seconds, the real signals, and polling with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from programs import computing_while
from running_lab import LIMIT, Lab, gone, removed_one_limit_after_its_client_left
from tornado.httpclient import HTTPClientError
from tornado.websocket import WebSocketClosedError
from waiting import Pace, again_after_a_stall

from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.core.model import EVERYTHING

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


async def test_silent_thread_keeps_its_kernel_until_one_limit_after_its_end(
    lab: Lab, tmp_path: Path
) -> None:
    flag = tmp_path / "compute"
    kernel = await lab.kernel()
    await lab.run(kernel, computing_while(flag))
    begin = time.monotonic()
    verdict = await lab.until(
        lambda: (v := lab.verdict(kernel))["reason"] == "background-work" and v
    )
    assert verdict["state"] == "idle"
    assert (verdict["due_at"], verdict["signal"]) == (None, "background-work")
    while time.monotonic() - begin < 3 * LIMIT:
        assert lab.verdict(kernel), "removed while its thread computes"
        await asyncio.sleep(0.1)
    ended = time.monotonic()
    flag.unlink()
    await lab.until(gone(lab, kernel))
    assert time.monotonic() - ended > LIMIT * 0.7  # one limit after the look that found it at work


async def test_working_child_process_keeps_its_idle_kernel(lab: Lab) -> None:
    kernel = await lab.kernel()
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'while 1: pass'])"
    await lab.run(kernel, code)
    await lab.until(lambda: lab.verdict(kernel)["reason"] == "background-work")
    await lab.app.kernel_manager.shutdown_kernel(kernel)


async def test_silent_cell_without_any_client_keeps_its_kernel_for_six_limits(
    lab: Lab, tmp_path: Path
) -> None:
    kernel = await lab.kernel()
    socket = await lab.connect(kernel)
    ended = tmp_path / "ended"
    code = f"import pathlib, time; time.sleep({6 * LIMIT}); pathlib.Path({str(ended)!r}).touch()"
    await lab.execute(socket, code, wait=False)
    await lab.until(lambda: lab.verdict(kernel)["reason"] == "busy")
    socket.close()
    await lab.until(gone(lab, kernel), seconds=120)
    assert time.time() - ended.stat().st_mtime > LIMIT * 0.8


@pytest.mark.parametrize("limits", [{"startup_grace_minutes": 0.01}])
async def test_cell_keeps_a_kernel_that_its_manager_believes_to_be_starting(lab: Lab) -> None:
    """An old server under load misses the first messages of a kernel."""
    controller = await lab.until(lambda: lab.settings.get(CONTROLLER))
    # So short a grace ends before a kernel is up on a loaded machine.
    await controller.requests.keep_alive(EVERYTHING, 60)
    kernel = await lab.kernel()
    socket = await lab.connect(kernel)
    await lab.execute(socket, "pass")
    manager = lab.app.kernel_manager.get_kernel(kernel)
    on_message = manager._activity_stream._recv_callback
    manager._activity_stream.stop_on_recv()
    manager.execution_state = "starting"
    await lab.execute(socket, f"import time; time.sleep({3 * LIMIT})", wait=False)
    await lab.hear(socket, "execute_input")
    socket.close()
    await controller.requests.keep_alive(EVERYTHING, None)
    begin = time.monotonic()
    verdict = await lab.until(lambda: (v := lab.verdict(kernel))["reason"] == "busy" and v)
    assert verdict["state"] == "busy", "its messages count more than the state of its manager"
    while time.monotonic() - begin < 2 * LIMIT:
        assert lab.verdict(kernel), "removed while its cell runs"
        await asyncio.sleep(0.1)
    manager._activity_stream.on_recv(on_message)
    await lab.until(lambda: lab.verdict(kernel)["state"] == "idle")
    await lab.until(gone(lab, kernel))


async def test_polling_and_reconnecting_clients_do_not_keep_an_idle_kernel(lab: Lab) -> None:
    """A page polls and connects to its kernel again and again, also without a user."""
    kernel = await lab.kernel()
    await lab.run(kernel, "1 + 1")
    begin = time.monotonic()
    while lab.verdict(kernel) and time.monotonic() - begin < 60:
        await lab.fetch("api", "kernels")
        await lab.fetch("api", "sessions")
        # It may go meanwhile; and from then on there is nobody to answer, nor soon to open.
        with contextlib.suppress(HTTPClientError, WebSocketClosedError, asyncio.TimeoutError):
            socket = await lab.connect(kernel)
            await lab.send(socket, "kernel_info_request", {})
            await lab.send(socket, "comm_info_request", {})
            debug = {"type": "request", "seq": 1, "command": "debugInfo"}
            await lab.send(socket, "debug_request", debug, "control")
            await asyncio.wait_for(lab.hear(socket, "debug_reply"), LIMIT)
            socket.close()
        await asyncio.sleep(LIMIT / 4)
    assert not lab.verdict(kernel)


@again_after_a_stall
async def test_completion_requests_keep_a_kernel(lab: Lab) -> None:
    kernel = await lab.kernel()
    socket = await lab.connect(kernel)
    begin, pace, signals = time.monotonic(), Pace(LIMIT / 2), set()
    while time.monotonic() - begin < 2.5 * LIMIT:
        await lab.send(socket, "complete_request", {"code": "im", "cursor_pos": 2})
        await lab.hear(socket, "complete_reply")
        pace.check()
        signals.add(lab.verdict(kernel)["signal"])
        await asyncio.sleep(LIMIT / 4)
    # A slow completion uses processor time, which is a signal too.
    assert "request" in signals
    socket.close()


async def test_kernel_waiting_in_input_is_removed_one_limit_after_its_client_left(lab: Lab) -> None:
    kernel = await lab.kernel()
    socket = await lab.connect(kernel)
    await lab.execute(socket, "name = input()", wait=False)
    await lab.hear(socket, "input_request")
    await lab.until(lambda: lab.verdict(kernel)["detail"].startswith("Waiting for an answer"))
    begin = time.monotonic()
    while time.monotonic() - begin < 2 * LIMIT:
        assert lab.verdict(kernel)["reason"] == "busy"
        await asyncio.sleep(0.1)
    await removed_one_limit_after_its_client_left(lab, kernel, socket)


async def test_kernel_is_busy_again_after_its_input_was_answered(lab: Lab) -> None:
    kernel = await lab.kernel()
    socket = await lab.connect(kernel)
    await lab.execute(socket, "input(); import time; time.sleep(60)", wait=False)
    await lab.hear(socket, "input_request")
    await lab.until(lambda: "input()" in lab.verdict(kernel)["detail"])
    await lab.send(socket, "input_reply", {"value": "x"}, "stdin")
    socket.close()
    begin = time.monotonic()
    while time.monotonic() - begin < 2 * LIMIT:
        assert lab.verdict(kernel)["reason"] == "busy"
        await asyncio.sleep(0.1)
    await lab.app.kernel_manager.shutdown_kernel(kernel, now=True)


async def test_kernel_that_prints_in_a_thread_is_kept_for_its_output(lab: Lab) -> None:
    kernel = await lab.kernel()
    code = (
        "import threading, time\ndef tick():\n  while 1: print('x', flush=True); time.sleep(.2)\n"
    )
    await lab.run(kernel, code + "threading.Thread(target=tick, daemon=True).start()")
    await lab.until(lambda: lab.verdict(kernel)["reason"] == "output")
    begin = time.monotonic()
    while time.monotonic() - begin < 2 * LIMIT:
        assert lab.verdict(kernel)["action"] == "keep"
        await asyncio.sleep(0.1)


@again_after_a_stall
async def test_heartbeat_file_keeps_a_kernel_while_it_is_touched(lab: Lab, tmp_path: Path) -> None:
    kernel = await lab.kernel()
    await lab.run(kernel, "1")
    begin, pace = time.monotonic(), Pace(LIMIT / 2)
    while time.monotonic() - begin < 2.5 * LIMIT:
        (tmp_path / "state" / "heartbeat").touch()
        pace.check()
        assert lab.verdict(kernel)
        await asyncio.sleep(0.1)
    assert lab.verdict(kernel)["signal"] == "heartbeat"
    await lab.until(gone(lab, kernel))


@again_after_a_stall
async def test_presence_request_delays_the_removal_of_its_kernel(lab: Lab) -> None:
    kernel, other = await lab.kernel(), await lab.kernel()
    await lab.run(other, "1")
    await lab.run(kernel, "1")
    body, signals = json.dumps({"kind": "kernel", "id": kernel}), set()

    pace = Pace(LIMIT / 2)

    async def present() -> bool:
        answer = await lab.fetch("auto-shutdown", "activity", method="POST", body=body)
        pace.check()
        assert answer.code == 204
        await asyncio.sleep(LIMIT / 8)
        signals.add(lab.verdict(kernel)["signal"])
        return not lab.verdict(other)

    await lab.until(present)
    assert "presence" in signals
    assert lab.verdict(kernel)
    await lab.until(gone(lab, kernel))


async def test_cull_idle_timeout_of_a_kernelspec_is_the_limit_of_its_kernels(
    lab: Lab, jp_data_dir: Path
) -> None:
    folder = jp_data_dir / "kernels" / "patient"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Patient", "metadata": {"cull_idle_timeout": 3600}}
    (folder / "kernel.json").write_text(json.dumps(spec))
    patient, other = await lab.kernel("patient"), await lab.kernel()
    for kernel in (patient, other):
        await lab.run(kernel, "1")
    await lab.until(gone(lab, other))
    row = lab.verdict(patient)
    assert (row["rule"], row["limit_minutes"]) == ("cull_idle_timeout", 60)


async def test_kernel_at_a_breakpoint_is_removed_one_limit_after_its_client_left(lab: Lab) -> None:
    """A breakpoint in a cell, as a front end sets it."""
    kernel = await lab.kernel()
    socket = await lab.connect(kernel)
    await lab.run(kernel, "1")
    code = "a = 1\nb = a + 1\nc = b + 1"

    async def debug(seq: int, command: str, **arguments: Any) -> Any:
        request = {"type": "request", "seq": seq, "command": command, "arguments": arguments}
        await lab.send(socket, "debug_request", request, "control")
        return (await lab.hear(socket, "debug_reply"))["content"]

    await debug(1, "initialize", clientID="x", adapterID="y", pathFormat="path")
    await debug(2, "attach")
    path = (await debug(3, "dumpCell", code=code))["body"]["sourcePath"]
    source = {"path": path}
    await debug(4, "setBreakpoints", source=source, breakpoints=[{"line": 2}], lines=[2])
    await debug(5, "configurationDone")
    await lab.execute(socket, code, wait=False)
    await lab.until(lambda: "debugger" in lab.verdict(kernel)["detail"])
    assert lab.verdict(kernel)["reason"] == "busy"
    await removed_one_limit_after_its_client_left(lab, kernel, socket)


@again_after_a_stall
async def test_moved_widget_counts_as_request_and_ticking_widget_as_output(lab: Lab) -> None:
    """A user who moves a widget sends a request. A widget that ticks by itself only prints."""
    kernel = await lab.kernel()
    code = """
import threading, time, comm
def opened(comm, message):
    def tick():
        for _ in range(1000):
            comm.send({"method": "update"})
            time.sleep(0.2)
    comm.on_msg(lambda message: None)
    if message["content"]["data"].get("ticks"):
        threading.Thread(target=tick, daemon=True).start()
comm.get_comm_manager().register_target("slider", opened)
"""
    await lab.run(kernel, code)
    socket = await lab.connect(kernel)
    opening = {"comm_id": "1", "target_name": "slider", "data": {}}
    await lab.send(socket, "comm_open", opening)
    begin, pace = time.monotonic(), Pace(LIMIT / 2)
    while time.monotonic() - begin < 1.5 * LIMIT:
        await lab.send(socket, "comm_msg", {"comm_id": "1", "data": {"method": "update"}})
        pace.check()
        assert lab.verdict(kernel)
        await asyncio.sleep(LIMIT / 8)
    assert lab.verdict(kernel)["signal"] == "request"
    await lab.send(socket, "comm_open", {**opening, "comm_id": "2", "data": {"ticks": True}})
    await lab.until(lambda: lab.verdict(kernel)["reason"] == "output")
    socket.close()


class TestStuck:
    """Only ``max_busy_minutes`` removes a kernel that reports busy and does not work."""

    @pytest.fixture
    def jp_server_config(self, jp_server_config: dict[str, Any]) -> dict[str, Any]:
        jp_server_config["AutoShutdown"]["max_busy_minutes"] = 2 * LIMIT / 60
        return jp_server_config

    async def test_max_busy_minutes_removes_a_sleeping_cell_and_keeps_a_computing_one(
        self, lab: Lab
    ) -> None:
        stuck, computing = await lab.kernel(), await lab.kernel()
        begin = time.monotonic()
        for kernel, code in ((stuck, "import time; time.sleep(600)"), (computing, "while 1: 0")):
            socket = await lab.connect(kernel)
            await lab.execute(socket, code, wait=False)
            await lab.until(lambda kernel=kernel: lab.verdict(kernel)["reason"] == "busy")
            socket.close()
        await lab.until(gone(lab, stuck))
        assert time.monotonic() - begin > 1.9 * LIMIT
        outcomes = lab.settings[CONTROLLER].report()["outcomes"]
        (outcome,) = (o for o in outcomes if o["id"] == stuck)
        assert (outcome["outcome"], outcome["reason"]) == ("removed", "max-busy")
        assert lab.verdict(computing)["reason"] == "busy"
        await lab.app.kernel_manager.shutdown_kernel(computing, now=True)
