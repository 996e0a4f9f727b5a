"""The app in which this server runs, as the snapshot shows it.

It has the instance type from SageMaker's description. After SageMaker has accepted its deletion, it
has the status of an app that is ending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from ..core.model import App
from .own_description import Description
from .platform import NOTEBOOK_INSTANCE, Platform

#: The description is read at the start, and again after this time (seconds). It is read sooner
#: while the instance type is unknown, because rules may depend on it.
DESCRIBE_SECONDS = 6 * 3600.0
DESCRIBE_AGAIN_SECONDS = 3600.0

#: SageMaker can take 20 minutes to delete an app. If the app still runs after this time (seconds),
#: the deletion failed, and the app is judged again, by a new clock.
ENDING_SECONDS = 20 * 60.0


class Describes(Protocol):
    """The interface to SageMaker."""

    async def describe_own(self) -> Description: ...


class OwnAppStatus:
    """What is known of the own app of ``platform``. ``source`` is None outside SageMaker. ``now``
    gives monotonic seconds."""

    def __init__(
        self,
        platform: Platform,
        source: Describes | None,
        now: Callable[[], float],
    ) -> None:
        self._platform = platform
        self._source = source
        self._now = now
        self._ended_at: float | None = None
        self._describing: asyncio.Task[None] | None = None
        self._described_at: float | None = None
        self.description = Description()

    def close(self) -> None:
        """Stop waiting for SageMaker's description."""
        if self._describing is not None:
            self._describing.cancel()

    def has_ended(self) -> None:
        """Note that SageMaker has accepted to delete the app or to stop the instance."""
        self._ended_at = self._now()

    def app(self, stamps: Mapping[str, datetime]) -> App | None:
        """The own app (None: there is none). ``stamps`` are reported for the server as a whole."""
        own = self._platform.own_app
        if own is None:
            return None
        self._describe_when_due()
        if self._ended_at is not None and self._now() - self._ended_at < ENDING_SECONDS:
            ending = "Stopping" if self._platform.kind == NOTEBOOK_INSTANCE else "Deleting"
            own = replace(own, status=ending)
        own = replace(own, instance_type=self.description.instance_type)
        return replace(own, stamps=stamps) if own.own else own

    def _describe_when_due(self) -> None:
        """Ask SageMaker for the description if it is due. No pass waits for the answer."""
        source, at = self._source, self._now()
        known = self.description.instance_type
        patience = DESCRIBE_SECONDS if known else DESCRIBE_AGAIN_SECONDS
        if source is None or (
            self._described_at is not None and at - self._described_at < patience
        ):
            return

        async def work() -> None:
            found = await source.describe_own()
            # A missing answer must not change the idle timeout, which may depend on it.
            self.description = replace(found, instance_type=found.instance_type or known)

        self._described_at = at
        self._describing = asyncio.ensure_future(work())
