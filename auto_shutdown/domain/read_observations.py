"""Reads what other AWS services than SageMaker know about apps: the Canvas metric (CloudWatch), the
report lines of servers (CloudWatch Logs), tags, and the creations of apps (CloudTrail)."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from . import facts as f
from .errors import CallError
from .facts import Unread
from .observations import RESOLUTION, Point, ServerReport
from .pace import Aws
from .report_lines import MARKER, server_report
from .resources import (
    APP,
    IN_SERVICE,
    JUPYTER_SERVER,
    KERNEL_GATEWAY,
    SPACE,
    USER_PROFILE,
    Item,
    ItemKey,
)
from .scope import Scope, attempt

#: The number of queries that GetMetricData accepts in a call.
METRICS_A_CALL = 500

#: The number of rows that one query of Logs Insights returns at most.
MOST_STREAMS = 10_000

#: How often to ask for the result of a query of Logs Insights at most, and how long to wait in
#: between. Such a query takes seconds.
MOST_LOOKS = 60
LOOK_SECONDS = 1.0

#: CloudTrail returns the newest events first. If this many pages of 50 events are not enough, the
#: source counts as unread.
MOST_PAGES = 400

_STREAM = re.compile(r"(?P<domain>d-[a-z0-9-]+)/(?P<owner>[^/]+)/(?P<type>[^/]+)/(?P<name>[^/]+)")


@dataclass
class Observations:
    """What was read in one region. The members are those of ``Facts`` with the same names."""

    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    creations: dict[ItemKey, datetime] = field(default_factory=dict)
    creations_since: dict[str, datetime] = field(default_factory=dict)
    reports: tuple[ServerReport, ...] = ()
    canvas: dict[ItemKey, tuple[Point, ...]] = field(default_factory=dict)


def read(
    aws: Aws,
    scope: Scope,
    now: datetime,
    observations: Observations,
    unread: list[Unread],
    enough: Callable[[], bool],
) -> None:
    """Fill ``observations``, apart from ``canvas``, which needs SageMaker's list of apps.

    CloudTrail is read back from ``now`` as far as the scope says, or until ``enough`` returns true.
    """

    def tags() -> None:
        observations.tags = read_tags(aws)

    def creations() -> None:
        back_to = now - scope.created_within
        observations.creations, reached = read_creations(aws, back_to, enough)
        observations.creations_since = {aws.region: reached}

    def reports() -> None:
        observations.reports = read_reports(aws, scope.log_group, now - scope.report_window, now)

    for source, work in ((f.REPORTS, reports), (f.TAGS, tags), (f.CREATIONS, creations)):
        if source in scope.sources:
            attempt(source, aws, unread, work)


# -- Canvas ------------------------------------------------------------------------------------


def read_canvas(
    aws: Aws, apps: Sequence[Item], start: datetime, end: datetime
) -> dict[ItemKey, tuple[Point, ...]]:
    """The points of the Canvas metric by app, without apps that have none.

    The metric is recorded for a user profile. So an app of a space has no points, even if the space
    has the name of a user profile.
    """
    alive = [app for app in apps if app.status == IN_SERVICE and app.owner_kind == USER_PROFILE]
    found: dict[ItemKey, list[Point]] = {}
    for first in range(0, len(alive), METRICS_A_CALL):
        batch = alive[first : first + METRICS_A_CALL]
        queries = [_query(number, app) for number, app in enumerate(batch)]
        request: dict[str, Any] = {
            "MetricDataQueries": queries,
            "StartTime": start,
            "EndTime": end + RESOLUTION,
        }
        for answer in aws.answers("cloudwatch", "get_metric_data", **request):
            for result in answer.get("MetricDataResults", ()):
                app = batch[int(result["Id"][1:])]
                pairs = zip(result.get("Timestamps", ()), result.get("Values", ()))
                points = found.setdefault(app.key, [])
                points += [
                    Point(at.astimezone(timezone.utc), timedelta(seconds=float(value)))
                    for at, value in pairs
                ]
    return {key: tuple(sorted(p, key=lambda x: x.at)) for key, p in found.items() if p}


def _query(number: int, app: Item) -> dict[str, Any]:
    return {
        "Id": f"m{number}",
        "MetricStat": {
            "Metric": {
                "Namespace": "/aws/sagemaker/Canvas/AppActivity",
                "MetricName": "TimeSinceLastActive",
                "Dimensions": [
                    {"Name": "DomainId", "Value": app.domain_id},
                    {"Name": "UserProfileName", "Value": app.owner},
                ],
            },
            "Period": int(RESOLUTION.total_seconds()),
            "Stat": "Minimum",
        },
        "ReturnData": True,
    }


# -- report lines ------------------------------------------------------------------------------


def read_reports(
    aws: Aws, log_group: str, start: datetime, end: datetime
) -> tuple[ServerReport, ...]:
    """The newest report line of each server between ``start`` and ``end``, with one query for all
    users. The savings in it are the growth from the server's first line to its newest line."""
    query = (
        "fields @timestamp, @message, @logStream"
        f" | filter @message like '{MARKER}'"
        " | stats latest(@message) as newest, earliest(@message) as first by @logStream"
    )
    request = {
        "logGroupName": log_group,
        "startTime": int(start.timestamp()),
        "endTime": int(end.timestamp()) + 1,
        "queryString": query,
        "limit": MOST_STREAMS,
    }
    try:
        query_id = aws.call("logs", "start_query", **request)["queryId"]
    except CallError as error:
        if error.code != "ResourceNotFoundException":
            raise
        message = f"The log group {log_group} does not exist in {aws.region}."
        advice = "Studio makes it with the first app. Turn AutoShutdown.report_to_log on."
        raise CallError(error.code, message, advice) from None
    rows = _result(aws, query_id)
    if len(rows) >= MOST_STREAMS:
        message = f"More than {MOST_STREAMS} servers reported in {aws.region}."
        raise CallError("TooMany", message, "Read a shorter time: --reports-within.")
    return tuple(report for row in rows if (report := _of_row(aws.region, row)) is not None)


def _result(aws: Aws, query_id: str) -> list[Mapping[str, str]]:
    for _ in range(MOST_LOOKS):
        answer = aws.call("logs", "get_query_results", queryId=query_id)
        status = answer.get("status")
        if status == "Complete":
            return [{c["field"]: c["value"] for c in row} for row in answer.get("results", ())]
        if status not in ("Scheduled", "Running", "Unknown"):
            break
        aws.pace.rest(LOOK_SECONDS / aws.pace.speed)
    message = f"The query of CloudWatch Logs Insights in {aws.region} did not complete ({status})."
    raise CallError("QueryFailed", message, "Run it again, or read a shorter time.")


def _of_row(region: str, row: Mapping[str, str]) -> ServerReport | None:
    place = _STREAM.match(row.get("@logStream", ""))
    if place is None:
        return None
    return server_report(region, place, row.get("newest", ""), row.get("first", ""))


def read_newest_report(
    aws: Aws, log_group: str, item: Item, start: datetime, end: datetime
) -> ServerReport | None:
    """The newest report line of the server that watches one app since ``start``; None if there is
    none."""
    app_type = JUPYTER_SERVER if item.type == KERNEL_GATEWAY else item.type
    newest = None
    # The log streams of one space were seen in two casings, and the prefix is case-sensitive.
    for owner in sorted({item.owner, item.owner.lower()}):
        request: dict[str, Any] = {
            "logGroupName": log_group,
            "logStreamNamePrefix": f"{item.domain_id}/{owner}/{app_type}/",
            "filterPattern": f'"{MARKER}"',
            "startTime": int(start.timestamp() * 1000),
            "endTime": int(end.timestamp() * 1000),
        }
        for report in _filtered(aws, request):
            if newest is None or report.at > newest.at:
                newest = report
    return newest


def _filtered(aws: Aws, request: dict[str, Any]) -> Iterator[ServerReport]:
    while True:
        answer = aws.call("logs", "filter_log_events", **request)
        for event in answer.get("events", ()):
            place = _STREAM.match(event.get("logStreamName", ""))
            report = server_report(aws.region, place, event.get("message", "")) if place else None
            if report is not None:
                yield report
        if not answer.get("nextToken"):
            return
        request["nextToken"] = answer["nextToken"]


# -- tags --------------------------------------------------------------------------------------


def read_tags(aws: Aws, key: str = "") -> dict[str, dict[str, str]]:
    """The tags of SageMaker's resources in the region, by the last part of the ARN in lower case.
    (In some of these ARNs, AWS writes app types in lower case.) ``key``: only resources that have
    this tag."""
    found = {}
    request: dict[str, Any] = {"ResourceTypeFilters": ["sagemaker"], "ResourcesPerPage": 100}
    if key:
        request["TagFilters"] = [{"Key": key}]
    seen: set[str] = set()
    while True:
        answer = aws.call("resourcegroupstaggingapi", "get_resources", **request)
        if "ResourceTagMappingList" not in answer:
            raise CallError("BadAnswer", "tag:GetResources gave no list.", "Run it again.")
        for mapping in answer["ResourceTagMappingList"]:
            resource = mapping["ResourceARN"].split(":", 5)[-1].lower()
            found[resource] = {tag["Key"]: tag["Value"] for tag in mapping.get("Tags", ())}
        token = answer.get("PaginationToken")
        if not token or token in seen:
            return found
        seen.add(token)
        request["PaginationToken"] = token


# -- CloudTrail --------------------------------------------------------------------------------


def read_creations(
    aws: Aws, back_to: datetime, enough: Callable[[], bool] = lambda: False
) -> tuple[dict[ItemKey, datetime], datetime]:
    """When each app was last created, from the CreateApp events since ``back_to``. The second value
    is the instant since which all events were read: ``back_to``, or a later instant if ``enough``
    returned true between two pages and the reading stopped. Raises CallError if the events cannot
    be read."""
    found: dict[ItemKey, datetime] = {}
    request: dict[str, Any] = {
        "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateApp"}],
        "StartTime": back_to,
        "MaxResults": 50,
    }
    answers = aws.answers("cloudtrail", "lookup_events", **request)
    for answer in itertools.islice(answers, MOST_PAGES):
        oldest = None
        for event in answer.get("Events", ()):
            at = event.get("EventTime")
            if not isinstance(at, datetime):
                continue
            oldest = at = at.astimezone(timezone.utc)
            key = _created(aws.region, event)
            if key is not None:
                found[key] = max(at, found.get(key, at))
        if not answer.get("NextToken"):
            return found, back_to
        if oldest is not None and enough():
            return found, max(oldest, back_to)
    message = f"CloudTrail has more than {MOST_PAGES * 50} CreateApp events since {back_to:%F}."
    raise CallError("TooMany", message, "Use shorter age_hours in the policy.")


def _created(region: str, event: Mapping[str, Any]) -> ItemKey | None:
    """The app of a CreateApp event. None if the creation failed, or if the event is not SageMaker's
    (Amplify has an operation CreateApp, too)."""
    try:
        record = json.loads(event.get("CloudTrailEvent") or "{}")
    except ValueError:
        return None
    asked = record.get("requestParameters") or {}
    ours = record.get("eventSource") == "sagemaker.amazonaws.com" and not record.get("errorCode")
    space, profile = asked.get("spaceName"), asked.get("userProfileName")
    if not ours or not (space or profile):
        return None
    kind = SPACE if space else USER_PROFILE
    owner = str(space or profile).lower()
    names = (str(asked.get(name)) for name in ("appType", "appName"))
    return ItemKey(region, APP, str(asked.get("domainId")), kind, owner, *names)
