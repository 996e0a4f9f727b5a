"""The snapshot of one pass, and the names of all values that the world package observes.

All values are frozen. Instants are aware UTC, durations ``timedelta``. Names are those of Jupyter
and SageMaker.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from .background import Answer as Answer
from .background import Program as Program
from .ref import EVERYTHING as EVERYTHING
from .ref import Kind as Kind
from .ref import Ref as Ref
from .resources import FREE_APP_TYPES as FREE_APP_TYPES
from .resources import IN_SERVICE as IN_SERVICE
from .resources import KERNEL_GATEWAY as KERNEL_GATEWAY
from .resources import App as App
from .resources import IOPubActivity as IOPubActivity
from .resources import Kernel as Kernel
from .resources import Resource as Resource
from .resources import Terminal as Terminal
from .resources import apps_of as apps_of


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

        For an app this includes the kernels and terminals that are or may be in it, and every
        kernel that cannot be read, because that kernel may run in any app.
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
            kernels=tuple(k for k in self.kernels if ref.id in apps_of(k) or k.unreadable),
            terminals=tuple(t for t in self.terminals if ref.id in apps_of(t)),
            apps=tuple(a for a in self.apps if a.ref == ref),
        )
