"""Write the session of a kernel or terminal before its removal, so that a user can bring it back.

A failure here delays no removal and costs no audit line. The user then cannot bring that session
back. No log line contains the code of a cell.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from pathlib import Path
from typing import Any

from ..config.settings import REMEMBER_STOPPED
from ..core.formatting import iso
from ..core.model import App, Kernel, Resource, Terminal
from ..state.document import StoreError, store_error
from ..state.stopped import StoppedSession, StoppedSessions, bounded, new_id
from ..world.file_thread import FileThread
from ..world.kernel_models import SAGEMAKER_INTERNAL
from ..world.session_facts import Session
from ..world.world import World
from .removal_record import Removal

#: Seconds that a removal waits for the kernel's answer, and for the disk.
ASK_SECONDS = 6.0
SAVE_SECONDS = 2.0


class SessionRecorder:
    """The recorded sessions of one server, one entry each. ``sessions`` None: record nothing."""

    def __init__(self, world: World, sessions: StoppedSessions | None, log: logging.Logger) -> None:
        self._world = world
        self._sessions = sessions
        self._log = log
        self._writing = FileThread("stopped", SAVE_SECONDS)
        self._reading = FileThread("stopped-read")

    async def record(self, resource: Resource, removal: Removal) -> tuple[Resource, str]:
        """Write the entry of ``resource``, which is about to be removed. Returns the resource as it
        is after the query for its session, and the id of the entry (empty: no entry was written).
        Never raises."""
        wanted = removal.policy.settings.get(REMEMBER_STOPPED, False)
        if self._sessions is None or not wanted or not _can_come_back(resource):
            return resource, ""
        try:
            resource, session = await asyncio.wait_for(
                self._world.session_of(resource), ASK_SECONDS
            )
            entry = _entry(resource, removal, session)
            await self._writing.run(self._sessions.save, entry, removal.now)
        except Exception as error:
            self._log.warning(
                "auto_shutdown: the %s cannot be brought back later, because its entry could not "
                "be written (%s).%s",
                resource.ref,
                type(error).__name__,
                _advice(self._sessions.pattern, error),
            )
            return resource, ""
        return resource, entry.id

    async def entries(self, now: datetime) -> list[dict[str, Any]]:
        """The summary of each entry, newest first. Raises OSError."""
        if self._sessions is None:
            return []
        sessions = await self._reading.run(self._sessions.entries, now)
        return [session.summary() for session in sessions]

    async def find(self, name: str, now: datetime) -> dict[str, Any] | None:
        """The whole entry with the id ``name``, with code (None: there is none). Raises OSError."""
        if self._sessions is None:
            return None
        session = await self._reading.run(self._sessions.find, name, now)
        return None if session is None else session.to_json()

    async def forget(self, name: str) -> bool:
        """Delete the entry with the id ``name``. Returns whether it existed. Raises OSError."""
        return self._sessions is not None and await self._reading.run(self._sessions.forget, name)

    def read_error(self, error: OSError) -> StoreError:
        """``error``, with which the entries could not be read, with the path and a remedy."""
        pattern = Path("stopped") if self._sessions is None else self._sessions.pattern
        return store_error("read", pattern, error)

    def close(self) -> None:
        """Stop writing and reading. Does not wait for calls in progress."""
        self._writing.close()
        self._reading.close()


def _advice(path: Path, error: Exception) -> str:
    """Why ``path`` could not be written and what to do, for the log. Empty for an error that does
    not come from the file system, such as a kernel that does not answer."""
    # From Python 3.11 on, asyncio.TimeoutError is an OSError, too, but without a number.
    if not isinstance(error, OSError) or error.errno is None:
        return ""
    problem = store_error("write", path, error)
    return f" {problem} {problem.remedy}"


def _can_come_back(resource: Resource) -> bool:
    """Whether a user can start ``resource`` again. An app starts again with its kernels. A terminal
    in another container can neither be asked for its working directory nor started from here."""
    if isinstance(resource, Terminal):
        return not resource.in_image
    return not isinstance(resource, App)


def _entry(resource: Resource, removal: Removal, session: Session) -> StoppedSession:
    kernel = resource if isinstance(resource, Kernel) else None
    cells, complete = (None, False) if session.cells is None else bounded(session.cells)
    image = kernel.image if kernel is not None else None
    name = kernel.name if kernel is not None else ""
    at = iso(removal.now) or ""
    return StoppedSession(
        id=new_id(removal.now),
        stop=at,
        at=at,
        kind=resource.ref.kind.value,
        resource=resource.ref.id,
        name=resource.name,
        kernel_name=f"{name}{SAGEMAKER_INTERNAL}{image}" if image else name,
        paths=kernel.paths if kernel is not None else (),
        app=None if isinstance(resource, App) else resource.app,
        instance_type=resource.instance_type,
        image=image,
        directory=session.directory,
        ends_server=removal.ends_server,
        reason=removal.decision.reason.value,
        cells=cells,
        complete=complete,
    )
