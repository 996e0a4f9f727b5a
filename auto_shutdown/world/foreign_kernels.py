"""Kernels on this host that other programs started: papermill, nbclient, ``nbconvert --execute``,
jupyter-scheduler, an IDE, a second Jupyter server. This server's kernel manager does not list them.

This module finds each by the connection file on its command line, or by the connection file in a
runtime directory on whose ports it listens (listening_kernels.py), and asks its shell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core.translatable import Text, sentence
from . import proc_files
from .file_remedies import TOO_MANY_OPEN
from .foreground import program_name
from .listening_kernels import ListeningKernel
from .processes import Process, Table
from .shell_probe import Connection, ShellAnswer, ask_shells, read_connection_file

#: The default name of a connection file (jupyter_client).
USUAL_NAME = "kernel-"

#: After this time a kernel has written its connection file (seconds). Its start may be slow.
SETTLED_SECONDS = 300.0


@dataclass(frozen=True)
class ForeignKernel:
    """A kernel that another program (``program``) started. If it cannot be asked, ``connection`` is
    None and ``failure`` says why."""

    process: Process
    path: Path
    program: str
    #: Contains the key that signs the kernel's messages.
    connection: Connection | None = field(compare=False, repr=False)
    failure: str = ""

    @property
    def kernel_id(self) -> str:
        """The kernel's id, if the connection file has its default name."""
        name = self.path.stem
        return name[len(USUAL_NAME) :] if name.startswith(USUAL_NAME) else name

    def __str__(self) -> str:
        of = f" of {self.program}" if self.program else ""
        return f"a kernel{of} (process {self.process.pid})"

    @property
    def runs_a_cell(self) -> Text:
        """The words that say that it runs a cell."""
        pid = self.process.pid
        if self.program:
            return sentence("a kernel of %1 (process %2) runs a cell", self.program, pid)
        return sentence("a kernel (process %1) runs a cell", pid)


class OtherFiles:
    """The JSON files on command lines that are no connection files: the configuration of a program,
    its results. They may be on a slow file system. ``now`` is monotonic seconds.

    A kernel may write its connection file after its start, so a file is opened at each look for
    :data:`SETTLED_SECONDS`."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since: dict[tuple[tuple[int, int], Path], float] = {}

    def note(self, process: Process, path: Path, is_other: bool) -> None:
        """Note whether a file that this process names is no connection file."""
        if is_other:
            self._since.setdefault((process.key, path), self._now())
        else:
            self._since.pop((process.key, path), None)

    def has(self, process: Process, path: Path) -> bool:
        """Whether this file need not be opened again."""
        since = self._since.get((process.key, path))
        return since is not None and self._now() - since >= SETTLED_SECONDS

    def forget_except(self, table: Table) -> None:
        """Drop what is known of processes that have ended."""
        keys = {process.key for process in table.values()}
        self._since = {known: at for known, at in self._since.items() if known[0] in keys}


def find(
    table: Table,
    own_pids: Collection[int],
    own_ids: Collection[str],
    arguments: Callable[[int], Sequence[str]] = proc_files.read_arguments,
    other_files: OtherFiles | None = None,
    listening: Iterable[ListeningKernel] = (),
) -> list[ForeignKernel]:
    """The kernels that are not this server's: neither one of ``own_pids`` nor with the connection
    file of one of ``own_ids``. Files that are known to ``other_files`` are not opened again.
    ``listening`` are those that were found by their sockets. Raises OSError when no file descriptor
    is left."""
    other_files = other_files or OtherFiles()
    other_files.forget_except(table)
    found: dict[Path, ForeignKernel] = {}
    for process in table.values():
        if process.pid in own_pids or process.has_ended:
            continue
        words = arguments(process.pid)
        for path in _json_files(process.pid, words):
            if other_files.has(process, path):
                continue
            kernel = _kernel(table, process, path, words, arguments)
            other_files.note(process, path, is_other=kernel is None)
            # A launcher (conda run) names the same file as the kernel that it started.
            if kernel is not None and kernel.kernel_id not in own_ids:
                found[path] = kernel
    known = {kernel.process.pid for kernel in found.values()}.union(own_pids)
    for process, path, connection in listening:
        if process.pid in known or path in found:
            continue
        if connection is None and _json_files(process.pid, arguments(process.pid)):
            continue  # the command line names its connection file
        program = _started_by(table, process, arguments)
        failure = "" if connection is not None else "its runtime directory cannot be read"
        found[path] = ForeignKernel(process, path, program, connection, failure)
    return list(found.values())


def ask(kernels: Sequence[ForeignKernel], seconds: float) -> Mapping[ForeignKernel, ShellAnswer]:
    """Ask their shells, all at once (:func:`~auto_shutdown.world.shell_probe.ask_shells`). This
    server does not see their requests, so a cell may run in any of their subshells."""
    askable = {k.path: k.connection for k in kernels if k.connection is not None}
    answers = ask_shells(askable, seconds, every_subshell=True) if askable else {}
    return {k: answers.get(k.path, ShellAnswer(False, k.failure)) for k in kernels}


def _json_files(pid: int, words: Sequence[str]) -> list[Path]:
    """The JSON files that a command line names (``-f FILE``, ``--option=FILE``, ``FILE``)."""
    paths = []
    for word in words[1:]:
        name = word.rpartition("=")[2]
        if name.endswith(".json"):
            path = Path(name)
            if not path.is_absolute():
                directory = proc_files.working_directory(pid)
                if directory is None:
                    continue  # the process belongs to another user, or has ended
                path = Path(directory) / path
            paths.append(path)
    return paths


def _kernel(
    table: Table,
    process: Process,
    path: Path,
    words: Sequence[str],
    arguments: Callable[[int], Sequence[str]],
) -> ForeignKernel | None:
    program = _started_by(table, process, arguments)
    try:
        connection = read_connection_file(path)
    except OSError as error:
        if error.errno in TOO_MANY_OPEN:
            raise
        failure = f"its connection file cannot be read ({type(error).__name__})"
    except ValueError:  # it is being written, for example
        failure = "its connection file cannot be understood"
    else:
        if connection is not None:
            return ForeignKernel(process, path, program, connection)
        failure = "its connection file does not name its channels"
    # Any other JSON file is no connection file.
    is_kernel = path.name.startswith(USUAL_NAME)
    return ForeignKernel(process, path, program, None, failure) if is_kernel else None


def _started_by(table: Table, process: Process, arguments: Callable[[int], Sequence[str]]) -> str:
    """The program that started this process (empty: it is not known)."""
    parent = table.get(process.parent)
    return program_name(arguments(parent.pid)) if parent is not None and parent.pid > 1 else ""
