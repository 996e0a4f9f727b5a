"""The resources that moto lacks, with SageMaker's states, texts and error codes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

ACCOUNT = "123456789012"

#: How many entries a page of a list operation has: by default, and at most.
DEFAULT_PAGE = 10
LARGEST_PAGE = 100

#: How long SageMaker still lists a deleted app.
RETENTION = timedelta(hours=24)

#: How many seconds pass between two searches for apps that are to be listed no longer.
FORGET_SECONDS = 1.0


class ApiError(Exception):
    """An error answer of the API."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class NotOursError(Exception):
    """This module does not handle the request; moto does."""


def page(member: str, found: list[Any], request: dict[str, Any]) -> dict[str, Any]:
    """One page of a list operation, with the token of the next page."""
    size = int(request.get("MaxResults") or DEFAULT_PAGE)
    if size > LARGEST_PAGE:
        message = f"Value '{size}' at 'maxResults' must be less than or equal to {LARGEST_PAGE}"
        raise ApiError("ValidationException", message)
    try:
        start = int(request.get("NextToken") or 0)
    except ValueError:
        raise ApiError("ValidationException", "Invalid pagination token.") from None
    answer: dict[str, Any] = {member: found[start : start + size]}
    if start + size < len(found):
        answer["NextToken"] = str(start + size)
    return answer


@dataclass
class Delays:
    """Delays in seconds. ``pending`` and ``deleting`` are how long an app is at least in that
    state; a user profile, a space or a domain is Deleting for ``deleting``, too. ``ending`` is how
    long the processes of an app still run once it is Deleting. ``listing`` is how late a list
    operation shows a change, which a describe operation shows without delay."""

    pending: float = 0.0
    ending: float = 0.0
    deleting: float = 0.0
    listing: float = 0.0


class Background:
    """Runs work in threads that continue after a call was answered."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    def run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        """Wait for all work, at most a minute for each thread."""
        for thread in self._threads:
            thread.join(60.0)


@dataclass
class AppRecord:
    """One app. ``owner`` is the pair of "UserProfileName" or "SpaceName" and the owner's name."""

    domain_id: str
    owner: tuple[str, str]
    type: str
    name: str
    spec: dict[str, Any]
    created_at: datetime
    status: str = "Pending"
    deleted_at: datetime | None = None
    runtime: Any = None
    #: The time (``time.monotonic``) of each change of ``status``, with the new status.
    changes: list[tuple[float, str]] = field(default_factory=list, repr=False)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name == "status" and hasattr(self, "changes"):
            self.changes.append((time.monotonic(), value))

    def __post_init__(self) -> None:
        self.changes.append((time.monotonic(), self.status))

    def listed_status(self, late: float) -> str | None:
        """The status in a list that is ``late`` seconds behind; None when it does not yet contain
        the app."""
        if not late:
            return self.status
        seen = time.monotonic() - late
        return next((status for at, status in reversed(self.changes) if at <= seen), None)

    def details(self, status: str | None = None) -> dict[str, Any]:
        """The app as ListApps describes it, without ARN and activity."""
        found = {
            "DomainId": self.domain_id,
            self.owner[0]: self.owner[1],
            "AppType": self.type,
            "AppName": self.name,
            "Status": status or self.status,
            "CreationTime": self.created_at.timestamp(),
        }
        return {**found, "ResourceSpec": self.spec} if self.spec else found


Key = tuple[str, tuple[str, str], str, str]


@dataclass
class Apps:
    """All apps of the account. ``start`` and ``stop`` start and stop the processes of an app."""

    start: Callable[[AppRecord], Any]
    stop: Callable[[AppRecord], None]
    delays: Delays = field(default_factory=Delays)
    #: False is AWS's behaviour: an app that is created again within 24 hours keeps its
    #: CreationTime.
    renew_creation_time: bool = False

    def __post_init__(self) -> None:
        self._records: dict[Key, AppRecord] = {}
        self._forget_at = 0.0
        self._lock = threading.RLock()
        self._background = Background()

    def all(self) -> list[AppRecord]:
        with self._lock:
            if time.monotonic() >= self._forget_at:
                self._forget_at = time.monotonic() + FORGET_SECONDS
                old = datetime.now(timezone.utc) - RETENTION
                for key, record in list(self._records.items()):
                    if record.deleted_at is not None and record.deleted_at < old:
                        del self._records[key]
            return list(self._records.values())

    def forget(self) -> None:
        """Wait for the background work, then delete all apps."""
        self._background.join()
        with self._lock:
            self._records.clear()

    def alive(
        self, domain_id: str, owner: tuple[str, str] | None = None, app_type: str = ""
    ) -> bool:
        """Whether the domain, or ``owner`` in it, has apps that are neither Deleted nor Failed."""
        return any(
            app.domain_id == domain_id
            and app.status not in ("Deleted", "Failed")
            and owner in (None, app.owner)
            and app_type in ("", app.type)
            for app in self.all()
        )

    def put(self, record: AppRecord) -> None:
        """Add an app without starting a process for it."""
        key = (record.domain_id, record.owner, record.type, record.name)
        with self._lock:
            self._records[key] = record

    def find(self, key: Key) -> AppRecord | None:
        with self._lock:
            return self._records.get(key)

    def create(self, key: Key, spec: dict[str, Any]) -> AppRecord:
        domain_id, owner, app_type, name = key
        with self._lock:
            old = self._records.get(key)
            if old is not None and old.status not in ("Deleted", "Failed"):
                raise ApiError("ResourceInUse", f"App {name} already exists in domain {domain_id}.")
            created_at = datetime.now(timezone.utc)
            if old is not None and not self.renew_creation_time:
                created_at = old.created_at
            record = AppRecord(domain_id, owner, app_type, name, spec, created_at)
            self._records[key] = record
        self._background.run(lambda: self._bring_up(record))
        return record

    def delete(self, key: Key) -> None:
        name = key[3]
        with self._lock:
            record = self._records.get(key)
            if record is None:
                raise ApiError("ResourceNotFound", f"App [{name}] does not exist.")
            if record.status == "Deleted":
                raise ApiError("ValidationException", f"App [{name}] has already been deleted.")
            if record.status == "Deleting":
                message = f"App [{name}] is already being deleted."
                raise ApiError("ValidationException", message)
            if record.status == "Pending":
                message = f"Unable to delete App [{name}] while it is Pending."
                raise ApiError("ResourceInUse", message)
            record.status = "Deleting"
        self._background.run(lambda: self._take_down(record))

    def _bring_up(self, record: AppRecord) -> None:
        begin = time.monotonic()
        try:
            record.runtime = self.start(record)
        except Exception:
            record.status = "Failed"
            raise
        time.sleep(max(0.0, self.delays.pending - (time.monotonic() - begin)))
        record.status = "InService"

    def _take_down(self, record: AppRecord) -> None:
        begin = time.monotonic()
        time.sleep(self.delays.ending)
        self.stop(record)
        time.sleep(max(0.0, self.delays.deleting - (time.monotonic() - begin)))
        record.status = "Deleted"
        record.deleted_at = datetime.now(timezone.utc)

    def close(self) -> None:
        """Stop the processes of all apps."""
        self._background.join()
        for record in self.all():
            if record.runtime is not None and record.status != "Deleted":
                self.stop(record)
                record.status = "Deleted"
