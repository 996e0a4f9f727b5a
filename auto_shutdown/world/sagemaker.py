"""SageMaker's apps, through boto3 in a worker thread.

boto3 is imported in that thread when first needed (0.3 to 0.5 s of CPU and 40 MB): importing this
module loads nothing of it, and no call ever runs on the event loop.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..core.model import KERNEL_GATEWAY, App, Outcome, Result, Snapshot, Unread
from .aws_errors import CREDENTIALS, classify, remedy
from .platform import Platform
from .worker import Worker

T = TypeVar("T")

#: Seconds. No retries of botocore's that block for minutes: the controller backs off by itself.
CONNECT_SECONDS = 3
READ_SECONDS = 15
CALL_SECONDS = 40.0
ATTEMPTS = 2

PAGE_SIZE = 100
MOST_PAGES = 100

#: botocore reads this variable itself from 1.31 on; older ones are told.
ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_SAGEMAKER"


class SourceError(Exception):
    """A source that cannot be read; ``unread`` says why and what to do."""

    def __init__(self, unread: Unread) -> None:
        super().__init__(unread.message)
        self.unread = unread


class MalformedAnswerError(Exception):
    """An answer without what must be in it."""


class SageMaker:
    """Lists and deletes the apps of one owner. ``calls`` counts the API calls by operation."""

    def __init__(self, platform: Platform, endpoint_url: str | None = None) -> None:
        self._platform = platform
        self._endpoint_url = endpoint_url
        self._worker = Worker("auto-shutdown-sagemaker")
        self._client: Any = None
        self.calls: Counter[str] = Counter()

    async def list_apps(self) -> tuple[App, ...]:
        """The apps of our own domain and owner, each name once. Raises SourceError."""
        try:
            details = await self._call(self._list_in_thread)
        except Exception as error:
            code, message = _code_and_message(error)
            arn = f"arn:{self._platform.partition}:sagemaker:*:*:app/*"
            advice = remedy(
                code, message, "sagemaker:ListApps", f'"*" ({arn})', self._platform.region_name
            )
            text = f"SageMaker's apps cannot be listed: {code}."
            raise SourceError(Unread(Snapshot.APPS, code, text, advice)) from error
        apps: dict[str, App] = {}
        for detail in details:
            app = self._app(detail)
            # A name used again is listed twice, once Deleted; the living one counts.
            if app is not None and (app.id not in apps or apps[app.id].status == "Deleted"):
                apps[app.id] = app
        return tuple(apps.values())

    async def delete_app(self, app: App) -> Outcome:
        """Delete a KernelGateway app of the own owner. Never raises; refuses anything else."""
        if app.type != KERNEL_GATEWAY:
            detail = f"Apps of type {app.type} are never deleted."
            return Outcome(Result.PERMANENT, detail, "NotCovered", "Delete it in Studio.")
        if not self._platform.has_apps:
            detail = "Domain and owner of this server are not known."
            return Outcome(Result.PERMANENT, detail, "NoOwner", "Set AutoShutdown.domain_id.")
        request = {
            "DomainId": self._platform.domain_id,
            "AppType": app.type,
            "AppName": app.name,
            self._platform.owner_key: self._platform.owner,
        }
        try:
            await self._call(lambda: self._invoke("DeleteApp", "delete_app", request))
        except Exception as error:
            return self._failure(app, *_code_and_message(error))
        return Outcome(Result.REMOVED, "SageMaker is deleting the app.")

    def _failure(self, app: App, code: str, message: str) -> Outcome:
        result = classify(code, message)
        if result is Result.GONE:
            return Outcome(result, "The app was already gone.", code)
        arn = self._platform.app_arn(app)
        advice = remedy(code, message, "sagemaker:DeleteApp", arn, self._platform.region_name)
        return Outcome(result, f"Deleting app {app.name} failed: {code}.", code, advice)

    def close(self) -> None:
        """End the thread; a call that hangs is not waited for."""
        self._worker.close()

    async def _call(self, function: Callable[[], T]) -> T:
        try:
            return await self._worker.run(function, CALL_SECONDS)
        except asyncio.TimeoutError:
            self._client = None  # its connection may be the one that hangs
            raise
        except Exception as error:
            if _code_and_message(error)[0] in CREDENTIALS:
                self._client = None  # a new one looks for new credentials
            raise

    # -- in the worker thread ----------------------------------------------------------------

    def _invoke(self, operation: str, method: str, request: Mapping[str, Any]) -> Any:
        client = self._client
        if client is None:
            client = self._client = self._make_client()
        self.calls[operation] += 1
        return getattr(client, method)(**request)

    def _make_client(self) -> Any:
        from boto3.session import Session
        from botocore.config import Config

        # Not the default session, which is the host's and is not safe between threads.
        return Session().client(
            "sagemaker",
            region_name=self._platform.region_name,
            endpoint_url=self._endpoint_url or os.environ.get(ENDPOINT_VARIABLE) or None,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            ),
        )

    def _list_in_thread(self) -> list[Mapping[str, Any]]:
        platform = self._platform
        request: dict[str, Any] = {
            "DomainIdEquals": platform.domain_id,
            f"{platform.owner_key}Equals": platform.owner,
            "MaxResults": PAGE_SIZE,
        }
        found: list[Mapping[str, Any]] = []
        for _ in range(MOST_PAGES):
            page = self._invoke("ListApps", "list_apps", request)
            if "Apps" not in page:
                # botocore reads a body that is no JSON (a proxy's page) as an empty answer, and
                # no apps at all is not what that means.
                raise MalformedAnswerError
            found += page["Apps"]
            if not page.get("NextToken"):
                return found
            request["NextToken"] = page["NextToken"]
        raise RuntimeError("ListApps did not come to an end")

    def _app(self, detail: Mapping[str, Any]) -> App | None:
        """None for what is not ours, whatever the filter should have done: somebody else's app
        must not even be named here."""
        platform = self._platform
        owner = str(detail.get(platform.owner_key) or "")
        # User profile names are not case sensitive (DescribeUserProfile), spaces come in both.
        if detail.get("DomainId") != platform.domain_id or (
            owner.lower() != str(platform.owner).lower()
        ):
            return None
        if platform.owner_key == "UserProfileName" and detail.get("SpaceName"):
            return None
        spec = detail.get("ResourceSpec") or {}
        return App(
            type=str(detail.get("AppType")),
            name=str(detail.get("AppName")),
            status=str(detail.get("Status")),
            instance_type=spec.get("InstanceType"),
            image=spec.get("SageMakerImageArn") or spec.get("SageMakerImageVersionArn"),
            created_at=detail.get("CreationTime"),
        )


def _code_and_message(error: BaseException) -> tuple[str, str]:
    """An AWS code and text, or the exception's name for what never reached AWS. Texts are used
    to tell errors apart and are not shown: they can carry what belongs in no log."""
    if isinstance(error, asyncio.TimeoutError):
        return "TimedOut", ""
    if isinstance(error, ImportError):
        return "NoBoto3", ""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping) and isinstance(response.get("Error"), Mapping):
        details = response["Error"]
        return str(details.get("Code") or type(error).__name__), str(details.get("Message") or "")
    return type(error).__name__, ""
