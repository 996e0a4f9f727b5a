"""Work of real processes on this host, as the process table shows it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hand_clock import Clock
from tenants_by_pid import LOCAL, MINUTE, STAMP, FakeKernels, FakeTerminals

from auto_shutdown.core.model import App, Ref, Snapshot, Terminal
from auto_shutdown.core.signals import Signal
from auto_shutdown.world import proc_files, process_table
from auto_shutdown.world.background_work import WorkSource


@pytest.fixture
def hand() -> Clock:
    return Clock()


@pytest.fixture
def burning() -> Iterator[int]:
    """A process at full load, started from a shell that waits for it."""
    child = f"{sys.executable} -c 'while True: pass'; true"
    shell = subprocess.Popen(["sh", "-c", child], start_new_session=True)
    yield shell.pid
    os.killpg(shell.pid, 9)
    shell.wait()


@pytest.fixture
def waiting() -> Iterator[int]:
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


#: It writes 8 KiB for each line that it reads, as an R kernel reads files for an answer.
ANSWERS = """
import os, sys
for line in sys.stdin.buffer:
    os.write(os.open(os.devnull, os.O_WRONLY), bytes(8192))
    os.write(1, b"answer\\n")
"""


@pytest.fixture
def reader() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-S", "-c", ANSWERS]
    with subprocess.Popen(command, 0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n")
        process.stdout.readline()  # it has started
        yield process
        process.kill()


@pytest.mark.skipif(not proc_files.PROC.exists(), reason="no /proc here")
class TestByTheTable:
    async def until_conclusive(self, source: WorkSource, ref: Ref, snapshot: Snapshot) -> Any:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            answers = await source.ask({ref: timedelta(seconds=0.5)}, snapshot)
            if answers[0].conclusive:
                return answers[0]
            await asyncio.sleep(0.1)
        raise TimeoutError

    async def test_child_at_full_load_is_work_of_its_kernel(self, burning: int) -> None:
        source = WorkSource(FakeKernels(pids={"local": burning}), FakeTerminals())  # type: ignore[arg-type]
        answer = await self.until_conclusive(source, LOCAL.ref, Snapshot((LOCAL,)))
        assert answer.working
        assert "its processes used" in answer.detail

    async def test_waiting_shell_is_not_work(self, waiting: int) -> None:
        terminals = FakeTerminals({"1": waiting})
        source = WorkSource(FakeKernels(), terminals)  # type: ignore[arg-type]
        snapshot = Snapshot((), (Terminal("1"),))
        answer = await self.until_conclusive(source, Terminal("1").ref, snapshot)
        assert (answer.working, answer.cores) == (False, 0.0)

    @pytest.mark.parametrize("for_an_answer", [True, False])
    async def test_io_of_an_answer_is_no_sign_of_life(
        self, hand: Clock, reader: subprocess.Popen[bytes], for_an_answer: bool
    ) -> None:
        source = WorkSource(FakeKernels(pids={"local": reader.pid}), FakeTerminals(), now=hand)  # type: ignore[arg-type]

        async def answer() -> bytes:
            assert reader.stdin is not None
            assert reader.stdout is not None
            reader.stdin.write(b"\n")
            return reader.stdout.readline()

        async def ask() -> Any:
            (found,) = await source.ask({LOCAL.ref: MINUTE}, Snapshot((LOCAL,)))
            hand.now += 60
            return found

        await ask()
        if for_an_answer:
            assert await source.answered([LOCAL], answer()) == b"answer\n"
        else:
            await answer()
        assert (Signal.BACKGROUND_IO not in (await ask()).activity) is for_an_answer

    @pytest.mark.parametrize("error", [OSError(24, "Too many open files"), OSError(13, "Denied")])
    async def test_a_source_that_cannot_be_read_is_unknown_and_a_fault(
        self, waiting: int, monkeypatch: Any, error: OSError
    ) -> None:
        own = App("JupyterLab", "default", "InService", own=True)
        source = WorkSource(FakeKernels(pids={"local": waiting}), FakeTerminals())  # type: ignore[arg-type]
        snapshot = Snapshot((LOCAL,), (), (own,))
        questions = dict.fromkeys((LOCAL.ref, own.ref), timedelta(seconds=0.1))

        def fails() -> Any:
            raise process_table.unreadable(error)

        monkeypatch.setattr(process_table, "read_table", fails)
        answers = await source.ask(questions, snapshot)
        assert {a.ref: (a.unread, a.working) for a in answers} == {
            LOCAL.ref: (True, False),
            own.ref: (True, False),
        }
        (fault,) = source.faults(STAMP)
        assert fault.code in ("EMFILE", "EACCES")
        assert fault.remedy
        monkeypatch.undo()
        answers = await source.ask(questions, snapshot)
        assert not any(a.unread for a in answers)
        assert source.faults(STAMP) == []

    async def test_io_that_cannot_be_read_is_unknown(self, waiting: int, monkeypatch: Any) -> None:
        source = WorkSource(FakeKernels(pids={"local": waiting}), FakeTerminals())  # type: ignore[arg-type]

        def fails(_pid: int, _name: str) -> Any:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(proc_files, "_read", fails)
        (answer,) = await source.ask({LOCAL.ref: MINUTE}, Snapshot((LOCAL,)))
        assert answer.unread

    async def test_own_app_counts_every_process_but_the_server(self, burning: int) -> None:
        own = App("JupyterLab", "default", "InService", own=True)
        source = WorkSource(FakeKernels(), FakeTerminals())  # type: ignore[arg-type]
        answer = await self.until_conclusive(source, own.ref, Snapshot((), (), (own,)))
        assert answer.working
