"""Reads facts of the account: its number, lifecycle configurations, quotas, budgets and the bill.
Most of them are for ``domain check``. Each source is read separately, as in :mod:`.reader`."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from . import facts as f
from .errors import CallError, OutOfTimeError
from .facts import Facts, Unread
from .pace import Aws
from .resources import LifecycleConfig
from .scope import PAGE_SIZE, Scope, attempt

#: The sources that ``domain check`` reads in addition to the lists and the observations.
FOR_CHECK = frozenset({f.LIFECYCLE_CONFIGS, f.QUOTAS, f.BUDGETS, f.PROFILE_SETTINGS})

#: Cost Explorer's name of the service.
SERVICE = "Amazon SageMaker"


@dataclass
class AccountFacts:
    """The members of ``Facts`` that this module reads (``found``), and the sources that could not
    be read."""

    found: dict[str, Any] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)

    def added_to(self, facts: Facts) -> Facts:
        return replace(facts, **self.found, unread=(*facts.unread, *self.unread))


def read(aws_of: Callable[[str], Aws], scope: Scope, now: datetime, account: AccountFacts) -> None:
    """Read the sources of ``scope`` into ``account``. The bill is read up to the day of
    ``now``."""
    found, unread = account.found, account.unread
    found["account"] = _account(aws_of(scope.regions[0]))
    configs: list[LifecycleConfig] = []
    quotas: dict[tuple[str, str], float] = {}
    for region in scope.regions:
        aws = aws_of(region)
        if f.LIFECYCLE_CONFIGS in scope.sources:
            attempt(f.LIFECYCLE_CONFIGS, aws, unread, lambda aws=aws: _configs(aws, configs))  # type: ignore[misc]
        if f.QUOTAS in scope.sources:
            attempt(f.QUOTAS, aws, unread, lambda aws=aws: _quotas(aws, quotas))  # type: ignore[misc]
    first = aws_of(scope.regions[0])
    if f.BUDGETS in scope.sources:

        def budgets() -> None:
            found["budgets"] = _budgets(first, found["account"])

        attempt(f.BUDGETS, first, unread, budgets)
    if f.BILL in scope.sources:

        def bill() -> None:
            found["billed"] = read_bill(first, now, 14)

        attempt(f.BILL, first, unread, bill)
    found.update(lifecycle_configs=tuple(configs), quotas=quotas)


def _account(aws: Aws) -> str:
    """The account's number; empty if it cannot be read, because it is only shown."""
    try:
        return str(aws.call("sts", "get_caller_identity").get("Account", ""))
    except (CallError, OutOfTimeError):
        return ""


def _configs(aws: Aws, found: list[LifecycleConfig]) -> None:
    method, member = "list_studio_lifecycle_configs", "StudioLifecycleConfigs"
    listed = list(aws.pages("sagemaker", method, member, MaxResults=PAGE_SIZE))
    for entry in listed:
        name = str(entry.get("StudioLifecycleConfigName"))
        answer = aws.call(
            "sagemaker", "describe_studio_lifecycle_config", StudioLifecycleConfigName=name
        )
        try:
            content = base64.b64decode(answer.get("StudioLifecycleConfigContent") or "")
        except ValueError:
            content = b""
        found.append(
            LifecycleConfig(
                aws.region,
                name,
                str(entry.get("StudioLifecycleConfigArn")),
                str(entry.get("StudioLifecycleConfigAppType")),
                content.decode(errors="replace"),
            )
        )


def _quotas(aws: Aws, found: dict[tuple[str, str], float]) -> None:
    """Read the quotas on apps. SageMaker has thousands of others."""
    method = "list_service_quotas"
    for quota in aws.pages(
        "service-quotas", method, "Quotas", ServiceCode="sagemaker", MaxResults=100
    ):
        name = str(quota.get("QuotaName"))
        if " apps running on " in name.lower():
            found[(aws.region, name)] = float(quota.get("Value") or 0)


def _budgets(aws: Aws, account: str) -> int:
    if not account:
        message = "The account's number is not known."
        raise CallError("NoAccount", message, "Allow sts:GetCallerIdentity.")
    answer = aws.call("budgets", "describe_budgets", AccountId=account, MaxResults=100)
    return len(answer.get("Budgets") or ())


def read_bill(aws: Aws, now: datetime, days: int) -> dict[str, float]:
    """What AWS billed for SageMaker, in US dollars by day (UTC). A request costs one cent."""
    start = (now - timedelta(days=days - 1)).date()
    answer = aws.call(
        "ce",
        "get_cost_and_usage",
        TimePeriod={"Start": start.isoformat(), "End": (now.date() + timedelta(1)).isoformat()},
        Granularity="DAILY",
        Metrics=["UnblendedCost"],
        Filter={"Dimensions": {"Key": "SERVICE", "Values": [SERVICE]}},
    )
    return {
        entry["TimePeriod"]["Start"]: float(entry["Total"]["UnblendedCost"]["Amount"])
        for entry in answer.get("ResultsByTime", ())
        if entry.get("Total")
    }
