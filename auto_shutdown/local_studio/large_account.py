"""A large AWS account in memory: people, their spaces, and apps of every type, as they look on a
Monday morning. Nothing runs behind these apps. The same ``seed`` gives the same account.

Of the people, some forgot a Canvas app, some left RStudio sessions open for days, some run without
the extension, and one has left the company: the apps are still there, the user profile is not.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import logs_backends
from moto.sagemaker.models import sagemaker_backends

from .api import Api
from .rates import Rates
from .resources import ACCOUNT, AppRecord, Apps, Delays

DOMAIN_NAME = "science"
DOMAIN_ID = f"d-{DOMAIN_NAME}"
TEAMS = ("vision", "risk", "search", "forecast")
LOG_GROUP = "/aws/sagemaker/studio"
CANVAS_NAMESPACE = "/aws/sagemaker/Canvas/AppActivity"

#: Instance types with the share of people who choose each, in percent.
INSTANCES = {"ml.t3.medium": 62, "ml.m5.xlarge": 25, "ml.g4dn.xlarge": 9, "ml.g5.xlarge": 4}

#: The percentage of people who have an app of this type in service.
CANVAS, R_SESSION, TENSORBOARD = 2, 2, 2

#: US dollars an hour, for the amounts in report lines.
PRICES = {
    "ml.t3.medium": 0.05,
    "ml.m5.xlarge": 0.23,
    "ml.g4dn.xlarge": 0.7364,
    "ml.g5.xlarge": 1.41,
}

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@dataclass(frozen=True)
class Size:
    """The size of the account. ``apps`` includes the apps that were deleted within the last 24
    hours, because SageMaker still lists these."""

    people: int = 1_000
    apps: int = 10_000
    notebook_instances: int = 20


def environment(api: Api) -> dict[str, str]:
    """The environment variables that make AWS's programs use ``api``, which checks no
    credentials."""
    return {
        "AWS_ENDPOINT_URL": api.url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": api.region,
        "AWS_DEFAULT_REGION": api.region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def serve(root: Path) -> int:
    """Run a large account at AWS's real request rates until Ctrl-C, and print how to use it."""
    rates = Rates()
    api = Api(Apps(_nothing, _nothing, Delays(deleting=5.0)), rates=rates)
    api.side["/local-studio/calls"] = lambda: {
        "answered": dict(Counter(call.operation for call in api.calls) - Counter(rates.refused)),
        "refused": rates.refused,
    }
    LargeAccount(api).fill()
    print("A large account. In another terminal:")
    for name, value in environment(api).items():
        print(f"  export {name}={value}")
    print("and then, for example: jupyter auto-shutdown domain report", flush=True)
    threading.Event().wait()
    return 0


def _quotas(_request: dict[str, Any]) -> dict[str, Any]:
    """The answer of Service Quotas, which moto lacks."""
    limits = {"ml.t3.medium": 1000, "ml.m5.xlarge": 200, "ml.g4dn.xlarge": 75, "ml.g5.xlarge": 50}
    name = "Studio JupyterLab Apps running on {} instances"
    return {"Quotas": [{"QuotaName": name.format(t), "Value": n} for t, n in limits.items()]}


def _nothing(_app: AppRecord) -> None:
    """Start or stop an app: does nothing, because the apps of this account have no processes."""


class LargeAccount:
    """Fills an empty ``api`` with one domain, whose id is ``domain_id``."""

    domain_id = DOMAIN_ID

    def __init__(self, api: Api, size: Size | None = None, seed: int = 1) -> None:
        self.api, self.size = api, size or Size()
        self.now = datetime.now(timezone.utc)
        self._random = random.Random(seed)
        self._reports: dict[str, dict[str, Any]] = {}
        self.people = [f"user-{number:04}" for number in range(self.size.people)]
        #: The people who forgot a Canvas app, and those who use theirs.
        self.canvas_idle: list[str] = []
        self.canvas_in_use: list[str] = []
        self.gone = self.people[-1]

    def clear(self) -> None:
        """Delete the account's resources in moto, which would keep them as long as the process
        lives."""
        for backends in (sagemaker_backends, logs_backends, cloudwatch_backends):
            backends[ACCOUNT][self.api.region].reset()

    def fill(self) -> None:
        self.clear()
        self._make_domain()
        for number, person in enumerate(self.people):
            self._make_person(number, person)
        self._make_ended_apps()
        self._make_notebook_instances()
        self._write_reports()
        self.api.others["ServiceQuotasV20190624.ListServiceQuotas"] = _quotas
        self.api.operations.owners.lose("UserProfile", DOMAIN_ID, self.gone)
        self.api.calls.clear()

    def _make_domain(self) -> None:
        backend = sagemaker_backends[ACCOUNT][self.api.region]
        backend.create_domain(
            domain_name=DOMAIN_NAME,
            auth_mode="IAM",
            default_user_settings={"ExecutionRole": f"arn:aws:iam::{ACCOUNT}:role/StudioRole"},
            subnet_ids=["subnet-1"],
            vpc_id="vpc-1",
            tags=[],
            app_network_access_type="PublicInternetOnly",
            home_efs_file_system_kms_key_id="",
            kms_key_id="",
            app_security_group_management="Service",
            domain_settings={},
            default_space_settings={},
        )

    def _make_person(self, number: int, person: str) -> None:
        owners = self.api.operations.owners
        team = TEAMS[number % len(TEAMS)]
        profile = {"DomainId": DOMAIN_ID, "UserProfileName": person}
        owners.create("UserProfile", {**profile, "Tags": [{"Key": "team", "Value": team}]})
        space = f"lab-{number:04}"
        storage = {"EbsStorageSettings": {"EbsVolumeSizeInGb": 5 + 5 * (number % 4)}}
        owners.create(
            "Space",
            {
                "DomainId": DOMAIN_ID,
                "SpaceName": space,
                "OwnershipSettings": {"OwnerUserProfileName": person},
                "SpaceSharingSettings": {"SharingType": "Private"},
                "SpaceSettings": {"AppType": "JupyterLab", "SpaceStorageSettings": storage},
            },
        )
        if self._percent() < 70:
            self._make_lab(space)
        if self._percent() < CANVAS:
            self._make_canvas(person)
        if self._percent() < R_SESSION:
            self._app("RSessionGateway", person, 20 + 2 * self._percent(), name="session-1")
        if self._percent() < TENSORBOARD or person == self.gone:
            self._app("TensorBoard", person, 30 + self._percent())

    def _make_lab(self, space: str) -> None:
        """Add a JupyterLab app. Nine of ten apps have the extension, in a dry run; a third is
        idle."""
        hours = self._random.expovariate(1 / 30) + 0.5
        app = self._app("JupyterLab", space, hours, owner_kind="SpaceName")
        if self._percent() >= 90:
            return
        idle_hours = self._random.uniform(0, hours) if self._percent() < 33 else 0.0
        would = max(0.0, idle_hours - 2)
        idle_since = (self.now - idle_hours * HOUR).isoformat() if idle_hours else None
        self._reports[f"{DOMAIN_ID}/{space}/JupyterLab/default"] = {
            "idle_since": idle_since,
            "would_remove": would > 0,
            "hours": round(would, 2),
            "instance_type": app.spec["InstanceType"],
        }

    def _make_canvas(self, person: str) -> None:
        self._app("Canvas", person, 5 + self._percent(), spec={})
        if self._percent() < 60:
            self.canvas_idle.append(person)
            self.put_canvas_idle(person, timedelta(minutes=150 + 10 * self._percent()))
        else:
            self.canvas_in_use.append(person)
            self.put_canvas_idle(person, timedelta(minutes=self._percent() / 5))

    def put_canvas_idle(self, person: str, idle: timedelta, ago: timedelta = MINUTE) -> None:
        """Add a point of the Canvas metric that is ``ago`` old: ``person`` was idle for ``idle``
        then."""
        names = {"DomainId": DOMAIN_ID, "UserProfileName": person}
        cloudwatch_backends[ACCOUNT][self.api.region].put_metric_data(
            CANVAS_NAMESPACE,
            [
                {
                    "MetricName": "TimeSinceLastActive",
                    "Dimensions": [{"Name": n, "Value": v} for n, v in names.items()],
                    # moto compares it with instants that have no time zone.
                    "Timestamp": (datetime.now(timezone.utc) - ago).replace(tzinfo=None),
                    "Value": idle.total_seconds(),
                    "Unit": "Seconds",
                }
            ],
        )

    def _make_ended_apps(self) -> None:
        """Add apps that were deleted within the last day, until there are ``size.apps`` apps."""
        types = ("KernelGateway", "JupyterLab", "JupyterServer")
        for number in range(max(0, self.size.apps - len(self.api.apps.all()))):
            person = self.people[number % len(self.people)]
            hours = self._random.uniform(1, 23)
            name = f"ended-{number:05}"
            app = self._app(types[number % 3], person, hours + 2, name=name, status="Deleted")
            app.deleted_at = self.now - hours * HOUR

    def _make_notebook_instances(self) -> None:
        backend = sagemaker_backends[ACCOUNT][self.api.region]
        for number in range(self.size.notebook_instances):
            backend.create_notebook_instance(
                notebook_instance_name=f"notebook-{number:02}",
                instance_type="ml.t3.medium",
                role_arn=f"arn:aws:iam::{ACCOUNT}:role/StudioRole",
            )

    def _write_reports(self) -> None:
        logs = logs_backends[ACCOUNT][self.api.region]
        logs.create_log_group(LOG_GROUP, {})
        for stream, about in self._reports.items():
            logs.create_log_stream(LOG_GROUP, stream)
            events = list(self._lines(about))
            logs.groups[LOG_GROUP].put_log_events(stream, events)

    def _lines(self, about: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Add the first and the newest report line of one server."""
        app = {"type": "JupyterLab", "name": "default", "action": "keep", "reason": "idle"}
        for minutes, share in ((600, 0.0), (4, 1.0)):
            at = self.now - timedelta(minutes=minutes)
            hours = about["hours"] * share
            line = {
                "auto_shutdown_report": 1,
                "at": at.isoformat(),
                "version": "0.1.0",
                "health": "ok",
                "enabled": True,
                "dry_run": True,
                "apps": [
                    {
                        **app,
                        "idle_since": about["idle_since"],
                        "would_remove": about["would_remove"],
                    }
                ],
                "saved": {"instance_hours": 0, "usd": 0, "unpriced_hours": 0},
                "would_remove": {"app": int(about["would_remove"])},
                "would_save": {
                    "instance_hours": hours,
                    "usd": round(hours * PRICES[about["instance_type"]], 2),
                    "unpriced_hours": 0,
                },
            }
            message = json.dumps(line, separators=(",", ":"))
            yield {"timestamp": int(at.timestamp() * 1000), "message": message}

    def _app(
        self,
        app_type: str,
        owner: str,
        hours: float,
        *,
        name: str = "default",
        owner_kind: str = "UserProfileName",
        status: str = "InService",
        spec: dict[str, Any] | None = None,
    ) -> AppRecord:
        if spec is None:
            (instance,) = self._random.choices(list(INSTANCES), list(INSTANCES.values()))
            spec = {"InstanceType": "system" if app_type == "JupyterServer" else instance}
        created = self.now - hours * HOUR
        app = AppRecord(DOMAIN_ID, (owner_kind, owner), app_type, name, spec, created, status)
        self.api.apps.put(app)
        names = {"DomainId": DOMAIN_ID, owner_kind: owner, "AppType": app_type, "AppName": name}
        self.api.trail.record("CreateApp", names, created.timestamp())
        return app

    def _percent(self) -> int:
        return self._random.randrange(100)
