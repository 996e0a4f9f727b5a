"""Evidence of work in a set of processes: what they used between two samples of their counters.

Processor time shows most work. A job that waits for the network or for another machine uses almost
none, so three more kinds count: bytes read and written, child processes that started or ended, and
open connections to another host. process_counters.py reads the counters. docs/decisions/006 has the
measurements for the thresholds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field

from ..core.marks import STUCK_CPU
from ..core.translatable import Text, sentence
from .host_processors import processors
from .process_counters import Reading, Sample

#: Processor time that is work, in cores. An idle Python kernel uses under 0.001.
WORK_CORES = 0.03

#: The same for a whole host in another container, where agents and drivers use processor time, too.
HOST_CORES = 0.25

#: The part of a large host's processors that its agents and drivers may use, and the most that
#: this allows, in cores. A job that uses one whole core is work on each host.
HOST_PART = 0.005
MOST_HOST_CORES = 0.9

#: Processor time of a whole host, in cores, below which only its agents and drivers may work. A job
#: that uses one whole core is above it on up to 200 processors, although a kernel reports the use
#: of its host in steps of 0.1 % of all processors.
LOW_HOST_CORES = 0.9

#: The same for all processes in this server's own container that belong to no job: supervisors,
#: agents, language servers, processes that extensions of this server started.
CONTAINER_CORES = 0.10

#: Processor time of one process, in cores, below which it may only wait in a loop. The processes of
#: an idle dask cluster use 0.03 to 0.04 each.
LOW_CORES = 0.05

#: What the scheduler of an idle cluster may use in addition for each worker: processor time in
#: cores, and bytes a second. An idle dask scheduler with 24 workers uses 0.039 to 0.074 cores, and
#: moves 59 to 107 KB/s.
LOW_CORES_FOR_WORKER = 0.0015
LOW_BYTES_FOR_WORKER = 4 * 1024

#: Bytes a second that one process moves, and writes, below which it may only wait. A kernel with
#: the scheduler of an idle dask cluster moves 17 KB, and writes 16 to 30 bytes.
LOW_BYTES = 64 * 1024
LOW_WRITTEN = 64

#: The part of this host's processors below which a group of processes may only wait, if each of
#: them waits. If the group uses more, each may compute on a small share of a processor. An idle
#: cluster with one worker for each processor uses 0.03 to 0.04.
LOW_PART = 0.25

#: Bytes a second that are work (an upload, a copy). A JupyterLab server that serves one open page
#: moves a fifth of it.
WORK_BYTES = 256 * 1024

#: Bytes in one window that are a sign of life, which is weak evidence: for example a request to a
#: remote API every minute. An idle kernel reads and writes less.
LIFE_BYTES = 2 * 1024

#: Bytes that a JVM reads and writes in a minute while it only waits. The JVM of an idle Spark
#: session reads 11 to 19 KB and writes at most 16 bytes.
JVM_READS = 30 * 1024
JVM_WRITES = 64

#: The bytes that a kernel writes at most for an answer to ``usage_request``. ipykernel 7.4 writes
#: 40 to 112.
ANSWER_WRITES = 256

#: No window begins with a sample that is older (seconds): its average would hide the end of work.
OLDEST = 15 * 60.0


def host_cores_of_work(cpu_count: float) -> float:
    """Processor time of a whole host with ``cpu_count`` processors that is work, in cores."""
    return max(HOST_CORES, min(HOST_PART * cpu_count, MOST_HOST_CORES))


@dataclass(frozen=True)
class Use:
    """What a set of processes used over a window of ``seconds``."""

    seconds: float
    cores: float
    bytes: int
    children: bool
    #: Whether the bytes of one of the processes cannot be read.
    is_hidden: bool = False
    #: What the two processes with the largest use of the processor used, in cores.
    busiest: float = 0.0
    second: float = 0.0
    #: The bytes of the process that moved the most, and of the process that wrote the most.
    most_moved: int = 0
    most_written: int = 0
    #: The part of the bytes that JVMs have moved while they only waited, and that kernels have
    #: moved to answer clients that poll.
    explained: int = 0
    #: The number of processes that used at least 1 % of a core.
    active: int = 0

    @property
    def bytes_per_second(self) -> float:
        return self.bytes / self.seconds

    def is_work(self, enough_cores: float = WORK_CORES) -> bool:
        """Whether only work explains this use."""
        return self.cores >= enough_cores or self.bytes_per_second >= WORK_BYTES or self.children

    @property
    def is_sign_of_life(self) -> bool:
        """Whether this use may be work, but may also be, for example, an idle connection."""
        return self.bytes - self.explained >= LIFE_BYTES

    @property
    def is_low(self) -> bool:
        """Whether no process does more than wait in a loop, as the workers of an idle cluster do:
        each uses the processor a little, and none writes or starts another process. One of them,
        the scheduler, may use more for each of the others. Their number does not count, but
        together they must leave most of the host unused."""
        workers = max(self.active - 1, 0)
        low_bytes = LOW_BYTES + LOW_BYTES_FOR_WORKER * workers
        return (
            self.busiest < LOW_CORES + LOW_CORES_FOR_WORKER * workers
            and self.second < LOW_CORES
            and self.cores < LOW_PART * processors()
            and self.most_moved < low_bytes * self.seconds
            and self.most_written < LOW_WRITTEN * self.seconds
            and not self.children
            and not self.is_hidden
        )

    @property
    def may_be_idle_cluster(self) -> bool:
        """Whether several processes wait in a loop, and no process does more."""
        return self.is_low and self.active > 1

    @property
    def text(self) -> Text:
        """The use in words that follow the name of the processes: ``used 11% of a core``."""
        cores, kilobytes = f"{self.cores:.0%}", f"{self.bytes_per_second / 1024:.0f}"
        if self.bytes_per_second < WORK_BYTES:
            if self.children:
                return sentence("used %1 of a core, started other processes", cores)
            return sentence("used %1 of a core", cores)
        if self.children:
            return sentence(
                "used %1 of a core, moved %2 KiB/s, started other processes", cores, kilobytes
            )
        return sentence("used %1 of a core, moved %2 KiB/s", cores, kilobytes)


def use_between(
    before: Sample, after: Sample, seconds: float, judged: Collection[Hashable] | None = None
) -> Use:
    """The use from one sample to the next, summed over the ``judged`` processes (None: all). A new
    process counts in full. A process that has ended counts in the counters of the ancestor that
    waited for it, with its use since ``before``."""
    nothing = Reading()
    inherited = _inherited(before, after)
    cpu, busiest, second, moved, children, hidden = 0.0, 0.0, 0.0, 0, False, False
    explained, active, most_moved, most_written = 0, 0, 0, 0
    for key, reading in after.items():
        if judged is not None and key not in judged:
            continue
        known = before.get(key)
        children = children or known is None or reading.child_faults > known.child_faults
        hidden = hidden or reading.is_hidden
        known = known or nothing
        own = max(0.0, reading.cpu - known.cpu - inherited.get(key, 0.0))
        cpu, busiest, second = cpu + own, max(busiest, own), max(second, min(busiest, own))
        active += own >= STUCK_CPU * seconds
        used = reading.since(known)
        moved, most_moved = moved + used.bytes, max(most_moved, used.bytes)
        most_written = max(most_written, used.written)
        explained += _explained(used, seconds)
    return Use(
        seconds,
        cpu / seconds,
        moved,
        children,
        hidden,
        busiest / seconds,
        second / seconds,
        most_moved,
        most_written,
        explained,
        active,
    )


def _explained(used: Reading, seconds: float) -> int:
    """The part of the bytes that a process moved in ``seconds`` although it did no work."""
    if used.is_jvm and _only_waits(used, seconds):
        return used.bytes
    if not used.answers:
        return 0
    answers = used.answers + 1  # the last one may not be counted yet
    read = min(used.bytes - used.written, answers * used.answer_reads)
    return read + min(used.written, answers * ANSWER_WRITES)


def _only_waits(used: Reading, seconds: float) -> bool:
    """Whether a JVM moves no more bytes in ``seconds`` than one that waits for a person."""
    minutes = max(seconds, 60.0) / 60.0
    read = used.bytes - used.written
    return read <= JVM_READS * minutes and used.written <= JVM_WRITES * minutes


def _inherited(before: Sample, after: Sample) -> dict[Hashable, float]:
    """Processor seconds by process that its ended descendants had already used at ``before``.

    Whoever waits for a process takes over its processor time of hours in one moment. That is the
    parent, or for an orphan process 1 (or another ancestor that adopts orphans). So the time goes
    to the nearest living ancestors, and to each at most the time that it took over meanwhile.
    """
    inherited: dict[Hashable, float] = {}
    for key in before.keys() - after.keys():
        left, ancestor = before[key].cpu, before[key].parent
        passed = {key}
        while left > 0 and ancestor in before and ancestor not in passed:
            passed.add(ancestor)
            known = before[ancestor]
            if ancestor in after:
                had = inherited.get(ancestor, 0.0)
                taken = min(left, max(0.0, after[ancestor].waited - known.waited - had))
                inherited[ancestor] = had + taken
                left -= taken
            ancestor = known.parent
    return inherited


@dataclass
class Gauge:
    """The samples of one resource over a sliding window. Times in seconds, monotonic."""

    samples: deque[tuple[float, Sample]] = field(default_factory=deque)

    def add(
        self, at: float, sample: Sample, window: float, judged: Collection[Hashable] | None = None
    ) -> Use | None:
        """Add a sample. Returns the use over the last ``window`` seconds (or somewhat more), or
        None while the samples cover less time. ``judged`` are the processes of the sample that
        count (None: all). The others are sampled, too, because they may count later."""
        while self.samples and at - self.samples[0][0] > max(OLDEST, 2 * window):
            self.samples.popleft()
        # A timer may fire a moment early. Do not wait for another window then.
        while len(self.samples) > 1 and at - self.samples[1][0] >= window * 0.95:
            self.samples.popleft()
        self.samples.append((at, sample))
        begin, base = self.samples[0]
        if at - begin < window * 0.95:
            return None
        return use_between(base, sample, at - begin, judged)

    def leave_out(self, used: Sample) -> None:
        """Do not count what these processes used for an answer to this extension."""
        self.samples = deque(
            (at, {k: r.plus(used[k]) if k in used else r for k, r in sample.items()})
            for at, sample in self.samples
        )
