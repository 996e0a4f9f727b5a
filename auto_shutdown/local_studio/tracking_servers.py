"""MLflow tracking servers, which moto lacks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .resources import ACCOUNT, ApiError, page

Request = dict[str, Any]
Answer = dict[str, Any]


class TrackingServers:
    """The tracking servers of one region, created and deleted without delay. ``table`` maps the
    names of their operations to handlers."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._servers: dict[str, Answer] = {}
        self.table: dict[str, Callable[[Request], Answer]] = {
            "CreateMlflowTrackingServer": self.create,
            "DescribeMlflowTrackingServer": self.describe,
            "ListMlflowTrackingServers": self.list,
            "DeleteMlflowTrackingServer": self.delete,
        }

    def create(self, request: Request) -> Answer:
        name = request["TrackingServerName"]
        if name in self._servers:
            raise ApiError("ResourceInUse", f"Tracking server [{name}] already exists.")
        arn = f"arn:aws:sagemaker:{self._region}:{ACCOUNT}:mlflow-tracking-server/{name}"
        now = time.time()
        self._servers[name] = {
            "TrackingServerArn": arn,
            "TrackingServerName": name,
            "TrackingServerSize": request.get("TrackingServerSize", "Small"),
            "TrackingServerStatus": "Created",
            "IsActive": "Active",
            "MlflowVersion": request.get("MlflowVersion", "2.16.2"),
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        return {"TrackingServerArn": arn}

    def describe(self, request: Request) -> Answer:
        name = request["TrackingServerName"]
        if name not in self._servers:
            raise ApiError("ResourceNotFound", f"Tracking server [{name}] does not exist.")
        return self._servers[name]

    def list(self, request: Request) -> Answer:
        hidden = "TrackingServerSize"
        found = [{k: v for k, v in s.items() if k != hidden} for s in self._servers.values()]
        return page("TrackingServerSummaries", found, request)

    def delete(self, request: Request) -> Answer:
        arn = self.describe(request)["TrackingServerArn"]
        del self._servers[request["TrackingServerName"]]
        return {"TrackingServerArn": arn}
