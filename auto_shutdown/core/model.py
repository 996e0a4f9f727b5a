"""The nouns: what was observed, what was decided, what came of it.

Plain frozen values. Instants are aware UTC, durations ``timedelta``. Names are Jupyter's and
SageMaker's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Union

#: The one app type this product deletes on behalf of a Studio Classic user. A JupyterServer app
#: is free and is what we run in; every other type belongs to tools we cannot look into.
KERNEL_GATEWAY = "KernelGateway"

#: App types that cost nothing while they run (platform.md 1.6).
FREE_APP_TYPES = frozenset({"JupyterServer", "RStudioServerPro"})

IN_SERVICE = "InService"


class Kind(str, Enum):
    """What a :class:`Ref` points at. ``ALL`` is used by keep-alives only."""

    KERNEL = "kernel"
    TERMINAL = "terminal"
    APP = "app"
    ALL = "all"


@dataclass(frozen=True, order=True)
class Ref:
    """The name of one resource: a kernel id, a terminal name, or ``AppType/AppName``."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.id}"


#: A keep-alive on this one covers everything.
EVERYTHING = Ref(Kind.ALL, "all")


@dataclass(frozen=True)
class Kernel:
    """One kernel as its manager reports it.

    ``last_activity`` is the stamp exactly as reported (None: not reported); ``app`` is the id of
    the app it runs in (None: in the server's own host); ``unreadable`` says why its model could
    not be read, and then nothing else but the id is to be believed.
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

    @property
    def ref(self) -> Ref:
        return Ref(Kind.KERNEL, self.id)


@dataclass(frozen=True)
class Terminal:
    """One terminal of the server.

    An *image terminal* (``environment`` set) runs inside a KernelGateway app and is only listed
    here; ``app`` is that app's id where it could be told. ``running_job`` is the name of the
    command in the foreground, None at an idle prompt; ``unreadable`` as for kernels.
    """

    id: str
    last_activity: datetime | None = None
    running_job: str | None = None
    environment: str | None = None
    app: str | None = None
    instance_type: str | None = None
    unreadable: str | None = None

    @property
    def ref(self) -> Ref:
        return Ref(Kind.TERMINAL, self.id)

    @property
    def name(self) -> str:
        return self.id

    @property
    def in_image(self) -> bool:
        return self.environment is not None


@dataclass(frozen=True)
class App:
    """One SageMaker app of our own domain and owner, as ListApps gives it.

    ``type`` and ``status`` are strings, not enums: SageMaker adds new ones.
    """

    type: str
    name: str
    status: str
    instance_type: str | None = None
    image: str | None = None
    created_at: datetime | None = None

    @property
    def id(self) -> str:
        # Names are not unique ("default" is everywhere): the type belongs to the id.
        return f"{self.type}/{self.name}"

    @property
    def ref(self) -> Ref:
        return Ref(Kind.APP, self.id)

    @property
    def billing(self) -> bool:
        """Whether somebody pays for the instance below it: metering starts at InService and
        ends when the last app is gone, so ``Deleting`` still counts."""
        return self.type not in FREE_APP_TYPES and self.status in (IN_SERVICE, "Deleting")


Resource = Union[Kernel, Terminal, App]


@dataclass(frozen=True)
class Unread:
    """Why a source could not be read. ``source`` is one of Snapshot.SOURCES."""

    source: str
    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Snapshot:
    """The world at one instant, in one piece. A source that failed is named in ``unread``, and
    what it gave last is carried along so that people still see it."""

    kernels: tuple[Kernel, ...] = ()
    terminals: tuple[Terminal, ...] = ()
    apps: tuple[App, ...] = ()
    unread: Mapping[str, Unread] = field(default_factory=dict)

    KERNELS = "kernels"
    SESSIONS = "sessions"
    TERMINALS = "terminals"
    APPS = "apps"

    @property
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
