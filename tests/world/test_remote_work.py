"""Work of kernels in other containers and of their apps, by the answers of these kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from auto_shutdown.core.model import Answer, App, Kernel, Kind, Ref, Snapshot
from auto_shutdown.core.signals import Signal
from auto_shutdown.world.kernel_usage import Usage
from auto_shutdown.world.remote_work import RemoteWork

STAMP = datetime(2026, 1, 1, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
APP = App("KernelGateway", "a", "InService")
KERNEL = Kernel("k", state="idle", app=APP.id)
SECOND = replace(KERNEL, id="k2")
SILENT = Usage(failure="it did not answer within 2 s")
IDLE = Usage(0.0, 0.0)
WORKING = Usage(0.0, 1.0)


class Behind:
    """A gateway as values: its kernels and their answers, and a clock that the test moves."""

    def __init__(self, *kernels: Kernel, **usages: Usage) -> None:
        self.kernels = kernels
        self.usages = usages
        self.asked: list[str] = []
        self.now = 1000.0
        self.app = APP
        self.work = RemoteWork(self, lambda: self.now)  # type: ignore[arg-type]

    def channels_of(self, kernel_id: str) -> str | None:
        return "ws://gateway" if kernel_id in self.usages else None

    async def ask_usage(self, kernel_id: str) -> Usage:
        self.asked.append(kernel_id)
        return self.usages[kernel_id]

    async def ask(self, *refs: Ref) -> Mapping[Ref, Answer]:
        """The answers one minute after the last query."""
        self.now += 60
        self.asked.clear()
        snapshot = Snapshot(self.kernels, (), (self.app,))
        self.work.forget_except({resource.ref for resource in snapshot.resources})
        resources = {ref: snapshot.find(ref) for ref in refs}
        answers = await self.work.ask(dict.fromkeys(refs, MINUTE), resources, snapshot)
        return {answer.ref: answer for answer in answers}

    async def ask_app(self) -> Answer:
        return (await self.ask(APP.ref))[APP.ref]

    async def app_works(self) -> None:
        """Query the app until an answer shows that it works."""
        await self.ask_app()
        assert (await self.ask_app()).working


@pytest.mark.parametrize(("cores", "working"), [(0.02, False), (0.031, True), (1.0, True)])
async def test_the_second_usage_answer_shows_work(cores: float, working: bool) -> None:
    behind = Behind(KERNEL, k=Usage(99.0, 0.0))
    first = (await behind.ask(KERNEL.ref))[KERNEL.ref]
    assert not first.conclusive, "what it did before is not known to be of now"
    behind.usages["k"] = Usage(
        cores, 0.0, stamps={Signal.LAST_ACTIVITY: STAMP}, other_client_seen=True
    )
    second = (await behind.ask(KERNEL.ref))[KERNEL.ref]
    assert (second.conclusive, second.working) == (True, working)
    assert second.cores == pytest.approx(cores)
    assert (second.stamps, second.other_client_seen) == ({Signal.LAST_ACTIVITY: STAMP}, True)


async def test_host_of_an_app_is_asked_once_through_one_of_its_kernels() -> None:
    behind = Behind(KERNEL, SECOND, k=Usage(0.0, 0.26), k2=IDLE)
    await behind.ask_app()
    answers = await behind.ask(APP.ref, KERNEL.ref)
    assert behind.asked == ["k"]
    assert answers[APP.ref].working
    assert not answers[KERNEL.ref].working


@pytest.mark.parametrize(
    ("processors", "cores", "working"),
    [
        (1, 0.24, False),
        (1, 0.26, True),
        (50, 0.26, True),
        (96, 0.40, False),  # agents and drivers of a large instance
        (96, 0.49, True),
        (192, 0.80, False),
        (192, 0.96, True),  # a job on one core, rounded down to 0.5 % of the processors
        (10_000, 0.96, True),
    ],
)
async def test_the_threshold_of_a_host_grows_with_its_processors(
    processors: float, cores: float, working: bool
) -> None:
    behind = Behind(KERNEL, k=Usage(0.0, cores, cpu_count=processors))
    await behind.ask_app()
    assert (await behind.ask_app()).working is working


@pytest.mark.parametrize(
    ("processors", "cores", "low"),
    [
        (4, 0.30, True),
        (96, 0.89, True),
        (4, 0.91, False),
        (192, 0.96, False),  # a job on one core, rounded down to 0.5 % of the processors
    ],
)
async def test_work_of_a_host_below_a_whole_core_may_be_that_of_agents(
    processors: float, cores: float, low: bool
) -> None:
    behind = Behind(KERNEL, k=Usage(0.0, cores, cpu_count=processors))
    await behind.ask_app()
    answer = await behind.ask_app()
    assert (answer.working, answer.low_use) == (True, low)
    assert answer.detail.endswith(", perhaps for an agent or another app") is low


@pytest.mark.parametrize(
    ("instance_type", "processors"),
    [
        ("ml.t3.medium", 2),
        ("ml.m5.large", 2),
        ("ml.m5.xlarge", 4),
        ("ml.g5.2xlarge", 8),
        ("ml.p4d.24xlarge", 96),
        ("system", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("by_kernel", [True, False])
async def test_a_job_on_one_core_is_seen_without_the_number_of_processors(
    instance_type: str | None, processors: int | None, by_kernel: bool
) -> None:
    """ipykernel 6.11 to 6.14 reports only which part of all processors is used. On a host with
    eight processors a job on one core once looked like an idle host."""
    part = 1 / (processors or 8)
    behind = Behind(KERNEL, k=Usage(0.0, None, part))
    if by_kernel:
        behind.kernels = (replace(KERNEL, instance_type=instance_type),)
    else:
        behind.app = replace(APP, instance_type=instance_type)
    await behind.ask_app()
    answer = await behind.ask_app()
    assert (answer.working, answer.answered) == (bool(processors), bool(processors))
    assert processors is None or answer.cores == pytest.approx(1.0)


async def test_the_answer_of_a_kernel_that_shows_the_most_work_counts() -> None:
    behind = Behind(KERNEL, SECOND, k=Usage(0.0, 0.3), k2=Usage(0.0, 1.0))
    await behind.ask(APP.ref, KERNEL.ref, SECOND.ref)
    answer = (await behind.ask(APP.ref, KERNEL.ref, SECOND.ref))[APP.ref]
    assert (answer.working, answer.low_use) == (True, False)


@pytest.mark.parametrize("usage", [IDLE, SILENT])
async def test_kernel_asked_about_its_app_records_only_the_stamps_of_its_answer(
    usage: Usage,
) -> None:
    """The query did not ask for the kernel's own work, because it did not go to the kernel's
    shell."""
    behind = Behind(KERNEL, k=replace(usage, stamps={Signal.LAST_ACTIVITY: STAMP}))
    await behind.ask_app()
    answer = (await behind.ask(APP.ref))[KERNEL.ref]
    assert answer.stamps == {Signal.LAST_ACTIVITY: STAMP}
    assert not answer.conclusive


@pytest.mark.parametrize("usage", [SILENT, Usage(), Usage(host_cores=1.0)])
async def test_a_kernel_that_reports_no_usage_has_no_answer(usage: Usage) -> None:
    answers = await Behind(KERNEL, k=usage).ask(APP.ref, KERNEL.ref)
    assert [(a.conclusive, a.answered) for a in answers.values()] == [(True, False)] * 2
    assert all(a.detail for a in answers.values())


async def test_a_question_that_fails_does_not_end_the_work_of_an_app() -> None:
    behind = Behind(KERNEL, k=WORKING)
    await behind.app_works()
    behind.usages["k"] = SILENT
    assert (await behind.ask_app()).unread
    behind.usages["k"] = IDLE
    await behind.ask_app()
    ended = await behind.ask_app()
    assert (ended.conclusive, ended.working, ended.unread) == (True, False, False)
    behind.usages["k"] = SILENT
    assert not (await behind.ask_app()).unread


async def test_an_app_without_a_reachable_kernel_has_no_answer() -> None:
    answers = await Behind(KERNEL).ask(APP.ref, KERNEL.ref)
    assert {a.answered for a in answers.values()} == {False}


async def test_resource_that_is_gone_is_not_asked() -> None:
    behind = Behind(KERNEL, k=IDLE)
    assert await behind.ask(Ref(Kind.KERNEL, "gone")) == {}
    assert behind.asked == []


# -- which kernel is asked about its app ---------------------------------------------------------

FIRST_DOES_NOT_REPORT = {
    "silent": (KERNEL, SILENT, ["k", "k2"]),
    "does not say": (KERNEL, Usage(), ["k", "k2"]),
    "dead": (replace(KERNEL, state="dead"), SILENT, ["k2"]),
    "just started": (replace(KERNEL, state="starting"), SILENT, ["k2"]),
    "refused": (replace(KERNEL, refused="HTTP 404"), SILENT, ["k2"]),
    "runs a cell of a client that left": (replace(KERNEL, state="busy"), IDLE, ["k2"]),
}


@pytest.mark.parametrize("name", FIRST_DOES_NOT_REPORT)
async def test_another_kernel_of_the_app_is_asked_if_one_does_not_report(name: str) -> None:
    first, usage, asked = FIRST_DOES_NOT_REPORT[name]
    behind = Behind(first, SECOND, k=usage, k2=WORKING)
    await behind.ask_app()
    assert behind.asked == asked
    assert (await behind.ask_app()).working
    assert behind.asked == ["k2"], "the kernel that reported last is asked first"


async def test_all_other_kernels_are_asked_if_the_first_is_silent() -> None:
    ids = [f"k{number}" for number in range(12)]
    usages = {**dict.fromkeys(ids, SILENT), "k7": WORKING}
    behind = Behind(*(replace(KERNEL, id=i) for i in ids), **usages)
    await behind.app_works()
    behind.usages = {**usages, "k7": SILENT}
    assert (await behind.ask_app()).unread
    assert sorted(behind.asked) == sorted(ids)


NEVER_REPORTS = {
    "dead": replace(KERNEL, state="dead"),
    "terminating": replace(KERNEL, state="terminating"),
    "starting": replace(KERNEL, state="starting"),
    "starting, and its gateway refuses": replace(KERNEL, state="starting", refused="HTTP 404"),
}


@pytest.mark.parametrize("name", NEVER_REPORTS)
async def test_a_kernel_that_does_not_run_keeps_no_app(name: str) -> None:
    """Its app worked. No kernel can report the end of the work, so the app must not stay for
    ever."""
    behind = Behind(KERNEL, k=WORKING)
    await behind.app_works()
    behind.kernels, behind.usages["k"] = (NEVER_REPORTS[name],), SILENT
    answer = await behind.ask_app()
    assert behind.asked == []
    assert (answer.conclusive, answer.answered, answer.unread) == (True, False, False)


MAY_REPORT_LATER = {
    "its gateway refuses": (replace(KERNEL, refused="HTTP 404"), ["k"]),
    "busy, without a client": (replace(KERNEL, state="busy"), []),
    "its shell is silent": (replace(KERNEL, state="busy", shell_silent=True), ["k"]),
}


@pytest.mark.parametrize("name", MAY_REPORT_LATER)
async def test_a_kernel_that_may_report_later_does_not_end_the_work(name: str) -> None:
    """The extension does not query a busy kernel without a client, because its gateway would
    discard the output of the cell."""
    behind = Behind(KERNEL, k=WORKING)
    await behind.app_works()
    kernel, asked = MAY_REPORT_LATER[name]
    behind.kernels, behind.usages["k"] = (kernel,), SILENT
    answer = await behind.ask_app()
    assert behind.asked == asked
    assert answer.unread or not answer.conclusive
    behind.kernels, behind.usages["k"] = (KERNEL,), SILENT
    assert (await behind.ask_app()).unread, "that the app works is not forgotten"


# -- what an answer covers -----------------------------------------------------------------------


async def test_the_first_answer_of_another_kernel_does_not_end_the_work() -> None:
    """The first host_cpu_percent of a process is zero, whatever its host does."""
    behind = Behind(KERNEL, SECOND, k=WORKING, k2=IDLE)
    await behind.app_works()
    behind.kernels = (SECOND,)
    assert not (await behind.ask_app()).conclusive
    behind.usages["k2"] = SILENT
    assert (await behind.ask_app()).unread
    behind.usages["k2"] = WORKING
    assert (await behind.ask_app()).working


async def test_an_answer_covers_the_time_since_the_previous_answer_of_that_kernel() -> None:
    """The kernel reports 0.3 cores over two minutes, in which the app was asked through another
    kernel, and then none over one minute."""
    behind = Behind(KERNEL, SECOND, k=IDLE, k2=IDLE)
    await behind.ask(APP.ref, KERNEL.ref, SECOND.ref)
    await behind.ask_app()
    assert behind.asked == ["k"]
    behind.kernels, behind.usages["k2"] = (SECOND,), Usage(0.0, 0.3)
    await behind.ask(SECOND.ref)
    behind.usages["k2"] = IDLE
    answer = await behind.ask_app()
    assert (answer.conclusive, answer.cores) == (True, pytest.approx(0.2))


async def test_the_first_answer_after_a_restart_of_the_kernel_does_not_end_the_work() -> None:
    behind = Behind(KERNEL, k=replace(WORKING, process_id=7))
    await behind.app_works()
    behind.usages["k"] = replace(IDLE, process_id=8)
    assert not (await behind.ask_app()).conclusive
    behind.usages["k"] = replace(WORKING, process_id=8)
    assert (await behind.ask_app()).working
