"""The questions of this server to the kernels of other servers, which may move the stamps of these
kernels (:class:`~auto_shutdown.world.stamps.MovedStamps`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from . import other_servers
from .other_servers import Tenant, UnansweredError
from .server_files import OtherServer
from .stamps import MovedStamps

#: An older server may record the time of a question a moment after the answer to it. So its stamps
#: are read repeatedly, with this time (seconds) in between, until two readings in a row agree.
REST_SECONDS = 0.2
MOST_READINGS = 10

#: If a stamp is more than this number of seconds after the kernel's answer to the question,
#: somebody else has used the kernel.
LATE_SECONDS = 0.5


class QuestionsToServers:
    """The stamps of other servers' kernels that questions of this server have moved."""

    def __init__(self) -> None:
        self._moved: MovedStamps[tuple[str, str]] = MovedStamps()

    def without(self, tenant: Tenant) -> Tenant:
        """The kernel with the stamp that it had before this server asked it, if no other request
        has moved the stamp since."""
        at = self._moved.without(_key(tenant), tenant.active_at)
        return tenant if at == tenant.active_at else replace(tenant, active_at=at)

    async def asked(self, tenants: Sequence[Tenant], begun: datetime) -> None:
        """Note the stamps of these kernels, which were asked at ``begun`` and have just answered.
        A stamp from before the question, or from later than ``LATE_SECONDS`` after its answer, is
        the use by somebody else. It counts as activity, and delays a removal."""
        ended = datetime.now(timezone.utc) + timedelta(seconds=LATE_SECONDS)
        asked = [tenant for tenant in tenants if tenant.active_at is not None]
        self._moved.keep_only({_key(tenant) for tenant in asked})
        for server in {tenant.server for tenant in asked}:
            try:
                after = await _stamps_at_rest(server)
            except UnansweredError:
                continue
            for tenant in asked:
                at = after.get(tenant.id)
                if tenant.server == server and at is not None and begun <= at <= ended:
                    self._moved.note(_key(tenant), tenant.active_at, at)


async def _stamps_at_rest(server: OtherServer) -> dict[str, datetime | None]:
    """The last activity of each kernel and terminal of ``server``, by id, as soon as it no longer
    changes. Raises UnansweredError."""
    seen: dict[str, datetime | None] = {}
    for _ in range(MOST_READINGS):
        await asyncio.sleep(REST_SECONDS)
        now = {tenant.id: tenant.active_at for tenant in await other_servers.tenants_of(server)}
        if now == seen:
            break
        seen = now
    return seen


def _key(tenant: Tenant) -> tuple[str, str]:
    return tenant.server.url, tenant.id
