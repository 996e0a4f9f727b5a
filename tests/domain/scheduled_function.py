"""The scheduled function, called in this process against the AWS API, and its state in S3."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from account import aged
from aws_account import REGION, Account
from moto.sns.models import sns_backends

from auto_shutdown.domain.memory import Memory, from_json, to_json
from auto_shutdown.domain.pace import Aws
from auto_shutdown.domain.scheduled.handler import handle
from auto_shutdown.domain.scheduled.s3 import Bucket

BUCKET = "auto-shutdown-data"


POLICY = {
    "version": 1,
    "dry_run": False,
    "canvas": {"delete": True},
    "rstudio_sessions": {"delete": True},
}


class Context:
    """Lambda's context of one invocation with so many seconds left."""

    ids = itertools.count(1)

    def __init__(self, seconds: float = 900) -> None:
        self.seconds = seconds
        self.aws_request_id = f"request-{next(self.ids):04}"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


class Function:
    """The deployed function. ``later`` moves its clock, not that of AWS."""

    def __init__(self, account: Account, topic: str, policy_file: Path) -> None:
        self.account, self.topic, self.policy_file = account, topic, policy_file
        self.s3 = account.session.client("s3")
        self.later = timedelta(0)
        self.set_policy(POLICY)

    def set_policy(self, content: dict[str, Any]) -> None:
        self.policy_file.write_text(json.dumps(content))

    def run(self, command: str = "tidy", seconds: float = 900) -> dict[str, Any]:
        return handle({"command": command}, Context(seconds))

    @property
    def mails(self) -> list[tuple[str, str]]:
        """Subject and text of each message to the topic."""
        sent = sns_backends["123456789012"][REGION].topics[self.topic].sent_notifications
        return [(subject, text) for _, text, subject, *_ in sent]

    def memory(self) -> Memory:
        return from_json(json.loads(self.read("state.json")))

    def age_notices(self, ago: timedelta = timedelta(hours=2)) -> None:
        """Make the notices of the state older by ``ago``, instead of the world younger."""
        content = json.dumps(to_json(aged(self.memory(), ago)), indent=1)
        self.s3.put_object(Bucket=BUCKET, Key="state.json", Body=content.encode())

    def read(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def audit(self) -> list[dict[str, Any]]:
        """All lines, in order."""
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix="audit/").get("Contents", ())
        texts = [self.read(entry["Key"]).decode() for entry in found]
        return [json.loads(text) for text in "".join(texts).splitlines()]

    def deletions(self) -> int:
        return self.account.api.count("DeleteApp")


def make_idle(account: Account) -> None:
    """An idle Canvas app and an old RStudio session."""
    account.start("Canvas", 10)
    account.canvas_was_idle(200)
    account.start("RSessionGateway", 50, "session-1", UserProfileName="cleo")


def bucket_of(function: Function) -> Bucket:
    return Bucket(Aws(REGION, function.account.session), BUCKET)
