"""The programs that do background work, and the answers to the queries for it.

*Background work* is work that neither the state of a kernel nor the command in the foreground of a
terminal shows. All values are frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from .ref import Ref


@dataclass(frozen=True)
class Program:
    """A program in the server's own app that runs in no kernel or terminal of this server.

    It is a *kernel* that another program started (papermill, an IDE), or a program in the
    foreground of a *terminal* that another program opened (a pane of tmux, an IDE). It keeps the
    app while it works. This extension never ends it by itself.

    - ``id``: unique on this host while the program runs; no process id.
    - ``kind``: ``kernel`` or ``terminal``.
    - ``name``: the name of the command, without its arguments.
    - ``started_by``: for a kernel, the name of the program that started it (empty: not known).
    - ``state``: for a kernel, ``busy``, ``idle`` or ``unanswered`` after the last query of its
      shell, and ``running`` without a recent query; for a terminal's program always ``running``.
    - ``started_at``: when its process started (None: not known).
    - ``quiet_since``: since when it has shown no sign of work, and nobody has typed.
    - ``printed_at``: when it last printed (None: not known, or it is a program such as ``top`` that
      only displays something).
    - ``io_at``: when it last read or wrote a little data, or had a connection to another host. A
      monitor such as ``vmstat`` and an idle ``ssh`` do so, too (None: not seen).
    - ``io_unknown``: another user runs it or one of its children, so this server cannot see whether
      it reads and writes.
    """

    id: str
    kind: str
    name: str
    started_by: str = ""
    state: str = "running"
    started_at: datetime | None = None
    quiet_since: datetime | None = None
    printed_at: datetime | None = None
    io_at: datetime | None = None
    io_unknown: bool = False


@dataclass(frozen=True)
class Answer:
    """The answer to the query whether ``ref`` does background work.

    - ``conclusive``: the measurement was long enough.
    - ``answered``: False if no answer is possible or none came; ``conclusive`` is True then.
    - ``working``: it does background work; ``detail`` describes it.
    - ``cores``: the processor time that it used, in cores (None: not known).
    - ``stamps``: the kernel's stamps after the query.
    - ``other_client_seen``: another client sent the kernel a request during the query.
    - ``activity``: further evidence of activity, as instants by signal.
    - ``unread``: the evidence could not be read, so ``ref`` is kept.
    - ``programs``: the ids of the programs (:class:`Program`) that are all of its background work.
      Each may only wait for a person. Empty if it does other work.
    - ``worked_at``: the last sign of work of these programs (None: now).
    - ``io_unknown``: another user runs one of its processes (``sudo``), so this server cannot see
      whether that process reads and writes.
    - ``low_use``: all of its work is a low use of the processor without another sign of work. A
      cluster of workers that waits for tasks looks like this.
    """

    ref: Ref
    conclusive: bool
    working: bool = False
    answered: bool = True
    cores: float | None = None
    detail: str = ""
    stamps: Mapping[str, datetime] = field(default_factory=dict, hash=False)
    other_client_seen: bool = False
    activity: Mapping[str, datetime] = field(default_factory=dict, hash=False)
    unread: bool = False
    programs: tuple[str, ...] = ()
    worked_at: datetime | None = None
    io_unknown: bool = False
    low_use: bool = False
