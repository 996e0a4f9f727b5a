"""The snapshot: all resources as one pass read them.

The types of ref.py, resources.py and background.py can be imported from here, too. All values are
frozen. Instants are aware UTC, durations ``timedelta``. Names are those of Jupyter and SageMaker.
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
from .resources import is_app_known as is_app_known


@dataclass(frozen=True)
class Unread:
    """Why a source could not be read. ``source`` is a name such as ``Snapshot.KERNELS``."""

    source: str
    code: str
    message: str
    remedy: str


#: The ``code`` of an :class:`Unread` whose source has not answered yet. This is no fault.
PENDING = "NotListedYet"


@dataclass(frozen=True)
class Departure:
    """A kernel or terminal that ended since the previous pass. Its last use was at ``at``.

    That use is activity of ``app``, the id of the app in which it ran (None: it ran on the server's
    own host). With ``anywhere``, it may have run in any app, so its use is activity of every app.
    """

    app: str | None
    at: datetime
    signal: str
    anywhere: bool = False


@dataclass(frozen=True)
class Snapshot:
    """All resources, as one pass read them.

    - ``unread``: the sources that could not be read, by name (``KERNELS``, …). The snapshot then
      repeats what the last successful reading of the source gave, so that people still see those
      resources.
    - ``departures``: the kernels and terminals that ended since the previous pass.
    - ``programs``: the programs in the server's own app that run in none of its kernels and
      terminals.
    - ``apps_listed_at``: when the call of ListApps ended whose result ``apps`` shows (monotonic
      seconds; None: no call has ended).
    """

    kernels: tuple[Kernel, ...] = ()
    terminals: tuple[Terminal, ...] = ()
    apps: tuple[App, ...] = ()
    unread: Mapping[str, Unread] = field(default_factory=dict)
    departures: tuple[Departure, ...] = ()
    programs: tuple[Program, ...] = ()
    apps_listed_at: float | None = field(default=None, compare=False)

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
        """This snapshot, with ``kernels`` replacing those of the same id.

        None if one of ``kernels`` is not in this snapshot, if its old or new state is unreadable,
        or if it runs in another app now.
        """
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
        kernel and terminal that cannot be read, because it may run in the app.
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
            terminals=tuple(t for t in self.terminals if ref.id in apps_of(t) or t.unreadable),
            apps=tuple(a for a in self.apps if a.ref == ref),
        )
