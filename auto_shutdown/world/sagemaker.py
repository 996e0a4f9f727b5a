"""List and delete SageMaker's apps, with boto3 in worker threads.

Importing boto3 takes 0.3 to 0.5 s of processor time and 40 MB. So the first call imports it in
its thread, and importing this module does not. No call runs on the event loop.

Lists, tags and deletions have a thread each: a list may take many seconds, and a deletion that
waited for it would come too late after the last look at its app. The threads share one client,
because boto3's clients are safe between threads. If two threads need a new client at one time, each
makes one from a session of its own, and the later one stays.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from ..core.model import KERNEL_GATEWAY, App, Snapshot, Unread
from ..core.outcome import Outcome, Result
from ..core.translatable import sentence
from .aws_errors import CREDENTIALS, classify, read_error, remedy
from .final_check import FinalCheck, always, kept
from .own_app import stop_instance
from .own_description import Description, describe
from .platform import NOTEBOOK_INSTANCE_TYPE, Platform
from .sagemaker_client import make_client
from .worker_thread import Worker

T = TypeVar("T")

#: The time limit of one call in seconds, with the wait for the worker thread. It is longer than all
#: attempts of botocore (sagemaker_client.py), so that botocore reports its own error before.
CALL_SECONDS = 40.0

PAGE_SIZE = 100
MOST_PAGES = 100
#: A resource has at most 50 tags, which fit on one page. More pages than this are an error.
MOST_TAG_PAGES = 5

_NEVER = datetime.min.replace(tzinfo=timezone.utc)


class SourceError(Exception):
    """A source that cannot be read; ``unread`` says why and what to do."""

    def __init__(self, unread: Unread) -> None:
        super().__init__(unread.message)
        self.unread = unread


class BadAnswerError(Exception):
    """An answer that does not come from SageMaker, although its status is a success."""

    response: Mapping[str, Any] = {"Error": {"Code": "BadAnswer"}}


class SageMaker:
    """Lists and deletes the apps of one owner. ``calls`` is the number of API calls by operation,
    without the retries of botocore."""

    def __init__(
        self,
        platform: Platform,
        endpoint_url: str | None = None,
        allow_irreversible_stop: bool = False,
    ) -> None:
        self._platform = platform
        self._allow_irreversible_stop = allow_irreversible_stop
        self._endpoint_url = endpoint_url
        self._lists = Worker("auto-shutdown-sagemaker-lists")
        self._tags = Worker("auto-shutdown-sagemaker-tags")
        self._deletions = Worker("auto-shutdown-sagemaker-deletions")
        self._platforms: dict[str, str] = {}
        self._client: Any = None
        self.calls: Counter[str] = Counter()

    async def list_apps(self) -> tuple[App, ...]:
        """The apps of this server's domain and owner, each name once. Raises SourceError only."""
        if not self._platform.has_apps:
            # Without an owner ListApps would return the apps of all users.
            raise self._unlisted("NoOwner", "")
        try:
            details = await self._call(self._lists, self._list_in_thread)
            found = [app for app in map(self._app, details) if app is not None]
        except Exception as error:
            code_and_message = read_error(error)
        else:
            apps: dict[str, App] = {}
            for app in found:
                # SageMaker lists a deleted app for another day. If an app of the same name was
                # created since, the name is listed twice.
                if app.id not in apps or _liveness(app) > _liveness(apps[app.id]):
                    apps[app.id] = app
            return tuple(apps.values())
        # Raised outside of the except block: a traceback would print the original error, whose text
        # can hold secrets.
        raise self._unlisted(*code_and_message)

    def _unlisted(self, code: str, message: str) -> SourceError:
        # A policy can allow ListApps only on every resource ("*").
        advice = remedy(code, message, "sagemaker:ListApps", '"*"', self._platform.region_name)
        text = sentence("SageMaker's apps cannot be listed: %1.", _describe_error(code))
        return SourceError(Unread(Snapshot.APPS, code, text, advice))

    async def delete_app(self, app: App, still_removable: FinalCheck = always) -> Outcome:
        """Delete a KernelGateway app of this server's owner, or remove this server's own app.
        Refuses everything else. Never raises. ``still_removable`` is called in the thread of the
        SageMaker calls, right before DeleteApp is sent."""
        platform = self._platform
        own = platform.own_app
        ours = app.own and own is not None and app.id == own.id
        if ours and app.type == NOTEBOOK_INSTANCE_TYPE:
            return await self._stop_instance(app, still_removable)
        if app.type != KERNEL_GATEWAY and not ours:
            detail = sentence("Apps of type %1 are never deleted.", app.type)
            advice = sentence("Delete the app in Studio.")
            return Outcome(Result.PERMANENT, detail, "NotCovered", advice)
        if not platform.has_apps and not ours:
            detail = sentence("Domain and owner of this server are not known.")
            return Outcome(Result.PERMANENT, detail, "NoOwner", remedy("NoOwner", "", "", "", ""))
        request = {
            "DomainId": platform.domain_id,
            "AppType": app.type,
            "AppName": app.name,
            **platform.owner_argument,
        }

        def delete() -> bool:
            self._connect()
            if not still_removable():
                return False
            self._invoke("DeleteApp", "delete_app", request)
            return True

        try:
            if not await self._call(self._deletions, delete):
                return kept()
        except Exception as error:
            return self._failure(app, *read_error(error))
        if ours:
            accepted = (
                f"SageMaker has accepted to delete the app of space {platform.space_name}, with "
                "this server in it. The space and its files stay."
            )
            return Outcome(Result.REMOVED, accepted)
        return Outcome(Result.REMOVED, "SageMaker is deleting the app.")

    async def list_tags(self, arn: str) -> dict[str, str]:
        """The tags of a resource. Raises boto3's exceptions, or asyncio.TimeoutError."""

        def list_page(**request: Any) -> Any:
            return self._invoke("ListTags", "list_tags", request)

        return await self._call(self._tags, lambda: all_tags(list_page, arn))

    async def describe_own(self) -> Description:
        """SageMaker's description of the app or instance in which this server runs."""
        try:
            return await self._call(self._lists, lambda: describe(self._invoke, self._platform))
        except Exception:  # no boto3, no answer: then it is not known
            return Description()

    async def _stop_instance(self, app: App, still_removable: FinalCheck) -> Outcome:
        allow = self._allow_irreversible_stop

        def stop() -> Outcome:
            self._connect()
            return stop_instance(self._invoke, app.name, allow, still_removable, self._platforms)

        try:
            return await self._call(self._deletions, stop)
        except Exception as error:
            code, message = read_error(error)
        result = classify(code, message)
        if result is Result.GONE:
            return Outcome(result, "The notebook instance was already stopped.", code)
        arn = self._platform.resource_arn or f"the notebook instance {app.name}"
        actions = "sagemaker:DescribeNotebookInstance and sagemaker:StopNotebookInstance"
        advice = remedy(code, message, actions, arn, self._platform.region_name)
        detail = sentence("Stopping %1 failed: %2.", app.name, _describe_error(code))
        return Outcome(result, detail, code, advice)

    def _failure(self, app: App, code: str, message: str) -> Outcome:
        result = classify(code, message)
        if result is Result.GONE:
            return Outcome(result, "The app was already gone.", code)
        arn = self._platform.app_arn(app)
        advice = remedy(code, message, "sagemaker:DeleteApp", arn, self._platform.region_name)
        detail = sentence("Deleting app %1 failed: %2.", app.name, _describe_error(code))
        return Outcome(result, detail, code, advice)

    def close(self) -> None:
        """End the threads. Does not wait for a call that hangs, and begins no other call."""
        for worker in self.workers:
            worker.close()

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The threads of the calls."""
        return self._lists, self._tags, self._deletions

    async def _call(self, worker: Worker, function: Callable[[], T]) -> T:
        try:
            return await worker.run(function, CALL_SECONDS)
        except asyncio.TimeoutError:
            # The abandoned thread may still hold the client's lock on the credentials.
            self._client = None
            raise
        except Exception as error:
            if read_error(error)[0] in CREDENTIALS:
                self._client = None  # a new one looks for new credentials
            raise

    # -- in a worker thread ----------------------------------------------------------------

    def _invoke(self, operation: str, method: str, request: Mapping[str, Any]) -> Any:
        client = self._connect()
        self.calls[operation] += 1
        return getattr(client, method)(**request)

    def _connect(self) -> Any:
        """The client. Making it loads boto3 and the credentials, which may take seconds."""
        client = self._client
        if client is None:
            client = self._client = make_client(self._platform.region_name, self._endpoint_url)
        return client

    def _list_in_thread(self) -> list[Any]:
        request: dict[str, Any] = {
            "DomainIdEquals": self._platform.domain_id,
            **self._platform.owner_filter,
            "MaxResults": PAGE_SIZE,
        }
        give_up_at = time.monotonic() + CALL_SECONDS  # after that, no caller waits for the list
        found: list[Any] = []
        used_tokens: set[str] = set()
        for _ in range(MOST_PAGES):
            page = self._invoke("ListApps", "list_apps", request)
            # If the body of an answer is not JSON, botocore returns an empty answer. That does not
            # mean that there are no apps.
            if "Apps" not in page:
                raise BadAnswerError
            found += page["Apps"]
            token = page.get("NextToken")
            if not token:
                return found
            if token in used_tokens or time.monotonic() > give_up_at:
                break  # SageMaker repeats a token, so the list would never end
            used_tokens.add(token)
            request["NextToken"] = token
        raise BadAnswerError

    def _app(self, detail: Any) -> App | None:
        """The app of an entry of the list; None if it belongs to another owner. The filter of the
        request should exclude such entries, but another user's app must not even be named here."""
        if not isinstance(detail, Mapping) or not detail.get("AppName"):
            return None
        platform = self._platform
        owner = str(detail.get(platform.owner_key) or "")
        # User profile names are not case sensitive (DescribeUserProfile), and one space was seen
        # in two casings. DeleteApp is given the name that we know, not this one.
        if detail.get("DomainId") != platform.domain_id or (
            owner.lower() != str(platform.owner).lower()
        ):
            return None
        if platform.owner_key == "UserProfileName" and detail.get("SpaceName"):
            return None
        spec = detail.get("ResourceSpec") or {}
        created_at = detail.get("CreationTime")
        return App(
            type=str(detail.get("AppType")),
            name=str(detail["AppName"]),
            status=str(detail.get("Status")),
            instance_type=spec.get("InstanceType"),
            image=spec.get("SageMakerImageArn") or spec.get("SageMakerImageVersionArn"),
            # botocore returns local time. Differences of local times are wrong across the change
            # to or from daylight saving time.
            created_at=created_at.astimezone(timezone.utc) if created_at else None,
        )


def all_tags(list_page: Callable[..., Any], arn: str) -> dict[str, str]:
    """The tags of a resource. ``list_page`` calls ``ListTags`` of boto3's client. Raises boto3's
    exceptions, and BadAnswerError."""
    request = {"ResourceArn": arn}
    tags: dict[str, str] = {}
    for _ in range(MOST_TAG_PAGES):
        page = list_page(**request)
        if "Tags" not in page:
            raise BadAnswerError
        tags.update({str(tag["Key"]): str(tag["Value"]) for tag in page["Tags"]})
        token = page.get("NextToken")
        if not token:
            return tags
        request["NextToken"] = token
    raise BadAnswerError


def _liveness(app: App) -> tuple[int, datetime]:
    """The order of two entries with the same name: an app that lives is greater than one that has
    ended, and then the newer is greater."""
    dead = ("Deleted", "Failed", "Deleting")
    rank = dead.index(app.status) if app.status in dead else len(dead)
    return rank, app.created_at or _NEVER


def _describe_error(code: str) -> str:
    if code == "TimedOut":
        return sentence("no answer within %1 (%2)", timedelta(seconds=CALL_SECONDS), code)
    return code
