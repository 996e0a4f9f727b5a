"""What the world package observes: kernels, terminals, apps, and the snapshot of them all.

All values are frozen. Instants are aware UTC, durations ``timedelta``. Names are those of Jupyter
and SageMaker.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Union

from .ref import EVERYTHING as EVERYTHING
from .ref import Kind as Kind
from .ref import Ref as Ref
from .signals import Signal

#: The only app type that this extension deletes in Studio Classic. A JupyterServer app is free, and
#: this extension runs in it. The other types belong to tools whose work it cannot observe.
KERNEL_GATEWAY = "KernelGateway"

#: App types that cost nothing while they run.
FREE_APP_TYPES = frozenset({"JupyterServer", "RStudioServerPro"})

IN_SERVICE = "InService"


@dataclass(frozen=True)
class IOPubActivity:
    """When the IOPub channel of a kernel last showed a request, and last output (None: never)."""

    request_at: datetime | None = None
    output_at: datetime | None = None

    @property
    def stamps(self) -> Mapping[str, datetime]:
        return _known({Signal.REQUEST: self.request_at, Signal.OUTPUT: self.output_at})


def _known(stamps: Mapping[str, datetime | None]) -> dict[str, datetime]:
    return {signal: at for signal, at in stamps.items() if at is not None}


@dataclass(frozen=True)
class Kernel:
    """One kernel, from its kernel manager's report and its messages.

    - ``state``: ``busy`` while the kernel manager reports that or a request to the kernel has not
      finished (see :mod:`auto_shutdown.world.requests`).
    - ``last_activity``: the stamp exactly as reported (None: not reported).
    - ``app``: the id of the app in which the kernel runs (None: on the server's own host).
    - ``unreadable``: why the kernel's model could not be read. Then only ``id`` is valid.
    - ``iopub``: the activity on its IOPub channel (None: this server cannot read that channel).
    - ``waiting_for``: ``input`` or ``debugger`` while the kernel is busy only because it waits for
      a person.
    - ``shell_silent``: the shell channel did not answer the last query, so a cell may be running.
    - ``refused``: why the kernel's gateway refuses each connection, so that nobody can ask whether
      a cell runs (empty: it does not refuse).
    - ``own_limit``: the ``cull_idle_timeout`` of the kernelspec's metadata.
    - ``heartbeat_at``: when a heartbeat file that covers the kernel was last touched.
    - ``request_sent_at``: when a client of this server last sent a request that counts as activity.
      It precedes the kernel's own report, and is also known for a kernel behind a gateway.
    """

    id: str
    name: str = ""
    state: str = "unknown"
    last_activity: datetime | None = None
    connections: int = 0
    app: str | None = None
    instance_type: str | None = None
    image: str | None = None
    paths: tuple[str, ...] = ()
    unreadable: str | None = None
    iopub: IOPubActivity | None = None
    waiting_for: str | None = None
    shell_silent: bool = False
    refused: str = ""
    own_limit: timedelta | None = None
    heartbeat_at: datetime | None = None
    request_sent_at: datetime | None = None

    @cached_property
    def ref(self) -> Ref:
        return Ref(Kind.KERNEL, self.id)

    @property
    def request_at(self) -> datetime | None:
        """When the kernel last got a request that counts as activity, from either source."""
        iopub_at = self.iopub.request_at if self.iopub is not None else None
        return max((at for at in (iopub_at, self.request_sent_at) if at is not None), default=None)

    @property
    def waits_alone(self) -> bool:
        """Whether the kernel waits for a person, and no client is connected."""
        return self.waiting_for is not None and self.connections == 0

    @cached_property
    def stamps(self) -> Mapping[str, datetime]:
        """The evidence of activity, by signal.

        The IOPub messages replace ``last_activity``, which moved on every reconnect before
        jupyter_server 2.15.
        """
        others = {Signal.HEARTBEAT: self.heartbeat_at, Signal.REQUEST: self.request_at}
        if self.iopub is not None:
            return _known({**self.iopub.stamps, **others})
        return _known({Signal.LAST_ACTIVITY: self.last_activity, **others})


@dataclass(frozen=True)
class Terminal:
    """One terminal of the server.

    An *image terminal* (``environment`` set) runs inside a KernelGateway app, and this server only
    lists it. ``app`` is the id of that app (None: not known). ``running_job`` is the name of the
    command in the foreground (None: an idle prompt). ``only_shows``: that command displays
    something to a person (a pager, ``top``), so its output is no work. ``unreadable`` and
    ``heartbeat_at`` are as for kernels. ``input_at`` and ``output_at`` are when the terminal's
    device was last read and written (None: not known).
    """

    id: str
    last_activity: datetime | None = None
    input_at: datetime | None = None
    output_at: datetime | None = None
    running_job: str | None = None
    only_shows: bool = False
    heartbeat_at: datetime | None = None
    environment: str | None = None
    app: str | None = None
    instance_type: str | None = None
    unreadable: str | None = None

    @cached_property
    def ref(self) -> Ref:
        return Ref(Kind.TERMINAL, self.id)

    @property
    def name(self) -> str:
        return self.id

    @property
    def stamps(self) -> Mapping[str, datetime]:
        """The evidence of activity, by signal.

        ``last_activity`` moves with input and with output. Where ``input_at`` is known,
        ``last_activity`` counts as output only.
        """
        heartbeat = {Signal.HEARTBEAT: self.heartbeat_at}
        if self.input_at is None:
            return _known({Signal.LAST_ACTIVITY: self.last_activity, **heartbeat})
        output_at = self.last_activity or self.output_at
        return _known({Signal.INPUT: self.input_at, Signal.OUTPUT: output_at, **heartbeat})

    @property
    def in_image(self) -> bool:
        return self.environment is not None


@dataclass(frozen=True)
class App:
    """One SageMaker app of this server's domain and owner, as ListApps reports it.

    ``type`` and ``status`` are strings, not enums, because SageMaker adds new values. ``own``: this
    server runs in the app. ``stamps`` is the evidence of activity of the app as a whole, by signal.
    ``shared``: another Jupyter server may have kernels in the app that this server does not see.
    """

    type: str
    name: str
    status: str
    instance_type: str | None = None
    image: str | None = None
    created_at: datetime | None = None
    own: bool = False
    stamps: Mapping[str, datetime] = field(default_factory=dict, hash=False)
    shared: bool = False

    @cached_property
    def id(self) -> str:
        # A name is unique only within its type: many apps are named "default".
        return f"{self.type}/{self.name}"

    @cached_property
    def ref(self) -> Ref:
        return Ref(Kind.APP, self.id)

    @property
    def billing(self) -> bool:
        """Whether SageMaker bills the instance of this app. Billing starts at InService and ends
        when the last app is deleted, so it continues during ``Deleting``."""
        return self.type not in FREE_APP_TYPES and self.status in (IN_SERVICE, "Deleting")


Resource = Union[Kernel, Terminal, App]


@dataclass(frozen=True)
class Program:
    """A program in the server's own app that no kernel or terminal of this server shows.

    It is a *kernel* that another program started (papermill, an IDE), or a program in the
    foreground of a *terminal* that another program opened (a pane of tmux, an IDE). It keeps the
    app while it works. This extension never ends it by itself.

    - ``id``: unique on this host while the program runs; no process id.
    - ``kind``: ``kernel`` or ``terminal``.
    - ``name``: the name of the command, without its arguments.
    - ``started_by``: for a kernel, the name of the program that started it (empty: not known).
    - ``state``: of a kernel ``busy``, ``idle`` or ``unanswered`` by the last answer of its shell,
      ``running`` without a recent answer; of a terminal's program always ``running``.
    - ``started_at``: when its process started (None: not known).
    - ``quiet_since``: since when it has shown no sign of work, and nobody has typed.
    - ``printed_at``: when it last printed (None: not known, or it only displays something).
    """

    id: str
    kind: str
    name: str
    started_by: str = ""
    state: str = "running"
    started_at: datetime | None = None
    quiet_since: datetime | None = None
    printed_at: datetime | None = None


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


@dataclass(frozen=True)
class Unread:
    """Why a source could not be read. ``source`` is a name such as ``Snapshot.KERNELS``."""

    source: str
    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Departure:
    """A kernel or terminal that ended since the previous pass and was last used ``at``.

    That use counts for ``app`` (None: the server's own host; with ``anywhere``: every app).
    """

    app: str | None
    at: datetime
    signal: str
    anywhere: bool = False


@dataclass(frozen=True)
class Snapshot:
    """All resources, as one pass read them.

    ``unread`` names each source that could not be read. The snapshot then repeats the resources
    that the source gave last, so that people still see them. ``programs`` run beside the kernels
    and terminals in the server's own app.
    """

    kernels: tuple[Kernel, ...] = ()
    terminals: tuple[Terminal, ...] = ()
    apps: tuple[App, ...] = ()
    unread: Mapping[str, Unread] = field(default_factory=dict)
    departures: tuple[Departure, ...] = ()
    programs: tuple[Program, ...] = ()

    KERNELS = "kernels"
    SESSIONS = "sessions"
    TERMINALS = "terminals"
    APPS = "apps"

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        return (*self.kernels, *self.terminals, *self.apps)

    def find(self, ref: Ref) -> Resource | None:
        return next((r for r in self.resources if r.ref == ref), None)

    def with_kernels(self, kernels: Iterable[Kernel]) -> Snapshot | None:
        """This snapshot with ``kernels`` in the place of those of the same id. None if one of them
        was not there, was or is unreadable, or is in another app now."""
        fresh = {kernel.id: kernel for kernel in kernels}
        for before in (kernel for kernel in self.kernels if kernel.id in fresh):
            kernel = fresh[before.id]
            if before.unreadable or kernel.unreadable or before.app != kernel.app:
                return None
        if not fresh.keys() <= {kernel.id for kernel in self.kernels}:
            return None
        return replace(self, kernels=tuple(fresh.get(k.id, k) for k in self.kernels))

    def part(self, kernel_ids: Collection[str]) -> Snapshot:
        """These kernels, their apps, and the terminals in those apps."""
        kernels = tuple(kernel for kernel in self.kernels if kernel.id in kernel_ids)
        apps = {kernel.app for kernel in kernels if kernel.app is not None}
        return Snapshot(
            kernels,
            tuple(terminal for terminal in self.terminals if terminal.app in apps),
            tuple(app for app in self.apps if app.id in apps),
        )

    def bearing_on(self, ref: Ref) -> Snapshot:
        """The part of the snapshot that is needed to decide on ``ref`` again.

        For an app this includes the kernels and terminals in it, and every kernel that cannot be
        read, because that kernel may run in any app.
        """
        if ref.kind is not Kind.APP:
            return replace(
                self,
                kernels=tuple(k for k in self.kernels if k.ref == ref),
                terminals=tuple(t for t in self.terminals if t.ref == ref),
                apps=(),
            )
        return replace(
            self,
            kernels=tuple(k for k in self.kernels if k.app == ref.id or k.unreadable),
            terminals=tuple(t for t in self.terminals if t.app == ref.id),
            apps=tuple(a for a in self.apps if a.ref == ref),
        )
