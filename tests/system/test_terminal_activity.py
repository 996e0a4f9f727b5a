"""The activity that keeps a terminal, on a real server with real shells."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from running_lab import LIMIT, Lab, gone
from tornado.ioloop import IOLoop

from auto_shutdown.api.base_handler import CONTROLLER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


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


async def test_output_after_the_shell_was_killed_is_not_a_running_job(
    lab: Lab, tmp_path: Path
) -> None:
    flag = tmp_path / "ticks"
    flag.touch()
    name, shell = terminal(lab)
    await lab.until(lambda: lab.verdict(name))
    shell.write(f"while sleep 0.3 && [ -e {flag} ]; do echo tick; done &\r")
    await lab.until(lambda: lab.verdict(name).get("reason") == "output")
    try:
        os.kill(shell.pid, signal.SIGKILL)
        begin = time.monotonic()
        while time.monotonic() - begin < 1.5 * LIMIT and lab.verdict(name):
            assert lab.verdict(name)["reason"] in ("output", "background-work", "grace")
            await asyncio.sleep(0.1)
    finally:
        flag.unlink()  # not every host ends the loop with its terminal


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
    # Nothing more is read. Otherwise the end of the file would count as output again and again.
    manager.on_eof = lambda pty: IOLoop.current().remove_handler(pty.ptyproc.fd)
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
