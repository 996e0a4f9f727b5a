"""Checks whether this server may read the tag with which an administrator stops all removals, and
whether the tag is set.

A server reads the tags only when a removal is due. So a missing permission would show only when an
administrator needs the tag. ``ListTags`` changes nothing, so the doctor makes the same call as the
server.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..config import provenance
from ..core.finding import Finding, failure, ok, warning
from ..core.formatting import printable
from ..world.aws_errors import CREDENTIALS, THROTTLED, remedy
from ..world.sagemaker import all_tags
from ..world.stop_switch import NOT_ALLOWED, stop_by_tag, switch_arn
from .aws_answers import Answer, ask, verdict
from .situation import Situation

CHECK = "sagemaker:ListTags"


def examine(situation: Situation, client: Any) -> Iterator[Finding]:
    """``client`` is boto3's client of SageMaker."""
    platform, tag = situation.platform, situation.traits.stop_tag
    if not platform.has_apps and platform.own_app is None:
        return  # such a server does not read the tag
    if not tag:
        yield ok(CHECK, "not needed: stop_tag is empty, so no tag stops removals")
        return
    # Without the permission, a server ignores the tag unless an administrator has configured it.
    required = situation.value(provenance.SECTION, "stop_tag") is not None
    arn = switch_arn(platform)
    if arn is None:
        advice = "To stop all removals, use stop_file instead of stop_tag on this server."
        yield _unreadable("the ARN of the domain is unknown", tag, advice, required)
        return
    answer = ask(lambda: {"tags": all_tags(client.list_tags, arn)})
    if not answer.code:
        yield ok(CHECK, f"allowed: the tag {tag} can stop all removals")
        yield from _is_set(tag, arn, answer)
    elif answer.code in CREDENTIALS | THROTTLED:  # they say nothing about the permission
        yield verdict(platform, CHECK, arn, answer)
    else:
        advice = remedy(answer.code, answer.message, CHECK, arn, platform.region_name)
        if answer.code in NOT_ALLOWED:
            yield _unreadable(f"not allowed ({answer.code})", tag, advice, required)
        else:
            yield _unreadable(f"{arn} cannot be read ({answer.code})", tag, advice, True)


def _unreadable(why: str, tag: str, advice: str, stops_removals: bool) -> Finding:
    """``stops_removals``: whether the server removes nothing while it cannot read the tag."""
    if stops_removals:
        text = f"{why}: this server cannot read the tag {tag}, so it removes nothing by itself"
        return failure(CHECK, text, advice)
    text = (
        f"{why}: if an administrator stops all removals with the tag {tag}, this server does not "
        "see it and goes on removing"
    )
    return warning(CHECK, text, advice)


def _is_set(tag: str, arn: str, answer: Answer) -> Iterator[Finding]:
    stop = stop_by_tag(tag, arn, answer.value["tags"])
    if stop is not None:
        yield warning("stop switch", printable(stop.message), printable(stop.remedy))
