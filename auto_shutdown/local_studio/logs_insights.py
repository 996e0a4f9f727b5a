"""CloudWatch Logs Insights for one form of query. moto stores log events, but does not implement
the query language.

The form is ``filter @message like 'TEXT'`` with ``stats latest(@message) as A, earliest(@message)
as B by @logStream``. Every other query is refused, so that no test passes with a query that AWS
would interpret differently."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable
from typing import Any

from moto.logs.models import logs_backends

from .resources import ACCOUNT, ApiError

Request = dict[str, Any]
Answer = dict[str, Any]

_QUERY = re.compile(
    r"fields @timestamp, @message, @logStream"
    r" \| filter @message like '(?P<text>[^']*)'"
    r" \| stats latest\(@message\) as (?P<latest>\w+), earliest\(@message\) as (?P<earliest>\w+)"
    r" by @logStream"
)

MOST_ROWS = 10_000


class LogsInsights:
    """``others`` maps the X-Amz-Target of each operation to its handler. ``running`` is how often
    GetQueryResults answers "Running" before it answers with the result."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._lock = threading.Lock()
        self._results: dict[str, list[list[Answer]]] = {}
        self._asked: dict[str, int] = {}
        self.running = 1
        self.others: dict[str, Callable[[Request], Answer]] = {
            "Logs_20140328.StartQuery": self.start_query,
            "Logs_20140328.GetQueryResults": self.get_query_results,
        }

    def start_query(self, request: Request) -> Answer:
        found = _QUERY.fullmatch(request["queryString"])
        if found is None:
            raise ApiError("MalformedQueryException", "Only one form of query is understood here.")
        name = request["logGroupName"]
        groups = logs_backends[ACCOUNT][self._region].groups
        if name not in groups:
            message = "The specified log group does not exist."
            raise ApiError("ResourceNotFoundException", message)
        limit = int(request.get("limit") or MOST_ROWS)
        span = (request["startTime"] * 1000, request["endTime"] * 1000)
        rows = _rows(groups[name], found, span)[:limit]
        number = str(uuid.uuid4())
        with self._lock:
            self._results[number] = rows
        return {"queryId": number}

    def get_query_results(self, request: Request) -> Answer:
        number = request["queryId"]
        with self._lock:
            if number not in self._results:
                raise ApiError("ResourceNotFoundException", "There is no such query.")
            self._asked[number] = self._asked.get(number, 0) + 1
            if self._asked[number] <= self.running:
                return {"status": "Running", "results": []}
            return {"status": "Complete", "results": self._results[number]}


def _rows(group: Any, query: re.Match[str], span: tuple[int, int]) -> list[list[Answer]]:
    found = []
    for name, stream in list(group.streams.items()):
        events = [
            event
            for event in stream.events
            if span[0] <= event.timestamp <= span[1] and query["text"] in event.message
        ]
        if not events:
            continue
        events.sort(key=lambda event: event.timestamp)
        fields = {
            "@logStream": name,
            query["latest"]: events[-1].message,
            query["earliest"]: events[0].message,
        }
        found.append([{"field": key, "value": value} for key, value in fields.items()])
    return found
