"""Evidence of work in processes: the resources that they used between two samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from auto_shutdown.world import evidence, process_counters, processes
from auto_shutdown.world.background_work import _used
from auto_shutdown.world.evidence import Gauge, Use, use_between
from auto_shutdown.world.proc_files import Transferred
from auto_shutdown.world.process_counters import Reading


class TestGauge:
    def gauge(self, *points: tuple[float, float], window: float = 60.0) -> float | None:
        gauge, use = Gauge(), None
        for at, cpu in points:
            use = gauge.add(at, {"p": Reading(cpu)}, window)
        return None if use is None else use.cores

    def test_answer_is_inconclusive_before_a_whole_window(self) -> None:
        assert self.gauge((0, 0)) is None
        assert self.gauge((0, 0), (30, 30)) is None
        assert self.gauge((0, 0), (60, 30)) == 0.5

    def test_only_work_within_the_window_counts(self) -> None:
        """Work that has ended must not count for ever."""
        assert self.gauge((0, 0), (60, 60), (120, 60)) == 0.0
        assert self.gauge((0, 0), (60, 0), (120, 6)) == pytest.approx(0.1)

    def test_many_looks_within_a_window_give_one_answer(self) -> None:
        points = [(float(second), second / 10) for second in range(0, 200, 5)]
        assert self.gauge(*points) == pytest.approx(0.1)

    def test_window_never_begins_long_ago(self) -> None:
        assert self.gauge((0, 0), (evidence.OLDEST + 1, 600)) is None

    def test_earlier_work_of_a_newly_attributed_process_does_not_count(self) -> None:
        """Its kernel or terminal was removed, and the earlier work counted for that."""
        gauge = Gauge()
        gauge.add(0.0, {1: Reading(5.0, 900)}, 60.0, judged=())
        use = gauge.add(60.0, {1: Reading(5.0, 900)}, 60.0, judged={1})
        assert use == Use(60.0, 0.0, 0, False)

    def test_processor_time_of_an_answer_is_left_out(self) -> None:
        """An R kernel reads 3 KB of files to answer kernel_info_request."""
        gauge, answer = Gauge(), {1: Reading(0.1, 3000, 7)}
        gauge.add(0.0, {1: Reading(1.0, 100), 2: Reading()}, 60.0)
        gauge.leave_out(answer)
        gauge.add(30.0, {1: Reading(1.1, 3100, 7), 2: Reading()}, 60.0)
        gauge.leave_out(answer)
        use = gauge.add(60.0, {1: Reading(1.2, 6150, 14), 2: Reading(0.6)}, 60.0)
        assert use is not None
        assert (use.bytes, use.children, use.is_sign_of_life) == (50, False, False)
        assert use.cores == pytest.approx(0.01)

    def test_no_more_processor_time_is_left_out_than_an_answer_can_cost(self) -> None:
        """A job of the kernel may work while the kernel answers a query."""
        before, after = {1: Reading(1.0, 100, 0)}, {1: Reading(3.0, 10**9, 50, written=10**8)}
        assert _used(before, after) == {1: process_counters.DEAREST_ANSWER}

    @pytest.mark.parametrize(
        ("moved", "of_another", "hidden"),
        [(None, True, True), (None, False, False), ((0, 0), True, False)],
    )
    def test_the_bytes_of_another_users_process_are_unknown(
        self, moved: Any, of_another: bool, hidden: bool
    ) -> None:
        """``sudo nohup aws s3 sync … &`` may upload at 1 % of a core. An ssh-agent of our own
        hides its bytes, too."""
        job = processes.Process(7, 1, 7, -1, 1, 0.0, "aws")
        sample = process_counters.sample_of([job], lambda _pid: moved, lambda _pid: of_another)
        use = use_between(sample, sample, 60.0)
        assert (use.is_hidden, use.is_sign_of_life, use.is_work()) == (hidden, False, False)

    @pytest.mark.parametrize(
        ("command", "read", "written", "seconds", "alive"),
        [
            ("java", 19_000, 16, 60.0, False),  # an idle Spark session
            ("java", 15 * 19_000, 15 * 16, 15 * 60.0, False),
            ("java", 19_000, 16, 10.0, False),  # all reads of a minute fall into these seconds
            ("java", 19_000, 200, 60.0, True),  # a request
            ("java", 40_000, 16, 60.0, True),
            ("python", 3_000, 0, 60.0, True),  # waits for a file of another machine
        ],
    )
    def test_the_reads_of_a_java_virtual_machine_that_waits_are_no_sign_of_life(
        self, command: str, read: int, written: int, seconds: float, alive: bool
    ) -> None:
        process = processes.Process(7, 1, 7, -1, 1, 0.0, command)
        before, after = (
            process_counters.sample_of([process], lambda _pid, moved=moved: Transferred(*moved))
            for moved in ((0, 0), (read, written))
        )
        assert use_between(before, after, seconds).is_sign_of_life is alive

    def test_end_of_a_process_does_not_reduce_the_counted_work(self) -> None:
        before = {(1, 0): Reading(5.0, 100), (2, 0): Reading(50.0, 900)}
        use = use_between(before, {(1, 0): Reading(6.0, 300)}, 1.0)
        assert use == Use(1.0, 1.0, 200, False, busiest=1.0, most_moved=200, active=1)
        less = {(1, 0): Reading(6.0, 100), (2, 0): Reading(49.0, 0)}
        assert use_between(before, less, 1.0) == Use(1.0, 1.0, 0, False, busiest=1.0, active=1)

    def test_new_process_counts_in_full_and_as_a_new_child(self) -> None:
        before = {(1, 0): Reading(5.0), (2, 0): Reading(7.0)}
        another = {(1, 0): Reading(5.0), (2, 9): Reading(1.0, 50)}
        use = use_between(before, another, 1.0)
        expected = Use(1.0, 1.0, 50, True, busiest=1.0, most_moved=50, active=1)
        assert use == expected, "another of that id"

    def test_short_child_between_two_looks_is_counted(self) -> None:
        before, after = {1: Reading(5.0, 0, 10)}, {1: Reading(5.0, 0, 11)}
        assert use_between(before, after, 60.0).children
        assert not use_between(before, before, 60.0).children


class TestInheritedProcessorTime:
    """A process that waits for a child takes over all of the child's processor time in one
    moment."""

    INIT, SHELL, JOB = Reading(50.0, waited=40.0), Reading(1.0, parent="init"), Reading(3600.0)

    def cores(self, before: dict[Any, Reading], after: dict[Any, Reading], **more: Any) -> float:
        return use_between(before, after, 10.0, **more).cores

    @pytest.mark.parametrize(("own", "cores"), [(0.0, 0.0), (5.0, 0.5)])
    def test_an_ended_orphan_counts_with_its_use_in_the_window(
        self, own: float, cores: float
    ) -> None:
        before = {"init": self.INIT, "job": replace(self.JOB, parent="init")}
        init = Reading(50.0 + 3600.0 + own, waited=40.0 + 3600.0 + own)
        assert self.cores(before, {"init": init}) == pytest.approx(cores)
        assert self.cores(before, {"init": init}, judged=["job"]) == 0.0

    def test_a_job_whose_shell_ended_too_is_inherited_by_an_ancestor(self) -> None:
        before = {
            "init": self.INIT,
            "shell": self.SHELL,
            "job": replace(self.JOB, parent="shell"),
        }
        assert self.cores(before, {"init": Reading(3651.0, waited=3641.0)}) == 0.0

    def test_time_that_the_parent_inherits_does_not_hide_work_of_its_ancestor(self) -> None:
        before = {
            "init": self.INIT,
            "shell": self.SHELL,
            "job": replace(self.JOB, parent="shell"),
        }
        shell = Reading(1.0 + 3600.0, waited=3600.0, parent="init")
        after = {"init": Reading(55.0, waited=45.0), "shell": shell}
        assert self.cores(before, after) == pytest.approx(0.5)

    def test_work_of_short_children_beside_it_counts(self) -> None:
        before = {"init": self.INIT, "job": replace(self.JOB, parent="init")}
        after = {"init": Reading(50.0 + 3600.0 + 4.0, waited=40.0 + 3600.0 + 4.0)}
        assert self.cores(before, after) == pytest.approx(0.4)

    def test_own_work_of_the_ancestor_counts(self) -> None:
        """A parent that ignores its children takes over nothing."""
        before = {"init": self.INIT, "job": replace(self.JOB, parent="init")}
        assert self.cores(before, {"init": Reading(55.0, waited=40.0)}) == pytest.approx(0.5)

    def test_an_ancestor_inherits_each_of_two_orphans_once(self) -> None:
        jobs = {name: Reading(10.0, parent="init") for name in ("a", "b")}
        before = {"init": self.INIT, **jobs}
        assert self.cores(before, {"init": Reading(75.0, waited=65.0)}) == pytest.approx(0.5)

    def test_a_parent_that_ended_first_hides_no_other_work(self) -> None:
        before = {"a": Reading(9.0, parent="b"), "b": Reading(9.0, parent="a"), "c": Reading()}
        assert self.cores(before, {"c": Reading(5.0, waited=5.0)}) == pytest.approx(0.5)

    def test_the_readings_of_processes_name_their_parents(self) -> None:
        parent = processes.Process(7, 1, 7, -1, 70, 9.0, "sh", child_faults=3, waited=4.0)
        child = processes.Process(8, 7, 7, -1, 80, 2.0, "job")
        assert process_counters.processor_sample([parent, child]) == {
            parent.key: Reading(9.0, child_faults=3, waited=4.0),
            child.key: Reading(2.0, parent=parent.key),
        }


MIB = 1024 * 1024

#: Measured: a worker of an idle dask cluster, over a minute, and the kernel with its scheduler. The
#: scheduler's use grows with the number of workers (:func:`scheduler`).
WORKER = Reading(cpu=1.98, bytes=220_000)


def scheduler(workers: int) -> Reading:
    return Reading(cpu=2.2 + 0.06 * workers, bytes=900_000 + 170_000 * workers, written=1_800)


@pytest.mark.parametrize(
    ("workers", "host", "low"),
    [(2, 2, True), (24, 24, True), (96, 96, True), (192, 192, True), (24, 2, False)],
)
def test_an_idle_cluster_has_a_low_use_whatever_the_number_of_its_workers(
    workers: int, host: float, low: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "processors", lambda: host)
    after = {"scheduler": scheduler(workers), **dict.fromkeys(range(workers), WORKER)}
    use = use_between(dict.fromkeys(after, Reading()), after, 60.0)
    assert (use.is_low, use.may_be_idle_cluster) == (low, low)
    assert use.is_work()


@pytest.mark.parametrize(
    "job",
    [
        Reading(cpu=3.0 + 48 * 0.0015 * 60),
        Reading(bytes=(64 + 48 * 4) * 1024 * 60),
        Reading(written=64 * 60),
        Reading(child_faults=1),
        Reading(is_hidden=True),
    ],
    ids=str,
)
def test_workers_do_not_hide_a_job_beside_them(
    job: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "processors", lambda: 96)
    after = {"job": job, **dict.fromkeys(range(48), WORKER)}
    assert not use_between(dict.fromkeys(after, Reading()), after, 60.0).is_low


def test_two_jobs_beside_workers_are_no_schedulers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "processors", lambda: 96)
    after = {**dict.fromkeys("ab", Reading(cpu=3.0)), **dict.fromkeys(range(48), WORKER)}
    assert not use_between(dict.fromkeys(after, Reading()), after, 60.0).is_low


def test_processes_that_share_the_processors_of_a_small_host_do_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """48 computing processes on two processors get 0.04 cores each, as an idle worker uses."""
    monkeypatch.setattr(evidence, "processors", lambda: 2)
    after = dict.fromkeys(range(48), Reading(cpu=0.04 * 60))
    assert not use_between(dict.fromkeys(after, Reading()), after, 60.0).is_low


@pytest.mark.parametrize(
    ("use", "work", "life"),
    {
        "nothing": (Use(60, 0.0, 0, False), False, False),
        "an idle kernel": (Use(60, 0.001, 500, False), False, False),
        "a request to a remote API": (Use(60, 0.001, 5000, False), False, True),
        "an idle Spark session": (Use(60, 0.004, 19_000, 0, explained=19_000), 0, 0),
        "a request beside it": (Use(60, 0.004, 22_000, 0, explained=19_000), 0, 1),
        "a Spark job whose tasks wait": (
            Use(60, 0.01, 396_000, False, most_written=24_800),
            False,
            True,
        ),
        "a Spark stream": (Use(60, 0.027, 1_718_000, True, most_written=56_700), True, True),
        "an upload": (Use(60, 0.01, 60 * MIB, False), True, True),
        "a job at 6 % of a core": (Use(60, 0.06, 0, False), True, False),
        "a shell loop": (Use(60, 0.0, 0, True), True, False),
    }.values(),
)
def test_thresholds_of_work_and_of_signs_of_life(use: Use, work: bool, life: bool) -> None:
    assert (use.is_work(), use.is_sign_of_life) == (work, life)
