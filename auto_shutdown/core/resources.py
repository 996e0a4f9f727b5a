"""The resources that this extension keeps or removes: kernels, terminals and SageMaker apps.

Each holds the facts that the world package observed, and its evidence of activity. All values are
frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Union

from .ref import Kind, Ref
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
      finished (see :mod:`auto_shutdown.world.kernel_requests`).
    - ``last_activity``: the stamp exactly as reported (None: not reported).
    - ``app``: the id of the app in which the kernel runs (None: on the server's own host, or see
      ``may_be_in``).
    - ``may_be_in``: the ids of the apps in which the kernel may run. Empty if ``app`` is known, or
      if the kernel runs on the server's own host. Otherwise neither the kernel's model nor that of
      its session names the app.
    - ``is_place_unknown``: the kernel runs in another container, but no app is known in which it
      may run. After a restart this holds until SageMaker lists the apps.
    - ``unreadable``: why the kernel's model could not be read. Then only ``id`` is valid.
    - ``iopub``: the activity on its IOPub channel (None: this server cannot read that channel).
    - ``waiting_for``: ``input`` or ``debugger`` while the kernel is busy only because it waits for
      a person.
    - ``shell_silent``: the shell channel did not answer the last query, so a cell may be running.
    - ``end_unseen``: this server could not see the end of a cell, and nothing has shown since that
      the cell ended.
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
    end_unseen: bool = False
    refused: str = ""
    own_limit: timedelta | None = None
    heartbeat_at: datetime | None = None
    request_sent_at: datetime | None = None
    may_be_in: tuple[str, ...] = ()
    is_place_unknown: bool = False

    @cached_property
    def ref(self) -> Ref:
        return Ref(Kind.KERNEL, self.id)

    @property
    def request_at(self) -> datetime | None:
        """When the kernel last got a request that counts as activity, from either source."""
        iopub_at = self.iopub.request_at if self.iopub is not None else None
        return max((at for at in (iopub_at, self.request_sent_at) if at is not None), default=None)

    @property
    def may_have_kept_output(self) -> bool:
        """Whether its gateway may keep output for a client that has left. The gateway drops that
        output when another client connects, also for a query (docs/decisions/006)."""
        return self.iopub is None and not self.connections

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

    An *image terminal* runs inside a KernelGateway app, and this server only lists it.

    - ``environment``: the image of an image terminal (None: it is no image terminal).
    - ``app``: the id of the app of an image terminal (None: not known).
    - ``may_be_in``: the ids of the apps in which an image terminal may run, if ``app`` is not
      known.
    - ``running_job``: the name of the command in the foreground (None: an idle prompt).
    - ``only_shows``: that command displays something to a person (a pager, ``top``), so its output
      is no work.
    - ``input_at``, ``output_at``: when the terminal's device was last read and written (None: not
      known).
    - ``unreadable``, ``heartbeat_at``: as for kernels.
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
    may_be_in: tuple[str, ...] = ()

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


def apps_of(tenant: Kernel | Terminal) -> tuple[str, ...]:
    """The ids of the apps in which ``tenant`` runs or may run."""
    return (tenant.app,) if tenant.app is not None else tenant.may_be_in


def is_app_known(tenant: Kernel | Terminal) -> bool:
    """Whether it is known in which app ``tenant`` runs. On the server's own host, that is none."""
    if tenant.app is not None:
        return True
    if tenant.unreadable or tenant.may_be_in:
        return False
    return not (tenant.is_place_unknown if isinstance(tenant, Kernel) else tenant.in_image)


Resource = Union[Kernel, Terminal, App]
