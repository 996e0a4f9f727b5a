"""Tells people what will be deleted: one message a run to an SNS topic, and one EventBridge event
for each app (from there to Slack, mail, a ticket; docs/domain.md has the rules)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from ..core.words import iso, printable
from .actions import Decision, owners_of
from .errors import CallError
from .facts import Facts
from .pace import Aws
from .policy import DomainPolicy

#: SNS takes 256 KB a message and 100 characters of subject.
MOST_BYTES = 200_000

#: PutEvents takes ten entries a call.
EVENTS_A_CALL = 10

SOURCE = "auto-shutdown.domain"
DETAIL_TYPE = "Auto Shutdown Notice"


class Notifier(Protocol):
    """``send`` raises CallError unless everybody who should know was told."""

    def send(self, decisions: Sequence[Decision], facts: Facts, policy: DomainPolicy) -> None: ...


class AwsNotifier:
    """Through the topic and the event bus of the policy, each in its own region."""

    def __init__(self, aws: Any) -> None:
        #: Gives the API of a region.
        self._aws = aws

    def send(self, decisions: Sequence[Decision], facts: Facts, policy: DomainPolicy) -> None:
        details = [detail(decision, person) for person, decision in owners_of(decisions, facts)]
        if policy.sns_topic_arn:
            region = policy.sns_topic_arn.split(":")[3]
            self._publish(self._aws(region), policy.sns_topic_arn, details)
        if policy.event_bus:
            self._put(self._aws(facts.regions[0]), policy.event_bus, details)

    @staticmethod
    def _publish(aws: Aws, topic: str, details: Sequence[dict[str, Any]]) -> None:
        for text in messages(details):
            subject = f"Auto Shutdown: {len(details)} apps will be deleted"
            aws.call("sns", "publish", TopicArn=topic, Subject=subject, Message=text)

    @staticmethod
    def _put(aws: Aws, bus: str, details: Sequence[dict[str, Any]]) -> None:
        for first in range(0, len(details), EVENTS_A_CALL):
            entries = [
                {
                    "Source": SOURCE,
                    "DetailType": DETAIL_TYPE,
                    "Detail": json.dumps(entry),
                    "EventBusName": bus,
                }
                for entry in details[first : first + EVENTS_A_CALL]
            ]
            answer = aws.call("events", "put_events", Entries=entries)
            if answer.get("FailedEntryCount"):
                codes = {e["ErrorCode"] for e in answer.get("Entries", ()) if e.get("ErrorCode")}
                message = f"EventBridge refused notices for {bus}: {', '.join(sorted(codes))}."
                raise CallError("FailedEntries", message, "Check the bus's name and policy.")


def detail(decision: Decision, person: str) -> dict[str, Any]:
    """One notice, as the event's detail."""
    item = decision.item
    return {
        "region": item.region,
        "domain_id": item.domain_id,
        "owner": person,
        "owner_kind": item.owner_kind,
        "owner_name": item.owner,
        "app_type": item.type,
        "app_name": item.name,
        "instance_type": item.instance_type,
        "rule": decision.rule,
        "why": decision.detail,
        "due_at": iso(decision.due_at),
    }


def messages(details: Sequence[dict[str, Any]]) -> list[str]:
    """The texts of the SNS messages: one line for each app, as many messages as it needs."""
    head = (
        "These apps will be deleted at the time given, unless they are used by then (Canvas), get "
        "the extension, or their owner is excepted in the policy file. Files are kept.\n\n"
    )
    texts: list[str] = []
    lines: list[str] = []
    size = 0
    for entry in details:
        line = printable(
            f"{entry['owner']}: {entry['app_type']} {entry['app_name']} in {entry['domain_id']} "
            f"({entry['region']}), at {entry['due_at']}. {entry['why']}"
        )
        if size + len(line.encode()) > MOST_BYTES and lines:
            texts.append(head + "\n".join(lines))
            lines, size = [], 0
        lines.append(line)
        size += len(line.encode()) + 1
    return [*texts, head + "\n".join(lines)]
