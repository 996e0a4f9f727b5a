"""CloudTrail's event history of CreateApp and DeleteApp. As in AWS, LookupEvents answers with the
newest events first, 50 a page, and leaves out the events of the last ``delay_seconds``."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Request = dict[str, Any]
Answer = dict[str, Any]

PAGE = 50


@dataclass(frozen=True)
class Event:
    name: str
    at: float
    request: Request


class Trail:
    """``others`` maps the X-Amz-Target of each operation to its handler."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._lock = threading.Lock()
        self.events: list[Event] = []
        #: AWS shows an event within 15 minutes.
        self.delay_seconds = 0.0
        self.others: dict[str, Callable[[Request], Answer]] = {
            "CloudTrail_20131101.LookupEvents": self.lookup_events
        }

    def record(self, name: str, request: Request, at: float | None = None) -> None:
        """Add a successful call to the history; ``at`` is its Unix time, now by default."""
        with self._lock:
            self.events.append(Event(name, time.time() if at is None else at, dict(request)))

    def lookup_events(self, request: Request) -> Answer:
        names = [a["AttributeValue"] for a in request.get("LookupAttributes") or ()]
        start = float(request.get("StartTime") or 0)
        shown = time.time() - self.delay_seconds
        with self._lock:
            found = [
                event
                for event in self.events
                if (not names or event.name in names) and start <= event.at <= shown
            ]
        found.sort(key=lambda event: -event.at)
        first = int(request.get("NextToken") or 0)
        size = int(request.get("MaxResults") or PAGE)
        answer: Answer = {"Events": [self._event(e) for e in found[first : first + size]]}
        if first + size < len(found):
            answer["NextToken"] = str(first + size)
        return answer

    def _event(self, event: Event) -> Answer:
        number = str(uuid.uuid4())
        parameters = {key[0].lower() + key[1:]: value for key, value in event.request.items()}
        record = {
            "eventSource": "sagemaker.amazonaws.com",
            "eventName": event.name,
            "awsRegion": self._region,
            "requestParameters": parameters,
            "eventID": number,
        }
        return {
            "EventId": number,
            "EventName": event.name,
            "EventSource": "sagemaker.amazonaws.com",
            "EventTime": event.at,
            "CloudTrailEvent": json.dumps(record),
        }
