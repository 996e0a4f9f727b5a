"""Read the counters of processes: processor time, bytes read and written, children that have ended.

evidence.py compares two samples of these counters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace

from . import proc_files
from .host_processors import processors
from .proc_files import Transferred
from .processes import Process

#: The name of a Java virtual machine (``comm``). It reads files of the system while it waits.
JVM = "java"

#: The bytes that a kernel reads at most to answer one ``usage_request``: in any case, for each
#: processor and for each process of this host, and for each of its own processes. ipykernel 7.4
#: reads 7,000 on a host with two processors, 300 and 2,800.
ANSWER_READS = 16 * 1024
ANSWER_READS_FOR_PROCESSOR = 1024
ANSWER_READS_FOR_PROCESS = 512
ANSWER_READS_FOR_MEMBER = 4 * 1024


@dataclass(frozen=True)
class Reading:
    """The counters of one process since it started: processor seconds, bytes read and written, and
    page faults of the children that have ended. ``is_hidden``: the bytes cannot be read, because it
    is the process of another user. ``waited`` is the part of the processor time that belongs to
    children that have ended. ``parent`` is the key of the parent's reading in the sample (None: the
    sample does not contain it). ``written`` is the part of the bytes that the process has
    written. ``is_jvm``: the process is a Java virtual machine. ``answers`` is the number of times
    that clients have asked the process, a kernel, for its use of the host (``usage_request``), and
    ``answer_reads`` the bytes that one answer reads at most."""

    cpu: float = 0.0
    bytes: int = 0
    child_faults: int = 0
    is_hidden: bool = False
    waited: float = 0.0
    parent: Hashable = None
    written: int = 0
    is_jvm: bool = False
    answers: int = 0
    answer_reads: int = 0

    def plus(self, used: Reading) -> Reading:
        return replace(
            self,
            cpu=self.cpu + used.cpu,
            bytes=self.bytes + used.bytes,
            child_faults=self.child_faults + used.child_faults,
            written=self.written + used.written,
        )

    def since(self, before: Reading) -> Reading:
        """What was used since ``before``."""
        return Reading(
            max(0.0, self.cpu - before.cpu),
            max(0, self.bytes - before.bytes),
            max(0, self.child_faults - before.child_faults),
            written=max(0, self.written - before.written),
            is_jvm=self.is_jvm,
            answers=max(0, self.answers - before.answers),
            answer_reads=self.answer_reads,
        )

    def at_most(self, most: Reading) -> Reading:
        return Reading(
            min(self.cpu, most.cpu),
            min(self.bytes, most.bytes),
            min(self.child_faults, most.child_faults),
            written=min(self.written, most.written),
        )


#: What the answer to a question of this extension costs a kernel at most: an R kernel reads 3 KB.
DEAREST_ANSWER = Reading(cpu=0.1, bytes=64 * 1024, written=64 * 1024)

Sample = Mapping[Hashable, Reading]


def sample_of(
    members: Iterable[Process],
    read_io: Callable[[int], Transferred | None] = proc_files.read_io,
    is_of_another_user: Callable[[int], bool] = proc_files.is_of_another_user,
) -> Sample:
    """The counters of ``members`` now. Raises OSError when they cannot be read."""
    alive = [process for process in members if not process.has_ended]
    sample = processor_sample(alive)
    for process in alive:
        moved = read_io(process.pid)
        # Some own processes hide their bytes, too, and are no jobs (ssh-agent).
        hidden = moved is None and is_of_another_user(process.pid)
        read, written = moved or (0, 0)
        sample[process.key] = replace(
            sample[process.key],
            bytes=read + written,
            written=written,
            is_hidden=hidden,
            is_jvm=process.command == JVM,
        )
    return sample


def with_answers(sample: Sample, kernel: Process, answers: int, processes: int) -> Sample:
    """The ``sample`` of a kernel's processes, with the number of ``answers`` that the kernel has
    given to clients that asked for its use of this host, which has ``processes``."""
    if kernel.key not in sample:
        return sample
    reads = (
        ANSWER_READS
        + int(ANSWER_READS_FOR_PROCESSOR * processors())
        + ANSWER_READS_FOR_PROCESS * processes
        + ANSWER_READS_FOR_MEMBER * len(sample)
    )
    reading = replace(sample[kernel.key], answers=answers, answer_reads=reads)
    return {**sample, kernel.key: reading}


def processor_sample(members: Collection[Process]) -> dict[Hashable, Reading]:
    """The processor time and the ended children of ``members``. It reads no further file."""
    keys = {process.pid: process.key for process in members}
    return {
        process.key: Reading(
            process.cpu,
            child_faults=process.child_faults,
            waited=process.waited,
            parent=keys.get(process.parent),
        )
        for process in members
    }
