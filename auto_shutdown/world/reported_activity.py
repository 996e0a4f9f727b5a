"""Read the activity that other programs and extensions report to this server.

- A program touches the file ``heartbeat`` in the state directory. It keeps everything;
  ``heartbeat-NAME`` keeps the app NAME. Any shell can touch these files, also a shell in another
  app with the same home.
- A Jupyter extension writes to ``settings["last_activity_times"]``.
- A remote IDE writes SageMaker's activity file (activity_file.py).
- The server emits an event when a document is saved.

The last three are activity of the app in which this server runs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import safe_files
from ..core.model import App, Snapshot, Unread, apps_of
from ..core.signals import Signal
from ..core.translatable import sentence
from .activity_file import ActivityFile
from .activity_reporter import LAST_ACTIVITY_TIMES, OWN_ENTRY
from .file_remedies import read_remedy
from .file_thread import FileThread
from .proxied_apps import PROXY_ENTRY, ProxiedApps
from .stamps import parse_stamp

HEARTBEAT = "heartbeat"
OF_AN_APP = f"{HEARTBEAT}-"

#: More heartbeat files than this are not read. The file of everything and those of known apps are
#: read first.
MOST_HEARTBEATS = 1000

#: The event that a server emits when a document is saved.
CONTENTS_EVENT = "https://events.jupyter.org/jupyter_server/contents_service/v1"


@dataclass(frozen=True)
class ReportedActivity:
    """The instants of the reported activity.

    - ``everything``: when the file ``heartbeat`` was last touched.
    - ``apps``: when ``heartbeat-NAME`` was last touched, by NAME.
    - ``server``: the reports for the whole server, by signal.
    """

    everything: datetime | None = None
    apps: Mapping[str, datetime] = field(default_factory=dict)
    server: Mapping[str, datetime] = field(default_factory=dict)

    def of(self, app_name: str | None) -> datetime | None:
        """The time of the heartbeat that covers the app of this name, and its kernels and terminals
        (None: those in no app)."""
        own = self.apps.get(app_name) if app_name else None
        both = [at for at in (own, self.everything) if at is not None]
        return max(both, default=None)


class ReportedActivitySource:
    """Reads reported activity. ``settings`` are those of the server's web application. ``problems``
    names the files that the last read left out."""

    def __init__(
        self, directory: Path, activity_file: ActivityFile, settings: Mapping[str, Any]
    ) -> None:
        self.directory = directory
        self._activity_file = activity_file
        self._settings = settings
        self._saved_at: datetime | None = None
        self.proxied = ProxiedApps()
        self._files = FileThread("heartbeats")
        self.problems: tuple[Unread, ...] = ()

    async def read(self, app_names: Collection[str] = ()) -> ReportedActivity:
        """The reports now. The heartbeats of the apps ``app_names`` are read in any case. Raises
        OSError when the directory or a heartbeat file cannot be read. Activity is then unknown."""
        everything, apps, activity = await self._files.run(self._read_files, app_names)
        server = self.reported_in_this_server()
        if activity is not None:
            server[Signal.ACTIVITY_FILE] = activity
        return ReportedActivity(everything, apps, server)

    def reported_in_this_server(self) -> dict[str, datetime]:
        """The reports for the whole server that this process knows at this moment, by signal. Reads
        no file, and may be called in any thread."""
        reports = {
            Signal.EXTENSION: self._reported(),
            Signal.SAVED: self._saved_at,
            **self.proxied.used,
        }
        return {signal: at for signal, at in reports.items() if at is not None}

    def close(self) -> None:
        """Read no more."""
        self._files.close()

    def _read_files(
        self, app_names: Collection[str]
    ) -> tuple[datetime | None, dict[str, datetime], datetime | None]:
        times: dict[str, datetime] = {}
        problems: list[Unread] = []
        wanted = {HEARTBEAT, *(OF_AN_APP + name for name in app_names)}
        for path in sorted(self._paths(), key=lambda path: path.name not in wanted):
            if len(times) >= MOST_HEARTBEATS and path.name not in wanted:
                problems.append(_left_out(path, f"there are more than {MOST_HEARTBEATS} of them"))
                break
            try:
                times[path.name] = _touched_at(path)
            except FileNotFoundError:
                continue  # deleted since it was listed
            except safe_files.UnsafeFileError as error:
                problems.append(_left_out(path, str(error.strerror)))
            except (ValueError, OverflowError):
                problems.append(_left_out(path, "its date is out of range"))
        activity = self._activity_file.read()
        refused = self._activity_file.problem
        if refused is not None:
            path = self._activity_file.path
            remedy = read_remedy(path, refused)
            problems.append(_left_out(path, str(refused.strerror), remedy))
        self.problems = tuple(problems)
        everything = times.pop(HEARTBEAT, None)
        return everything, {name[len(OF_AN_APP) :]: at for name, at in times.items()}, activity

    def _paths(self) -> list[Path]:
        try:
            with os.scandir(self.directory) as entries:
                return [
                    Path(entry.path)
                    for entry in entries
                    if entry.name == HEARTBEAT or entry.name.startswith(OF_AN_APP)
                ]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _reported(self) -> datetime | None:
        times = self._settings.get(LAST_ACTIVITY_TIMES)
        found = []
        for extension, value in list(times.items()) if isinstance(times, Mapping) else []:
            # The entry of this extension is no evidence of other activity. The use that
            # jupyter-server-proxy reports is known in more detail (proxied_apps.py).
            if extension == OWN_ENTRY or (extension == PROXY_ENTRY and self.proxied.is_watching):
                continue
            try:
                at = parse_stamp(value)
            except ValueError:
                continue
            if at is not None:
                found.append(at)
        return max(found, default=None)

    def listen(self, event_logger: Any) -> None:
        """Listen to the server's events about saved documents (jupyter_server 2)."""

        async def on_event(logger: Any, schema_id: str, data: Mapping[str, Any]) -> None:
            if data.get("action") == "save":
                self._saved_at = datetime.now(timezone.utc)

        event_logger.add_listener(schema_id=CONTENTS_EVENT, listener=on_event)


async def read_reported_activity(
    source: ReportedActivitySource | None, unread: dict[str, Unread], app_names: Collection[str]
) -> ReportedActivity:
    """The activity that other programs report to ``source`` (None: they cannot report any).
    ``app_names`` are the known apps. If the activity cannot be read, this adds the kernels and
    terminals to ``unread``."""
    if source is None:
        return ReportedActivity()
    try:
        return await source.read(app_names)
    except OSError as error:
        why = error.strerror or type(error).__name__
        message = sentence(
            "The heartbeat files cannot be read: %1. Nothing is removed meanwhile.", why
        )
        remedy = read_remedy(source.directory, error)
        failure = Unread("heartbeats", type(error).__name__, message, remedy)
        unread.setdefault(Snapshot.KERNELS, failure)
        unread.setdefault(Snapshot.TERMINALS, failure)
        return ReportedActivity()


def _touched_at(path: Path) -> datetime:
    """When a regular file was last touched. Raises UnsafeFileError for anything else, ValueError or
    OverflowError for a date that no calendar has, and OSError if the file cannot be read."""
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise safe_files.UnsafeFileError(path, f"it is {safe_files.kind_of(status.st_mode)}")
    return datetime.fromtimestamp(status.st_mtime, timezone.utc)


def _left_out(path: Path, why: str, remedy: str = "") -> Unread:
    message = sentence("%1 does not count as activity: %2.", path, why)
    anew = sentence("Delete %1. To send a heartbeat, touch it again.", path)
    return Unread("heartbeat-files", "LeftOut", message, remedy or anew)


def with_heartbeats(snapshot: Snapshot, reported: ReportedActivity) -> Snapshot:
    """Add the heartbeats to the resources. The heartbeat of an app counts for everything in it."""
    if reported.everything is None and not reported.apps:
        return snapshot

    def touched_at(*app_ids: str) -> datetime | None:
        stamps = [reported.of(app_id.partition("/")[2]) for app_id in app_ids]
        known = [at for at in stamps if at is not None]
        return max(known, default=reported.of(None))

    def with_stamp(app: App) -> App:
        at = touched_at(app.id)
        return app if at is None else replace(app, stamps={**app.stamps, Signal.HEARTBEAT: at})

    return replace(
        snapshot,
        kernels=tuple(replace(k, heartbeat_at=touched_at(*apps_of(k))) for k in snapshot.kernels),
        terminals=tuple(
            replace(t, heartbeat_at=touched_at(*apps_of(t))) for t in snapshot.terminals
        ),
        apps=tuple(map(with_stamp, snapshot.apps)),
    )
