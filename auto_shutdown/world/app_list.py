"""The list of SageMaker apps, as the last successful call of ListApps gave it."""

from __future__ import annotations

from typing import Protocol

from ..core.model import App, Unread
from ..core.outcome import Outcome
from .last_word import MayGo, always
from .own_description import Description
from .platform import Platform
from .sagemaker import SourceError


class Apps(Protocol):
    """The interface to SageMaker."""

    async def list_apps(self) -> tuple[App, ...]: ...

    async def delete_app(self, app: App, may_go: MayGo = always) -> Outcome: ...

    async def describe_own(self) -> Description: ...


class AppList:
    """``source`` is None outside SageMaker. ``unread`` says why the last call failed (None: it did
    not); ``apps`` is then the list of the last successful call."""

    def __init__(self, platform: Platform, source: Apps | None) -> None:
        self._platform = platform
        self._source = source
        self.apps: tuple[App, ...] = ()
        self.unread: Unread | None = None

    @property
    def exists(self) -> bool:
        """Whether this server calls ListApps. It does not outside SageMaker, nor where the only app
        that it may remove is its own."""
        return self._source is not None and self._platform.own_app is None

    async def refresh(self) -> None:
        """Call ListApps, if the list exists."""
        if self._source is None or not self.exists:
            return
        try:
            apps = await self._source.list_apps()
        except SourceError as error:
            self.unread = error.unread
            return
        self.unread = None
        self.apps = apps
