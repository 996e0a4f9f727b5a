"""The kernels and terminals of other Jupyter servers of this home in this container.

A server sees only its own kernels and terminals. A second server (``jupyter lab`` in a terminal)
may have a busy kernel in the app that this server is about to remove. So this server asks the other
one for the report of this extension, or, without the extension, for its kernels and terminals.
server_files.py finds the other servers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ..core.marks import DEAD
from ..core.translatable import Text, joined, sentence
from .platform import text_of
from .server_files import OtherServer
from .stamps import parse_stamp
from .terminals import image_of

#: The time limit of each request to another server, in seconds.
ANSWER_SECONDS = 5.0

#: A report is old if the pass that was due is late by this time. A pass may take a minute, because
#: it waits for the kernels that it shuts down.
MOST_LATE = timedelta(minutes=2)

#: The HTTP status of a path that a server does not have.
NOT_FOUND = 404


@dataclass(frozen=True)
class Tenant:
    """A kernel or terminal of another server.

    ``active_at`` is its last activity, None while it is busy or kept. ``app`` is the name of its
    KernelGateway app (None: it runs on the server's own host, or its app is unknown). ``is_here``:
    the other server reports that it runs on its own host. ``is_judged``: the other server has this
    extension, so this is its verdict and not only Jupyter's state; or it is dead.
    ``asking_moves_stamp``: a kernel_info_request moves its ``last_activity`` there (before
    jupyter_server 2.15). ``has_old_report``: the other server has this extension, but its report is
    old."""

    server: OtherServer
    id: str
    name: str
    kind: str
    active_at: datetime | None
    app: str | None = None
    is_here: bool = False
    is_judged: bool = False
    asking_moves_stamp: bool = False
    has_old_report: bool = False

    @property
    def text(self) -> Text:
        """Its name, with its server."""
        if self.kind == "terminal":
            name = sentence("terminal %1", self.name)
        else:
            name = sentence("kernel %1", self.name)
        url, pid = self.server.url, self.server.pid
        if url:
            return joined(name, sentence("of the Jupyter server at %1 (process %2)", url, pid))
        return joined(name, sentence("of the Jupyter server (process %1)", pid))

    def __str__(self) -> str:
        return self.text

    def may_run_in(self, app: str, kernels_here: Collection[str]) -> bool:
        """Whether it runs in the KernelGateway app of this name, or may run in it because its app
        is unknown. ``kernels_here`` are the ids of the kernels that run on this host."""
        if self.app is not None or self.is_here:
            return self.app == app
        if self.kind == "terminal":
            return image_of(self.id)[0] is not None
        return self.id not in kernels_here

    def may_run_cell(self, asked: Collection[str]) -> bool:
        """Whether this is a kernel that Jupyter reports as idle, without evidence of that.
        Jupyter's state is that of its last message, and a cell may run beside an answered request.
        ``asked`` are the ids of the kernels on this host whose shells this server asks itself."""
        if self.kind != "kernel" or self.active_at is None:
            return False
        return not self.is_judged and self.id not in asked


class UnansweredError(Exception):
    """Another server did not report its kernels and terminals. ``status`` is the HTTP status of
    its answer (None: it gave none)."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


async def tenants_of(server: OtherServer) -> list[Tenant]:
    """The kernels and terminals of ``server``. Raises UnansweredError."""
    if not server.url:
        raise UnansweredError(f"The runtime file of {server} cannot be read or understood")
    try:
        # panel=false: the other server need not call SageMaker for this request.
        report = await _get(server, "auto-shutdown/status?panel=false")
    except UnansweredError:
        report = None
    try:
        if not isinstance(report, Mapping):
            return await _read_models(server)
        rows = [row for row in report["resources"] if row["kind"] in ("kernel", "terminal")]
        if _is_current(report):
            return [_of_report(server, row) for row in rows]
        return _with_old_report(await _read_models(server), rows, parse_stamp(report.get("now")))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnansweredError(f"{server} gives an answer that is not understood") from error


async def _read_models(server: OtherServer) -> list[Tenant]:
    """The kernels and terminals of ``server`` by Jupyter's REST API. Raises UnansweredError."""
    kernels = await _get(server, "api/kernels?no_track_activity=1")
    version = (await _get(server, "api"))["version"]
    found = [_of_model(server, "kernel", model, _is_older(version)) for model in kernels]
    try:
        terminals = await _get(server, "api/terminals?no_track_activity=1")
    except UnansweredError as error:
        if error.status != NOT_FOUND:
            raise
        return found  # a server without terminals
    return found + [_of_model(server, "terminal", model) for model in terminals]


def _is_current(report: Mapping[str, Any]) -> bool:
    """Whether the last pass of the other server was complete and the next one is not late. While
    its passes hang or fail, it answers with the report of an earlier time."""
    health = report.get("health") or {}
    names = ("last_pass", "last_ok_pass", "next_pass")
    last, complete, upcoming = (parse_stamp(health.get(name)) for name in names)
    now = parse_stamp(report.get("now"))
    if now is None or last is None or complete is None or upcoming is None:
        return False
    return complete >= last and now - upcoming < MOST_LATE


def _with_old_report(
    tenants: Iterable[Tenant], rows: Iterable[Mapping[str, Any]], now: datetime | None
) -> list[Tenant]:
    """The ``tenants`` of Jupyter's REST API with what still holds of the rows of an old report:
    where each of them runs, and a keep-alive that has not expired at ``now``."""
    by_id = {str(row["id"]): row for row in rows}
    merged = []
    for tenant in tenants:
        tenant = replace(tenant, has_old_report=True)
        row = by_id.get(tenant.id)
        if row is not None:
            old = _of_report(tenant.server, row)
            kept_until = parse_stamp(row.get("kept_until"))
            is_kept = kept_until is not None and (now is None or now < kept_until)
            active_at = None if is_kept else tenant.active_at
            app = tenant.app or old.app
            tenant = replace(tenant, active_at=active_at, app=app, is_here=old.is_here)
        merged.append(tenant)
    return merged


def _of_report(server: OtherServer, row: Mapping[str, Any]) -> Tenant:
    """A row of our own report: ``idle_since`` is null while it is at work."""
    at = None if row.get("kept_until") else parse_stamp(row.get("idle_since"))
    app_id = row.get("app")
    app = _app_name(app_id)
    is_here = bool(app_id) and app is None
    return Tenant(
        server, str(row["id"]), str(row["name"]), str(row["kind"]), at, app, is_here, True
    )


def _app_name(app_id: Any) -> str | None:
    """A report names apps as ``Type/Name``; only KernelGateway apps are apart from the server."""
    kind, _, name = str(app_id or "").partition("/")
    return name if kind == "KernelGateway" else None


def _is_older(version: Any) -> bool:
    """Whether kernel_info moves ``last_activity`` in that version of jupyter_server, or of notebook
    before 7."""
    major, minor = (int(part) for part in str(version).split(".")[:2])
    return (major, minor) < (2, 15) or major in (5, 6)


def _of_model(
    server: OtherServer, kind: str, model: Mapping[str, Any], asking_moves_stamp: bool = False
) -> Tenant:
    """A model of Jupyter's REST API."""
    at, state = parse_stamp(model.get("last_activity")), model.get("execution_state")
    if state == "busy":
        at = None
    tenant_id = str(model.get("id") or model["name"])
    name = str(model.get("name") or tenant_id)
    app = text_of(model, "app_name")
    is_dead = state in DEAD
    return Tenant(server, tenant_id, name, kind, at, app, False, is_dead, asking_moves_stamp)


async def _get(server: OtherServer, path: str) -> Any:
    from tornado.httpclient import AsyncHTTPClient, HTTPRequest

    request = HTTPRequest(
        server.url + path,
        headers={"Authorization": f"token {server.token}"} if server.token else {},
        request_timeout=ANSWER_SECONDS,
        connect_timeout=ANSWER_SECONDS,
        follow_redirects=False,
        # A server on this host may have a self-signed certificate. The connection is local.
        validate_cert=False,
    )
    try:
        response = await asyncio.wait_for(AsyncHTTPClient().fetch(request), 2 * ANSWER_SECONDS)
        return json.loads(response.body)
    except Exception as error:  # refused, timed out, redirected to a login page, no JSON
        status = getattr(error, "code", None)
        why = f"HTTP {status}" if status else type(error).__name__
        message = f"{server} does not say what runs in it ({why})"
        raise UnansweredError(message, status if isinstance(status, int) else None) from error
