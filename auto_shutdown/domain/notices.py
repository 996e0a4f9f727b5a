"""Sends the notices of deletions: one message a run to an SNS topic, and one EventBridge event for
each app (rules send it on to Slack, mail or a ticket system, see docs/domain.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..core.formatting import iso, printable
from ..world.aws_errors import DENIED
from .actions import TidyDecision, owners_of
from .errors import CallError
from .facts import Facts
from .pace import Aws
from .policy import DomainPolicy

#: SNS accepts 256 KB in a message, and 100 characters in its subject.
MOST_BYTES = 200_000

#: PutEvents accepts ten entries in a call.
EVENTS_A_CALL = 10

SOURCE = "auto-shutdown.domain"
DETAIL_TYPE = "Auto Shutdown Notice"


class Notifier(Protocol):
    """``send`` raises CallError unless all notices were sent."""

    def send(
        self, decisions: Sequence[TidyDecision], facts: Facts, policy: DomainPolicy
    ) -> None: ...


class AwsNotifier:
    """Sends to the topic and the event bus of the policy, each in its own region. ``aws`` returns
    the API of a region."""

    def __init__(self, aws: Callable[[str], Aws]) -> None:
        self._aws = aws

    def send(self, decisions: Sequence[TidyDecision], facts: Facts, policy: DomainPolicy) -> None:
        details = [detail(decision, person) for person, decision in owners_of(decisions, facts)]
        if policy.sns_topic_arn:
            aws = self._aws(policy.sns_topic_arn.split(":")[3])
            if not policy.event_bus:
                _check_subscriptions(aws, policy.sns_topic_arn)
            self._publish(aws, policy.sns_topic_arn, details)
        if policy.event_bus:
            self._put(self._aws(facts.regions[0]), policy.event_bus, details)

    @staticmethod
    def _publish(aws: Aws, topic: str, details: Sequence[dict[str, Any]]) -> None:
        apps = "1 app" if len(details) == 1 else f"{len(details)} apps"
        for text in messages(details):
            subject = f"Auto Shutdown: {apps} will be deleted"
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


def _check_subscriptions(aws: Aws, topic: str) -> None:
    """Raise CallError if nobody has confirmed a subscription to ``topic``. (SNS accepts messages to
    such a topic, and nobody gets them.) If the topic belongs to another account that does not allow
    this request, it counts as subscribed."""
    try:
        for answer in aws.answers("sns", "list_subscriptions_by_topic", TopicArn=topic):
            arns = [str(entry.get("SubscriptionArn")) for entry in answer.get("Subscriptions", ())]
            if any(arn.startswith("arn:") for arn in arns):
                return
    except CallError as error:
        if error.code in DENIED | {"AuthorizationError"}:
            return
        raise
    message = f"The topic {topic} has no confirmed subscription, so nobody would get the notices."
    advice = 'Subscribe an address and confirm it, or name an event_bus in "notify".'
    raise CallError("NoSubscription", message, advice)


def detail(decision: TidyDecision, person: str) -> dict[str, Any]:
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
    """The texts of the SNS messages: one line for each app, in as many messages as necessary."""
    head = (
        "These apps will be deleted soon after the time given, unless they are used by then "
        "(Canvas), get the extension, or are excepted by the policy file. Files are kept.\n\n"
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
