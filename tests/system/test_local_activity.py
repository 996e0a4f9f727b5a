"""What is activity and what is not, on a real server with real kernels and shells.

Limits of seconds, the real signals, and polling with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from programs import computing_while
from short_limits import short_limits
from tornado.httpclient import HTTPClientError
from tornado.websocket import WebSocketClosedError
from waiting import Pace, again_after_a_stall

from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.core.model import EVERYTHING

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

LIMIT = 5.0


@pytest.fixture
def limits() -> dict[str, float]:
    """Settings that one test changes by parametrization."""
    return {}


@pytest.fixture
def jp_server_config(tmp_path: Path, limits: dict[str, float]) -> dict[str, Any]:
    return {
        "ServerApp": {
            "jpserver_extensions": {"auto_shutdown": True, "jupyter_server_terminals": True}
        },
        "AutoShutdown": short_limits(tmp_path, LIMIT, **limits),
    }


class Lab:
    """A server, and what a person and their browser do with it."""

    def __init__(self, app: Any, fetch: Any, ws_fetch: Any) -> None:
        self.app, self.fetch, self.ws_fetch = app, fetch, ws_fetch

    @property
    def settings(self) -> Any:
        return self.app.web_app.settings

    async def until(self, condition: Callable[[], Any], seconds: float = 60.0) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.05)
        raise TimeoutError(json.dumps(self.settings[CONTROLLER].report(), indent=1))

    def verdict(self, ref_id: str) -> dict[str, Any]:
        """The report's row of one resource; empty when it is gone."""
        if CONTROLLER not in self.settings:
            return {}  # it begins a moment after the server
        rows = self.settings[CONTROLLER].report()["resources"]
        found: dict[str, Any] = next((r for r in rows if r["id"] == ref_id), {})
        return found

    async def kernel(self, name: str = "python3") -> str:
        kernel_id = str(await self.app.kernel_manager.start_kernel(kernel_name=name))
        await self.until(lambda: self.verdict(kernel_id))
        await self._wait_until_started(kernel_id)
        return kernel_id

    async def _wait_until_started(self, kernel_id: str) -> None:
        """An old server may begin to listen after the first messages of the kernel. It then reports
        the kernel as "starting" until the kernel sends more."""
        for attempt in range(200):
            if self.app.kernel_manager.kernel_model(kernel_id)["execution_state"] != "starting":
                return
            if attempt > 20:
                socket = await self.connect(kernel_id)
                await self.execute(socket, "pass")
                socket.close()
            await asyncio.sleep(0.1)

    async def connect(self, kernel_id: str) -> Any:
        return await self.ws_fetch("api", "kernels", kernel_id, "channels")

    async def send(self, socket: Any, msg_type: str, content: Any, channel: str = "shell") -> str:
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": msg_type,
            "username": "",
            "session": "s",
            "version": "5.3",
            "date": "2026-01-01T00:00:00Z",
        }
        parts = {"parent_header": {}, "metadata": {}, "content": content, "channel": channel}
        await socket.write_message(json.dumps({"header": header, **parts}))
        return str(header["msg_id"])

    async def hear(self, socket: Any, *kinds: str) -> Any:
        while True:
            text = await asyncio.wait_for(socket.read_message(), 60)
            if text is None:
                raise WebSocketClosedError
            message = json.loads(text)
            if message["msg_type"] in kinds:
                return message

    async def execute(self, socket: Any, code: str, wait: bool = True) -> None:
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": True}
        asked = await self.send(socket, "execute_request", content)
        while wait:
            reply = await self.hear(socket, "execute_reply")
            if reply["parent_header"]["msg_id"] == asked:
                assert reply["content"]["status"] == "ok", reply["content"]
                return

    async def run(self, kernel_id: str, code: str) -> None:
        """Run ``code`` to its end and leave."""
        socket = await self.connect(kernel_id)
        await self.execute(socket, code)
        socket.close()


@pytest.fixture
def lab(jp_serverapp: Any, jp_fetch: Any, jp_ws_fetch: Any) -> Lab:
    return Lab(jp_serverapp, jp_fetch, jp_ws_fetch)


async def goes_a_limit_after_its_client(lab: Lab, kernel: str, socket: Any) -> None:
    left = time.monotonic()
    socket.close()
    await lab.until(gone(lab, kernel))
    assert time.monotonic() - left > LIMIT * 0.8


def gone(lab: Lab, ref_id: str) -> Callable[[], bool]:
    return lambda: not lab.verdict(ref_id)


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
    """A page does this by itself: it polls, and connects to its kernel again and again."""
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
    await goes_a_limit_after_its_client(lab, kernel, socket)


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


def terminal(lab: Lab) -> tuple[str, Any]:
    name, pty = lab.settings["terminal_manager"].new_named_terminal()
    return name, pty.ptyproc


async def test_silent_foreground_job_keeps_its_terminal_and_a_prompt_does_not(lab: Lab) -> None:
    idle, _ = terminal(lab)
    name, shell = terminal(lab)
    await lab.until(lambda: lab.verdict(name))
    shell.write("sleep 600 > /dev/null\r")
    await lab.until(lambda: lab.verdict(name)["reason"] == "running-job")
    assert lab.verdict(name)["detail"] == "Running sleep."
    await lab.until(gone(lab, idle))
    assert lab.verdict(name)["reason"] == "running-job"
    shell.write("\x03")
    await lab.until(gone(lab, name))


async def test_detached_job_keeps_its_terminal_while_it_computes(lab: Lab, tmp_path: Path) -> None:
    flag = tmp_path / "compute"
    flag.touch()
    name, shell = terminal(lab)
    await lab.until(lambda: lab.verdict(name))
    program = tmp_path / "compute.sh"
    program.write_text(f"while [ -e {flag} ]; do :; done\n")
    shell.write(f"setsid nohup sh {program} > /dev/null 2>&1 &\r")
    await lab.until(lambda: lab.verdict(name).get("reason") == "background-work")
    flag.unlink()
    await lab.until(gone(lab, name))


async def test_terminal_records_keys_and_output_separately(lab: Lab) -> None:
    name, shell = terminal(lab)
    await lab.until(lambda: lab.verdict(name))
    shell.write("while sleep 0.3; do echo tick; done &\r")
    await lab.until(lambda: lab.verdict(name).get("reason") == "output")
    (row,) = (await lab.settings[CONTROLLER]._world.observe(False)).terminals
    assert row.input_at is not None
    assert row.output_at is not None
    shell.write("kill %1\r")
    await lab.until(gone(lab, name))


async def test_output_after_the_shell_was_killed_is_not_a_running_job(lab: Lab) -> None:
    name, shell = terminal(lab)
    await lab.until(lambda: lab.verdict(name))
    shell.write("while sleep 0.3; do echo tick; done &\r")
    await lab.until(lambda: lab.verdict(name).get("reason") == "output")
    os.kill(shell.pid, signal.SIGKILL)
    begin = time.monotonic()
    while time.monotonic() - begin < 1.5 * LIMIT and lab.verdict(name):
        assert lab.verdict(name)["reason"] in ("output", "background-work", "grace")
        await asyncio.sleep(0.1)


#: Programs that people leave open in a terminal.
WAITING_FOR_A_PERSON = (
    "less /etc/services",
    "top",
    "watch -n 0.5 date",
    "tail -f /etc/services",
    f"{sys.executable} -q",
    f"{sys.executable} -m http.server --bind 127.0.0.1 0",
)


@pytest.mark.parametrize("limits", [{"suspect_after_minutes": 8 / 60}])
async def test_program_that_waits_for_a_person_is_suspect_and_a_working_job_is_not(
    lab: Lab,
) -> None:
    names = {}
    for command in (*WAITING_FOR_A_PERSON, "while true; do true; sleep 0.2; done"):
        names[command], shell = terminal(lab)
        await lab.until(lambda name=names[command]: lab.verdict(name))
        shell.write(f"{command}\r")
    *waiting, loop = names.values()

    def all_suspect() -> bool:
        return all(lab.verdict(name)["reason"] == "suspect-busy" for name in waiting)

    await lab.until(all_suspect)
    row = lab.verdict(names["top"])
    assert row["action"] == "keep"
    assert row["detail"].startswith("Running top, but silent and at under 1% of a core for ")
    assert lab.verdict(loop)["reason"] == "running-job"


@pytest.mark.parametrize("limits", [{"suspect_after_minutes": 8 / 60, "max_busy_minutes": 8 / 60}])
async def test_max_busy_minutes_removes_a_terminal_whose_program_waits_for_a_person(
    lab: Lab,
) -> None:
    name, shell = terminal(lab)
    await lab.until(lambda: lab.verdict(name))
    shell.write("less /etc/services\r")
    await lab.until(lambda: lab.verdict(name).get("reason") == "running-job")
    await lab.until(gone(lab, name))
    (entry,) = [e for e in lab.settings[CONTROLLER].report()["outcomes"] if e["id"] == name]
    assert (entry["outcome"], entry["reason"]) == ("removed", "max-busy")


async def test_terminal_that_is_still_there_after_its_removal_backs_off(lab: Lab) -> None:
    """A program behind the prompt ignores the hang-up, so that the terminal stays open. Whether the
    operating system closes such a terminal depends on the host (Linux does), so this test keeps the
    terminal manager from seeing its end."""
    name, _ = terminal(lab)
    await lab.until(lambda: lab.verdict(name))
    manager = lab.settings["terminal_manager"]
    remembered = manager.terminals[name]
    on_eof = manager.on_eof
    manager.on_eof = lambda pty: None
    try:
        row = await lab.until(lambda: (v := lab.verdict(name))["reason"] == "backing-off" and v)
        assert "StillThere" in row["detail"]
        report = lab.settings[CONTROLLER].report()
        assert [e["outcome"] for e in report["outcomes"] if e["id"] == name] == ["still-there"]
        (fault,) = report["health"]["faults"]
        assert "a program in it runs on" in fault["message"]
    finally:
        manager.on_eof = on_eof
        on_eof(remembered)
    await lab.until(gone(lab, name))


async def test_removal_of_a_terminal_ends_a_shell_inside_its_shell(lab: Lab) -> None:
    """Where the end of the outer shell does not hang up the terminal, the inner one is hung up."""
    name, shell = terminal(lab)
    await lab.until(lambda: lab.verdict(name))
    shell.write("bash -c 'bash; true'\r")
    await lab.until(gone(lab, name))
    outcomes = lab.settings[CONTROLLER].report()["outcomes"]
    assert [e["outcome"] for e in outcomes if e["id"] == name] == ["removed"]


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
    await goes_a_limit_after_its_client(lab, kernel, socket)


@again_after_a_stall
async def test_moved_widget_counts_as_request_and_ticking_widget_as_output(lab: Lab) -> None:
    """A person who moves a widget sends a request; a widget that ticks by itself only prints."""
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
    """Only ``max_busy_minutes`` removes a kernel that reports busy and does nothing."""

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
