"""A page that shows the processor time of a kernel asks the kernel for it every few seconds, and
the kernel reads /proc for each answer. That is no sign of life; other reads and writes are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from hand_clock import Clock
from tenants_by_pid import MINUTE, FakeKernels, FakeTerminals

from auto_shutdown.core.model import Kernel, Snapshot
from auto_shutdown.core.signals import Signal
from auto_shutdown.world import process_counters, process_survey
from auto_shutdown.world.attribution import Attribution
from auto_shutdown.world.background_work import WorkSource
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.process_counters import Reading
from auto_shutdown.world.process_survey import Survey
from auto_shutdown.world.processes import Process
from auto_shutdown.world.websockets import WebsocketClients

KERNEL = Kernel("k")
ROOT = Process(40, 1, 40, -1, 1, 0.0, "python")
CHILD = Process(50, 40, 40, -1, 1, 0.0, "python")
OTHERS = [Process(pid, 1, pid, -1, 1, 0.0, "daemon") for pid in range(100, 198)]

#: ipykernel 7.4 on a host with 2 processors and 100 processes, asked every 5 s for a minute.
READS, WRITES = 12 * (7_000 + 100 * 300 + 2 * 2800), 12 * 112

#: What one answer may read there at most.
MOST = 16 * 1024 + 2 * 1024 + 100 * 512 + 2 * 4096


@pytest.mark.parametrize(
    ("answers", "of_kernel", "of_child", "alive"),
    [
        (12, (READS, WRITES), (0, 0), False),
        (1, (2 * MOST, 512), (0, 0), False),  # the second one is not counted yet
        (1, (2 * MOST, 512 + 2048), (0, 0), True),
        (0, (READS, WRITES), (0, 0), True),  # nobody asked
        (3, (READS, WRITES), (0, 0), True),  # four answers do not explain it
        (12, (READS, WRITES + 6_000), (0, 0), True),  # a request every 10 s over TLS
        (12, (READS, WRITES), (3_000, 0), True),  # a child reads
        (12, (2 * READS, WRITES), (0, 0), True),
    ],
)
async def test_what_a_polled_kernel_reads_for_its_answers_is_no_sign_of_life(
    monkeypatch: pytest.MonkeyPatch,
    answers: int,
    of_kernel: tuple[int, int],
    of_child: tuple[int, int],
    alive: bool,
) -> None:
    monkeypatch.setattr(process_counters, "processors", lambda: 2.0)
    hand, moved = Clock(), {ROOT.pid: (0, 0), CHILD.pid: (0, 0)}

    def sample(members: Collection[Process]) -> dict[Any, Reading]:
        found = {}
        for process in members:
            read, written = moved.get(process.pid, (0, 0))
            found[process.key] = Reading(bytes=read + written, written=written)
        return found

    monkeypatch.setattr(process_survey, "sample_of", sample)
    kernels = FakeKernels(pids={KERNEL.id: ROOT.pid})
    source = WorkSource(kernels, FakeTerminals(), now=hand)  # type: ignore[arg-type]
    table = {process.pid: process for process in (ROOT, CHILD, *OTHERS)}
    survey = Survey(table, Attribution({ROOT.pid: KERNEL.ref, CHILD.pid: KERNEL.ref}))
    monkeypatch.setattr(source._surveyor, "look", lambda *_: survey)
    kernels.answers = 500  # before
    snapshot = Snapshot((KERNEL,), (), ())
    await source.ask({KERNEL.ref: MINUTE}, snapshot)
    hand.now += 60.0
    moved.update({ROOT.pid: of_kernel, CHILD.pid: of_child})
    kernels.answers += answers
    (answer,) = await source.ask({KERNEL.ref: MINUTE}, snapshot)
    assert (answer.conclusive, answer.working) == (True, False)
    assert (Signal.BACKGROUND_IO in answer.activity) is alive


def test_the_source_of_kernels_tells_how_often_a_kernel_was_asked() -> None:
    clients = WebsocketClients()
    source = KernelSource({}, None, clients=clients)
    clients.requests.of("k").usage_answers = 3
    assert (source.usage_answers("k"), source.usage_answers("unknown")) == (3, 0)


def test_one_answer_in_a_small_container_is_left_out() -> None:
    """Measured with 9 processes and 2 processors: 10,100 bytes for each answer."""
    reading = process_counters.with_answers({ROOT.key: Reading()}, ROOT, 1, 9)[ROOT.key]
    assert reading.answer_reads > 1.5 * 10_100
