"""The IAM permissions that each ``domain`` command needs, and no more. Pure.

The lists of SageMaker, CloudTrail's event history, tags and metrics support neither resources nor
conditions, so their resource is ``*`` (Service Authorization Reference). The commands also call
``sts:GetCallerIdentity``, which needs no permission.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .policy import DomainPolicy

Statement = dict[str, Any]

COMMANDS = ("report", "check", "tidy", "teardown")

#: The log group of Studio's servers, which holds the report lines.
LOG_GROUP = "/aws/sagemaker/studio"


@dataclass(frozen=True)
class Where:
    """The limits of a policy. ``domains``: empty means all domains. The texts may be pseudo
    parameters of CloudFormation (``${AWS::Region}``)."""

    partition: str = "aws"
    region: str = "*"
    account: str = "*"
    domains: tuple[str, ...] = ()

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def sagemaker(self, kind: str, below: str = "") -> list[str]:
        """The resources of ``kind`` that belong to the domains. ``below`` is the ARN's part below
        the domain's id."""
        return [
            self.arn("sagemaker", f"{kind}/{domain}{below}") for domain in self.domains or ("*",)
        ]


def report(where: Where, bill: bool = False) -> list[Statement]:
    """``domain report``. ``bill``: with the daily bill of Cost Explorer."""
    lists = ["ListMlflowTrackingServers", "ListNotebookInstances"]
    return [
        _allow("Lists", [*_sagemaker(*_LISTS, *lists), *_OBSERVATIONS], ["*"]),
        *_observations(where),
        _allow(
            "DescribeNotebookInstances",
            _sagemaker("DescribeNotebookInstance"),
            [where.arn("sagemaker", "notebook-instance/*")],
        ),
        *([_allow("Bill", ["ce:GetCostAndUsage"], ["*"])] if bill else []),
    ]


def check(where: Where) -> list[Statement]:
    """``domain check``."""
    more = [*_sagemaker("ListStudioLifecycleConfigs"), "servicequotas:ListServiceQuotas"]
    return [
        *report(where),
        _allow("ListSettings", more, ["*"]),
        _allow(
            "DescribeUserProfiles",
            _sagemaker("DescribeUserProfile"),
            where.sagemaker("user-profile", "/*"),
        ),
        _allow(
            "DescribeLifecycleConfigs",
            _sagemaker("DescribeStudioLifecycleConfig"),
            [where.arn("sagemaker", "studio-lifecycle-config/*")],
        ),
        _allow(
            "Budgets",
            ["budgets:ViewBudget"],
            # A budget belongs to the account and to no region.
            [f"arn:{where.partition}:budgets::{where.account}:budget/*"],
        ),
    ]


def tidy(where: Where, policy: DomainPolicy, topics: tuple[str, ...] = ()) -> list[Statement]:
    """``domain tidy`` with ``policy``. A policy that deletes nothing only reads. ``topics`` are
    ARNs of further SNS topics, in addition to the policy's own."""
    statements = [
        _allow("Lists", [*_sagemaker(*_LISTS), *_OBSERVATIONS], ["*"]),
        *_observations(where),
    ]
    if policy.dry_run or not policy.deletes:
        return statements
    apps = where.sagemaker("app", "/*")
    statements.append(_allow("DeleteApps", _sagemaker("DeleteApp", "DescribeApp"), apps))
    # The tag that stops all removals is read before each deletion.
    statements.append(_allow("TagsOfDomains", _sagemaker("ListTags"), where.sagemaker("domain")))
    if policy.without_extension.delete:
        statements.append(_allow("NewestReportLine", ["logs:FilterLogEvents"], [_log_group(where)]))
    if policy.orphans.delete:
        owners = [*where.sagemaker("user-profile", "/*"), *where.sagemaker("space", "/*")]
        actions = _sagemaker("DescribeSpace", "DescribeUserProfile")
        statements.append(_allow("OwnersOfApps", actions, owners))
    actions = ["sns:Publish"]
    if topics or not policy.event_bus:
        # Without an event bus, the topic must have a subscription.
        actions.append("sns:ListSubscriptionsByTopic")
    all_topics = [topic for topic in dict.fromkeys((policy.sns_topic_arn, *topics)) if topic]
    if all_topics:
        statements.append(_allow("Notices", actions, all_topics))
    if policy.event_bus:
        bus = policy.event_bus
        arn = bus if bus.startswith("arn:") else where.arn("events", f"event-bus/{bus}")
        statements.append(_allow("NoticeEvents", ["events:PutEvents"], [arn]))
    return statements


def teardown(where: Where) -> list[Statement]:
    """``domain teardown``."""
    return [
        _allow("Lists", _sagemaker("ListApps", "ListSpaces", "ListUserProfiles"), ["*"]),
        _allow("Domain", _sagemaker("DeleteDomain", "DescribeDomain"), where.sagemaker("domain")),
        _allow("Apps", _sagemaker("DeleteApp"), where.sagemaker("app", "/*")),
        _allow("Spaces", _sagemaker("DeleteSpace"), where.sagemaker("space", "/*")),
        _allow(
            "UserProfiles",
            _sagemaker("DeleteUserProfile"),
            where.sagemaker("user-profile", "/*"),
        ),
    ]


def merged(*groups: list[Statement]) -> list[Statement]:
    """The statements of several commands as one list: a name occurs once, with all its actions."""
    found: dict[str, Statement] = {}
    for statement in (statement for group in groups for statement in group):
        known = found.setdefault(statement["Sid"], statement)
        if known["Resource"] != statement["Resource"]:
            raise ValueError(f"Two statements are named {statement['Sid']}.")
        actions = sorted({*known["Action"], *statement["Action"]})
        found[statement["Sid"]] = {**known, "Action": actions}
    return list(found.values())


def document(statements: list[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


_LISTS = ("ListApps", "ListDomains", "ListSpaces", "ListUserProfiles")

#: A request for ``logs:GetQueryResults`` contains the id of a query and no log group. The Service
#: Authorization Reference first listed no resource for it, and now the log group. ``*`` fits both.
_OBSERVATIONS = (
    "cloudtrail:LookupEvents",
    "cloudwatch:GetMetricData",
    "logs:GetQueryResults",
    "tag:GetResources",
)


def _observations(where: Where) -> list[Statement]:
    return [
        _allow("DescribeDomains", _sagemaker("DescribeDomain"), where.sagemaker("domain")),
        _allow("ReportLines", ["logs:StartQuery"], [_log_group(where)]),
    ]


def _log_group(where: Where) -> str:
    return where.arn("logs", f"log-group:{LOG_GROUP}:*")


def _sagemaker(*operations: str) -> list[str]:
    return [f"sagemaker:{operation}" for operation in operations]


def _allow(sid: str, actions: list[str], resources: list[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": resources}
