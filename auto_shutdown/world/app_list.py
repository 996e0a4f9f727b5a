"""The list of SageMaker apps, as the last successful call of ListApps gave it.

SageMaker may take seconds to answer, or, while it throttles the account, most of a minute. So the
call runs in a task beside the passes, and a pass uses the newest list that has arrived.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from ..core.model import PENDING, App, Snapshot, Unread
from ..core.outcome import Outcome
from ..core.translatable import sentence
from .final_check import FinalCheck, always
from .own_description import Description
from .platform import Platform
from .sagemaker import SourceError

#: An observation waits so long (seconds) for a list that it requests. Most lists arrive within this
#: time. It is short because the rows of all other resources wait, too.
LIST_SECONDS = 0.25

#: Why there is no list while the first call of ListApps is in progress.
NOT_LISTED_YET = Unread(
    Snapshot.APPS,
    PENDING,
    sentence("SageMaker has not sent the list of apps yet."),
    sentence("Try again in a few seconds."),
)


class Apps(Protocol):
    """The interface to SageMaker."""

    async def list_apps(self) -> tuple[App, ...]: ...

    async def delete_app(self, app: App, still_removable: FinalCheck = always) -> Outcome: ...

    async def describe_own(self) -> Description: ...


class AppList:
    """``source`` is None outside SageMaker.

    - ``apps``: the list of the last successful call. An app that this server has deleted since then
      is shown as ``Deleting``.
    - ``unread``: why ``apps`` is not current: the first call has not ended, or the last call failed
      (None: the last call was successful).
    - ``listed_at``: when the last call ended, successful or not (monotonic seconds; None: none has
      ended).
    - ``call``: the call in progress.
    - ``on_end``: is called after each call.
    - ``now``: the clock of ``listed_at``.
    """

    def __init__(
        self,
        platform: Platform,
        source: Apps | None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._platform = platform
        self._source = source
        self.now = now
        self.apps: tuple[App, ...] = ()
        self.unread: Unread | None = NOT_LISTED_YET if self.exists else None
        self.listed_at: float | None = None
        self.call: asyncio.Task[None] | None = None
        self.on_end: Callable[[], None] = lambda: None
        #: Whether this server has deleted an app since the call in progress began.
        self._deleted_meanwhile = False

    @property
    def exists(self) -> bool:
        """Whether this server calls ListApps. It does not outside SageMaker, nor where the only app
        that it may remove is its own."""
        return self._source is not None and self._platform.own_app is None

    async def refresh(self) -> None:
        """Call ListApps, and wait for the list for at most ``LIST_SECONDS``. After that the call
        goes on. While a call is in progress, this begins no other call, and does not wait."""
        if self.exists and self.call is None:
            await asyncio.wait({self.begin_call()}, timeout=LIST_SECONDS)

    def begin_call(self) -> asyncio.Task[None]:
        """Call ListApps, or return the call in progress. The task never raises."""
        if self.call is None:
            self.call = asyncio.ensure_future(self._list())
        return self.call

    def app_was_deleted(self, app_id: str) -> None:
        """Show this app as ``Deleting``, because SageMaker has accepted to delete it."""
        self._deleted_meanwhile = True
        self.apps = tuple(
            replace(app, status="Deleting") if app.id == app_id else app for app in self.apps
        )

    def close(self) -> None:
        """Stop waiting for SageMaker."""
        if self.call is not None:
            self.call.cancel()

    async def _list(self) -> None:
        try:
            await self._read()
        finally:
            self.call = None
        self.listed_at = self.now()
        self.on_end()

    async def _read(self) -> None:
        """Read the list. If this server deletes an app meanwhile, the list may show that app in
        service, so read it again."""
        assert self._source is not None
        self._deleted_meanwhile = True
        try:
            while self._deleted_meanwhile:
                self._deleted_meanwhile = False
                apps = await self._source.list_apps()
        except SourceError as error:
            self.unread = error.unread
        except Exception as error:
            code = type(error).__name__
            text = sentence("SageMaker's apps cannot be listed: %1.", code)
            remedy = sentence("Please report this with the server's log.")
            self.unread = Unread(Snapshot.APPS, code, text, remedy)
        else:
            self.apps, self.unread = apps, None
