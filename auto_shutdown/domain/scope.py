"""What a command reads, and how a source that cannot be read is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from . import facts as f
from .errors import CallError, OutOfTimeError
from .facts import Unread
from .pace import Aws

#: The most entries that SageMaker returns in one page of a list.
PAGE_SIZE = 100

#: The sources that every command reads: SageMaker's lists, and what other services know about apps.
#: Only single commands read the other sources.
LISTS = frozenset({f.DOMAINS, f.APPS, f.PROFILES, f.SPACES, f.INSTANCES, f.TRACKING_SERVERS})
OBSERVATIONS = frozenset({f.CANVAS_METRIC, f.REPORTS, f.TAGS, f.CREATIONS})


@dataclass(frozen=True)
class Scope:
    """What to read.

    - ``domains``: empty means all.
    - ``created_within``: how far back to read CloudTrail for creations of apps.
    - ``points_within``: how far back to read the Canvas metric.
    - ``describe_most``: the number of user profiles or notebook instances that are described one by
      one (5 a second). If there are more, the source counts as unread.
    - ``in_time_of_lists``: stop reading CloudTrail when the lists have been read. CloudTrail allows
      two calls a second for 50 events each, so very many new apps would delay a report.
    """

    regions: tuple[str, ...]
    domains: frozenset[str] = frozenset()
    sources: frozenset[str] = LISTS | OBSERVATIONS
    report_window: timedelta = timedelta(hours=24)
    report_interval: timedelta = timedelta(minutes=15)
    log_group: str = "/aws/sagemaker/studio"
    created_within: timedelta = timedelta(hours=72)
    points_within: timedelta = timedelta(hours=1)
    describe_most: int = 500
    in_time_of_lists: bool = False


def attempt(source: str, aws: Aws, unread: list[Unread], work: Callable[[], None]) -> None:
    """Do ``work``. If it fails, add the source to ``unread`` with the reason."""
    try:
        work()
    except CallError as error:
        unread.append(Unread(source, aws.region, error.code, error.message, error.remedy))
    except OutOfTimeError:
        message = f"The time of the run was over before {source} were read."
        unread.append(Unread(source, aws.region, "OutOfTime", message, "Give it more time."))


def regions_of(session: Any, chosen: Iterable[str], all_regions: bool) -> tuple[str, ...]:
    """The regions to read: the chosen ones, all that botocore knows, or the session's own."""
    if all_regions:
        return tuple(sorted(session.get_available_regions("sagemaker")))
    found = tuple(dict.fromkeys(chosen)) or ((session.region_name,) if session.region_name else ())
    if not found:
        raise CallError("NoRegion", "No region is given.", "Give --region, or set AWS_REGION.")
    return found
