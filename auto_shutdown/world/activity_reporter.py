"""Report activity to other tools that may stop this server.

These tools use Jupyter's time stamps, which do not show a cell without output or background work:

- SageMaker's own idle shutdown reads the time in a file (activity_file.py);
- ``shutdown_no_activity_timeout``, JupyterHub's culler and controllers that poll ``/api/status``
  read the latest of the kernels' stamps and of ``settings["last_activity_times"]``, where each
  extension of the server may have an entry.

If the administrator has set ``protect_from_native``, this module updates both while something works
or is kept.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import datetime
from typing import Any

from ..core.faults import Fault
from ..core.translatable import joined, sentence
from ..safe_files import UnsafeFileError
from .activity_file import ActivityFile
from .file_remedies import write_remedy
from .file_thread import FileThread

#: The setting in which jupyter_server keeps the activity that extensions report, and the name of
#: this extension's entry there.
LAST_ACTIVITY_TIMES = "last_activity_times"
OWN_ENTRY = "auto_shutdown"


class ActivityReporter:
    """Reports activity to those tools. ``settings`` are those of the server's web application."""

    def __init__(self, activity_file: ActivityFile, settings: MutableMapping[str, Any]) -> None:
        self._file = activity_file
        self._settings = settings
        self._thread = FileThread("activity-report")
        self._error: OSError | None = None

    async def report(self, at: datetime) -> None:
        """Report activity at ``at``. Never raises."""
        times = self._settings.setdefault(LAST_ACTIVITY_TIMES, {})
        if isinstance(times, MutableMapping):
            reported = times.get(OWN_ENTRY)
            times[OWN_ENTRY] = max(reported, at) if isinstance(reported, datetime) else at
        try:
            await self._thread.run(self._file.keep_fresh, at)
        except OSError as error:
            self._error = error
        else:
            self._error = None

    def close(self) -> None:
        """Report no more. Does not wait for a file system that hangs."""
        self._thread.close()

    def faults(self, now: datetime) -> list[Fault]:
        """A fault while the file for SageMaker's own idle shutdown cannot be written."""
        if isinstance(self._error, UnsafeFileError) and self._file.problem is None:
            self._error = None  # each pass reads the file, and the file is right by now
        if self._error is None:
            return []
        why = self._error.strerror or type(self._error).__name__
        message = sentence(
            "AutoShutdown.activity_file cannot be written (%1): SageMaker's own idle shutdown "
            "may delete this app while work runs in it.",
            why,
        )
        remedy = joined(
            write_remedy(self._file.path, self._error),
            sentence("Or turn AutoShutdown.protect_from_native off."),
        )
        return [Fault("activity-file", type(self._error).__name__, message, remedy, now)]
