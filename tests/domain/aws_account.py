"""One AWS account of the local API, and what happens in it."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from typing import Any

from auto_shutdown.local_studio.api import Api

REGION = "us-west-2"
ROLE = "arn:aws:iam::123456789012:role/StudioRole"


class Account:
    """One AWS account of the local API, and what happens in it. Domain ``d-one`` has the user
    profiles ada (team red), bob and cleo, and ada's space lab."""

    def __init__(self, api: Api, session: Any) -> None:
        self.api, self.session = api, session
        self.sagemaker = session.client("sagemaker")
        self._put = session.client("cloudwatch").put_metric_data
        self._logs = session.client("logs")
        self.make_domain("one")
        for name, tags in (("ada", [{"Key": "team", "Value": "red"}]), ("bob", []), ("cleo", [])):
            self.sagemaker.create_user_profile(DomainId="d-one", UserProfileName=name, Tags=tags)
        self.make_space("lab", "ada")

    def make_domain(self, name: str) -> None:
        self.sagemaker.create_domain(
            DomainName=name,
            AuthMode="IAM",
            DefaultUserSettings={"ExecutionRole": ROLE},
            SubnetIds=["subnet-1"],
            VpcId="vpc-1",
        )

    def make_topic(self, name: str = "topic") -> str:
        """The ARN of an SNS topic to which an address is subscribed."""
        sns = self.session.client("sns")
        topic = str(sns.create_topic(Name=name)["TopicArn"])
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="studio@example.com")
        return topic

    def make_space(self, name: str, owner: str, domain_id: str = "d-one") -> None:
        self.sagemaker.create_space(
            DomainId=domain_id,
            SpaceName=name,
            OwnershipSettings={"OwnerUserProfileName": owner},
            SpaceSharingSettings={"SharingType": "Private"},
            SpaceSettings={
                "AppType": "JupyterLab",
                "SpaceStorageSettings": {"EbsStorageSettings": {"EbsVolumeSizeInGb": 5}},
            },
        )

    def start(self, app_type: str, hours: float = 0.0, name: str = "default", **owner: str) -> Any:
        """An app in service that was created so many hours ago; its record."""
        request = {
            "DomainId": "d-one",
            "AppType": app_type,
            "AppName": name,
            "ResourceSpec": {"InstanceType": "ml.m5.large"},
        }
        ((owner_kind, owner_name),) = (owner or {"UserProfileName": "bob"}).items()
        self.sagemaker.create_app(**request, **{owner_kind: owner_name})
        key = ("d-one", (owner_kind, owner_name), app_type, name)
        record = self.api.apps.find(key)
        assert record is not None
        self.wait_for(lambda: record.status == "InService")
        ago = timedelta(hours=hours)
        record.created_at = datetime.now(timezone.utc) - ago
        event = self.api.trail.events.pop()
        self.api.trail.record(event.name, event.request, event.at - ago.total_seconds())
        return record

    def canvas_was_idle(
        self, minutes: float, owner: str = "bob", ago: float = 1.0, domain_id: str = "d-one"
    ) -> None:
        """A point of the Canvas metric, ``ago`` minutes old."""
        metric = {
            "MetricName": "TimeSinceLastActive",
            "Dimensions": [
                {"Name": "DomainId", "Value": domain_id},
                {"Name": "UserProfileName", "Value": owner},
            ],
            "Timestamp": datetime.now(timezone.utc) - timedelta(minutes=ago),
            "Value": minutes * 60,
            "Unit": "Seconds",
        }
        self._put(Namespace="/aws/sagemaker/Canvas/AppActivity", MetricData=[metric])

    def log(self, stream: str, *lines: Any, ago: float = 60.0) -> None:
        """Lines in the log stream of a server, ``ago`` seconds old."""
        group = "/aws/sagemaker/studio"
        names = [g["logGroupName"] for g in self._logs.describe_log_groups()["logGroups"]]
        if group not in names:
            self._logs.create_log_group(logGroupName=group)
        streams = self._logs.describe_log_streams(logGroupName=group)["logStreams"]
        if stream not in [s["logStreamName"] for s in streams]:
            self._logs.create_log_stream(logGroupName=group, logStreamName=stream)
        at = int((time.time() - ago) * 1000)
        texts = [t if isinstance(t, str) else json.dumps(t, separators=(",", ":")) for t in lines]
        events = [{"timestamp": at + n, "message": text} for n, text in enumerate(texts)]
        self._logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def lose_owner(self, name: str, kind: str = "UserProfile") -> None:
        """A user profile or space vanishes although it has apps, as after deletions by force."""
        self.api.operations.owners.lose(kind, "d-one", name)

    def statuses(self) -> dict[str, str]:
        return {f"{a.owner[1]}/{a.type}": a.status for a in self.api.apps.all()}

    @staticmethod
    def wait_for(condition: Any) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def line(**more: Any) -> dict[str, Any]:
    """A report line as a server writes it."""
    return {
        "auto_shutdown_report": 1,
        "at": datetime.now(timezone.utc).isoformat(),
        "version": "1.0",
        "health": "ok",
        "enabled": True,
        "dry_run": False,
        "apps": [],
        "saved": {"instance_hours": 0, "usd": 0, "unpriced_hours": 0},
        **more,
    }
