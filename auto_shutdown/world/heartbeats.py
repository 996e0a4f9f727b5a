"""What others say of activity: files that are touched, and what this server's extensions report.

- ``heartbeat`` in the state directory: everything is at work; ``heartbeat-NAME``: the app NAME is.
  Any shell can touch it, also in another app of the same home.
- ``settings["last_activity_times"]``: the convention of Jupyter's extensions, for the own app.
- SageMaker's own file for remote IDEs (activity_file.py), for the own app.
- Documents saved, for the own app.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..core.signals import Signal
from .activity_file import ActivityFile
from .stamps import parse_stamp

HEARTBEAT = "heartbeat"

#: The event that a server emits when a document is saved.
CONTENTS_EVENT = "https://events.jupyter.org/jupyter_server/contents_service/v1"


@dataclass(frozen=True)
class Heartbeats:
    """``everything`` and ``apps`` (by name): when their heartbeat was last touched. ``server``:
    what is reported for the server as a whole, by signal."""

    everything: datetime | None = None
    apps: Mapping[str, datetime] = field(default_factory=dict)
    server: Mapping[str, datetime] = field(default_factory=dict)

    def of(self, app_name: str | None) -> datetime | None:
        """The heartbeat that covers what runs in the app of this name (None: in no app)."""
        own = self.apps.get(app_name) if app_name else None
        both = [at for at in (own, self.everything) if at is not None]
        return max(both, default=None)


class HeartbeatSource:
    """Reads them. ``settings`` are the web application's."""

    def __init__(
        self, directory: Path, activity_file: ActivityFile, settings: Mapping[str, Any]
    ) -> None:
        self._directory = directory
        self._activity_file = activity_file
        self._settings = settings
        self._saved_at: datetime | None = None

    async def read(self) -> Heartbeats:
        """What there is. A file that cannot be read is none: it is said by whoever touches it
        that it counts, and nobody touches it then."""
        everything, apps, activity = await asyncio.to_thread(self._read_files)
        server = {
            Signal.EXTENSION: self._reported(),
            Signal.ACTIVITY_FILE: activity,
            Signal.SAVED: self._saved_at,
        }
        known = {signal: at for signal, at in server.items() if at is not None}
        return Heartbeats(everything, apps, known)

    def _read_files(self) -> tuple[datetime | None, dict[str, datetime], datetime | None]:
        everything: datetime | None = None
        apps: dict[str, datetime] = {}
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if entry.name.startswith(HEARTBEAT):
                        at = datetime.fromtimestamp(entry.stat().st_mtime, timezone.utc)
                        if entry.name == HEARTBEAT:
                            everything = at
                        elif entry.name.startswith(HEARTBEAT + "-"):
                            apps[entry.name[len(HEARTBEAT) + 1 :]] = at
        except OSError:
            pass
        return everything, apps, self._activity_file.read()

    def _reported(self) -> datetime | None:
        times = self._settings.get("last_activity_times")
        found = []
        for value in list(times.values()) if isinstance(times, Mapping) else []:
            try:
                at = parse_stamp(value)
            except ValueError:
                continue
            if at is not None:
                found.append(at)
        return max(found, default=None)

    def listen(self, event_logger: Any) -> None:
        """Take note of saved documents, from the server's own events (jupyter_server 2)."""

        async def on_event(logger: Any, schema_id: str, data: Mapping[str, Any]) -> None:
            if data.get("action") == "save":
                self._saved_at = datetime.now(timezone.utc)

        event_logger.add_listener(schema_id=CONTENTS_EVENT, listener=on_event)
