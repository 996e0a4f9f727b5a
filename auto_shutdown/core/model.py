"""What was observed: kernels, terminals, apps, and the snapshot that holds them.

Plain frozen values. ``stamps`` of a resource is its evidence of activity: an instant for each
signal. What was decided is in :mod:`~auto_shutdown.core.verdict`.

Instants are aware UTC, durations ``timedelta``. Names are Jupyter's and SageMaker's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import cached_property
from typing import NamedTuple, Union

from .signals import Signal

#: The one app type this product deletes on behalf of a Studio Classic user. A JupyterServer app
#: is free and is what we run in; every other type belongs to tools we cannot look into.
KERNEL_GATEWAY = "KernelGateway"

#: App types that cost nothing while they run.
FREE_APP_TYPES = frozenset({"JupyterServer", "RStudioServerPro"})

IN_SERVICE = "InService"


class Kind(str, Enum):
    """What a :class:`Ref` points at. ``ALL`` is used by keep-alives only."""

    KERNEL = "kernel"
    TERMINAL = "terminal"
    APP = "app"
    ALL = "all"

    # Enum's own is Python code, and hashes the name.
    __hash__ = str.__hash__


class Ref(NamedTuple):
    """The name of one resource: a kernel id, a terminal name, or ``AppType/AppName``. A tuple,
    because a pass looks each up a dozen times, and a tuple's hash is not Python code."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.id}"


#: A keep-alive on this one covers everything.
EVERYTHING = Ref(Kind.ALL, "all")


@dataclass(frozen=True)
class IOPubActivity:
    """When the IOPub channel of a kernel last showed a request, and last output; None: never."""

    request_at: datetime | None = None
    output_at: datetime | None = None

    @property
    def stamps(self) -> Mapping[str, datetime]:
        return _known({Signal.REQUEST: self.request_at, Signal.OUTPUT: self.output_at})


def _known(stamps: Mapping[str, datetime | None]) -> dict[str, datetime]:
    return {signal: at for signal, at in stamps.items() if at is not None}


@dataclass(frozen=True)
class Kernel:
    """One kernel, by what its manager reports and what is known of its messages.

    ``state`` is ``busy`` while its manager says so or a request of it has not finished (see
    :mod:`auto_shutdown.world.requests`). ``last_activity`` is the stamp exactly as reported (None:
    not reported); ``app`` is the id of the app it runs in (None: in the server's own host);
    ``unreadable`` says why its model could not be read, and then nothing else but the id is to be
    believed. ``iopub`` is what its IOPub channel showed (None: it cannot be read from here).
    ``waiting_for`` is ``input`` or ``debugger`` while the kernel is busy only with waiting for a
    person. ``shell_silent``: its shell did not answer the last question whether it is free, so it
    may run a cell. ``own_limit`` is the ``cull_idle_timeout`` of its kernelspec's metadata.
    ``beat_at`` is when a heartbeat file that covers it was last touched. ``request_sent_at`` is
    when a client of this server last sent it a request that counts: known a moment before the
    kernel itself says so, and for a kernel behind a gateway, too.
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
    own_limit: timedelta | None = None
    beat_at: datetime | None = None
    request_sent_at: datetime | None = None

    @cached_property
    def ref(self) -> Ref:
        return Ref(Kind.KERNEL, self.id)

    @property
    def request_at(self) -> datetime | None:
        """When it last got a request that counts, by whichever way that is known first."""
        iopub_at = self.iopub.request_at if self.iopub is not None else None
        return max((at for at in (iopub_at, self.request_sent_at) if at is not None), default=None)

    @property
    def waits_alone(self) -> bool:
        """Whether it waits for a person, and nobody is connected to it."""
        return self.waiting_for is not None and self.connections == 0

    @cached_property
    def stamps(self) -> Mapping[str, datetime]:
        """What its activity is read from. Its messages tell more than its ``last_activity``, which
        before jupyter_server 2.15 moved on every reconnect."""
        others = {Signal.HEARTBEAT: self.beat_at, Signal.REQUEST: self.request_at}
        if self.iopub is not None:
            return _known({**self.iopub.stamps, **others})
        return _known({Signal.LAST_ACTIVITY: self.last_activity, **others})


@dataclass(frozen=True)
class Terminal:
    """One terminal of the server.

    An *image terminal* (``environment`` set) runs inside a KernelGateway app and is only listed
    here; ``app`` is that app's id where it could be told. ``running_job`` is the name of the
    command in the foreground, None at an idle prompt; ``only_shows``: that command shows
    something to a person (a pager, ``top``), so its redraws are no work. ``unreadable`` as for
    kernels. ``input_at`` and ``output_at`` are when its device was last read and written (None:
    not known).
    """

    id: str
    last_activity: datetime | None = None
    input_at: datetime | None = None
    output_at: datetime | None = None
    running_job: str | None = None
    only_shows: bool = False
    beat_at: datetime | None = None
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
        """What its activity is read from. Its ``last_activity`` moves with keys and with output;
        where keys are known by themselves, it stands for output."""
        beat = {Signal.HEARTBEAT: self.beat_at}
        if self.input_at is None:
            return _known({Signal.LAST_ACTIVITY: self.last_activity, **beat})
        output_at = self.last_activity or self.output_at
        return _known({Signal.INPUT: self.input_at, Signal.OUTPUT: output_at, **beat})

    @property
    def in_image(self) -> bool:
        return self.environment is not None


@dataclass(frozen=True)
class App:
    """One SageMaker app of our own domain and owner, as ListApps gives it.

    ``type`` and ``status`` are strings, not enums: SageMaker adds new ones. ``own`` is the app
    that this server itself runs in; ``stamps`` is what is reported for it as a whole. ``shared``:
    another Jupyter server may have kernels in it that this one does not see.
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
        # Names are not unique ("default" is everywhere): the type belongs to the id.
        return f"{self.type}/{self.name}"

    @cached_property
    def ref(self) -> Ref:
        return Ref(Kind.APP, self.id)

    @property
    def billing(self) -> bool:
        """Whether somebody pays for the instance below it: metering starts at InService and
        ends when the last app is gone, so ``Deleting`` still counts."""
        return self.type not in FREE_APP_TYPES and self.status in (IN_SERVICE, "Deleting")


Resource = Union[Kernel, Terminal, App]


@dataclass(frozen=True)
class Answer:
    """What came of asking whether ``ref`` works in the background.

    ``conclusive``: it was watched for long enough, or cannot be told (``told`` False). ``cores``
    is the processor time it used, in cores. ``stamps`` are the kernel's after the question, and
    ``others_heard`` whether anybody else was heard at it meanwhile. ``activity`` is evidence that
    was found with its instant, by signal. ``unread``: what the answer depends on could not be
    read, so nothing is known, and ``ref`` is not removed.
    """

    ref: Ref
    conclusive: bool
    working: bool = False
    told: bool = True
    cores: float | None = None
    detail: str = ""
    stamps: Mapping[str, datetime] = field(default_factory=dict, hash=False)
    others_heard: bool = False
    activity: Mapping[str, datetime] = field(default_factory=dict, hash=False)
    unread: bool = False


@dataclass(frozen=True)
class Unread:
    """Why a source could not be read. ``source`` is one of Snapshot.SOURCES."""

    source: str
    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Departure:
    """A kernel that was there after the last look and is gone: its use counts for ``app`` (None:
    the server's own host, or, with ``anywhere``, any app). ``at`` is when it was last used."""

    app: str | None
    at: datetime
    signal: str
    anywhere: bool = False


@dataclass(frozen=True)
class Snapshot:
    """The world at one instant, in one piece. A source that failed is named in ``unread``, and
    what it gave last is carried along so that people still see it."""

    kernels: tuple[Kernel, ...] = ()
    terminals: tuple[Terminal, ...] = ()
    apps: tuple[App, ...] = ()
    unread: Mapping[str, Unread] = field(default_factory=dict)
    departures: tuple[Departure, ...] = ()

    KERNELS = "kernels"
    SESSIONS = "sessions"
    TERMINALS = "terminals"
    APPS = "apps"

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        return (*self.kernels, *self.terminals, *self.apps)

    def find(self, ref: Ref) -> Resource | None:
        return next((r for r in self.resources if r.ref == ref), None)

    def bearing_on(self, ref: Ref) -> Snapshot:
        """What is needed to decide ``ref`` again: itself, and for an app what runs in it, or
        might (a kernel that cannot be read may be anywhere)."""
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
