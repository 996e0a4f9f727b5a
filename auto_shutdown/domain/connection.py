"""Connects a command or the scheduled function with AWS: its regions, credentials and pace, its
policy file, and the sources that each command reads."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

from . import facts as f
from . import read_account
from .errors import CallError, DomainError, PolicyError
from .facts import Facts
from .pace import Aws, Pace
from .policy import DomainPolicy, parse
from .reader import Reader
from .scope import LISTS, OBSERVATIONS, Scope, regions_of


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class Connection:
    """The APIs of the regions. ``session`` is boto3's. AWS limits the rates by account and region,
    so each region has its own pace. ``speed`` multiplies the rates. ``until``: when everything must
    end, by ``time.monotonic``."""

    session: Any
    until: float | None = None
    speed: float = 1.0
    now: Callable[[], datetime] = utc_now
    _regions: dict[str, Aws] = field(default_factory=dict)

    def aws(self, region: str) -> Aws:
        if region not in self._regions:
            pace = Pace(until=self.until, speed=self.speed)
            self._regions[region] = Aws(region, self.session, pace)
        return self._regions[region]

    def reader(self, scope: Scope) -> Reader:
        return Reader(self.aws, scope, self.now)

    def read(self, scope: Scope) -> Facts:
        """The facts, with those of the account, which are read at the same time as the lists."""
        account = read_account.AccountFacts()
        beside = partial(read_account.read, self.aws, scope, self.now(), account)
        return account.added_to(self.reader(scope).read(beside))

    def calls(self) -> int:
        """The number of requests that were sent so far."""
        return sum(sum(aws.calls.values()) for aws in self._regions.values())


def connect(
    regions: Iterable[str],
    all_regions: bool,
    profile: str | None = None,
    seconds: float | None = None,
    session: Any = None,
) -> tuple[Connection, tuple[str, ...]]:
    """A connection with the credentials that the AWS command line would use, and the regions.
    ``session``: that of an earlier connection, which has loaded boto3's service models. Raises
    DomainError."""
    try:
        from boto3.session import Session
        from botocore.exceptions import BotoCoreError
    except ImportError:
        message = "This needs boto3: pip install boto3 (1.26 or newer)."
        raise DomainError(message) from None
    try:
        # boto3 reads only AWS_DEFAULT_REGION.
        region = os.environ.get("AWS_REGION") or None
        session = session or Session(profile_name=profile, region_name=region)
        found = regions_of(session, regions, all_regions)
    except CallError as error:
        raise DomainError(str(error)) from None
    except BotoCoreError as error:
        message = f"No AWS session ({type(error).__name__}): check the profile and credentials."
        raise DomainError(message) from None
    until = None if seconds is None else time.monotonic() + seconds
    return Connection(session, until), found


def load_policy(path: Path | None) -> DomainPolicy:
    """The policy of a JSON file. Without a file, a policy that deletes nothing. Raises
    PolicyError."""
    return DomainPolicy() if path is None else read_policy(path)


def read_policy(path: Path, topic: str = "") -> DomainPolicy:
    """The policy of a JSON file. ``topic``: the SNS topic for notices if the file names none.
    Raises PolicyError."""
    return read_policy_file(path, topic)[0]


def read_policy_file(path: Path, topic: str = "") -> tuple[DomainPolicy, dict[str, Any]]:
    """As :func:`read_policy`, with the content of the file. It is read once: it may be a pipe, or
    change meanwhile. Raises PolicyError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text, object_pairs_hook=_without_duplicates)
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror or error}.") from None
    except PolicyError as error:
        raise PolicyError(f"{path}: {error}") from None
    except ValueError as error:
        raise PolicyError(f"{path} is not JSON: {error}.") from None
    completed = content
    if topic and isinstance(content, dict) and isinstance(content.get("notify", {}), dict):
        completed = {**content, "notify": {"sns_topic_arn": topic, **content.get("notify", {})}}
    try:
        return parse(completed), content
    except PolicyError as error:
        raise PolicyError(f"{path}: {error}") from None


def _without_duplicates(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Of two members with the same name, Python's parser silently drops the first,
    for example the first list of exceptions."""
    names = [name for name, _ in members]
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise PolicyError(f'"{duplicates[0]}" is given twice in the same object.')
    return dict(members)


def scope_of_report(
    regions: tuple[str, ...], policy: DomainPolicy, window: timedelta, bill: bool = False
) -> Scope:
    sources = LISTS | OBSERVATIONS | ({f.BILL} if bill else frozenset())
    return Scope(regions, policy.domains, sources, report_window=window, in_time_of_lists=True)


def scope_of_check(
    regions: tuple[str, ...], policy: DomainPolicy, window: timedelta, describe: int
) -> Scope:
    return Scope(
        regions,
        policy.domains,
        LISTS | OBSERVATIONS | read_account.FOR_CHECK,
        report_window=window,
        describe_most=describe,
        created_within=max(policy.checks.long_running + timedelta(hours=1), timedelta(hours=1)),
    )


def scope_of_tidy(regions: tuple[str, ...], policy: DomainPolicy) -> Scope:
    """CloudTrail is read back as far as the longest age limit of a rule, and as far as the age of
    the oldest notice."""
    limits = [rule.limit for name, rule in policy.rules.items() if name != "canvas" and rule.delete]
    back = max([*limits, policy.notice + timedelta(hours=24)])
    unneeded = {f.INSTANCES, f.TRACKING_SERVERS}
    return Scope(
        regions,
        policy.domains,
        (LISTS - unneeded) | OBSERVATIONS,
        created_within=back + timedelta(hours=1),
    )
