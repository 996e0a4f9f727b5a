"""The CloudFormation template of the scheduled run. Pure.

A template is made for one policy file: the function's role may delete apps only if the policy does.
All resources have generated names, so an account can have several stacks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .. import permissions
from ..permissions import Statement, Where
from ..policy import DomainPolicy
from . import alarms, storage
from .alarms import get, ref, sub

#: Seconds: the longest time-out that AWS Lambda allows.
TIMEOUT = 900

#: MB. In tests/domain, a run uses less than half of it.
MEMORY = 512

#: The boto3 of this runtime supports conditional writes of S3.
RUNTIME = "python3.13"

HANDLER = "auto_shutdown.domain.scheduled.handler.handle"

#: Days for which CloudWatch keeps the function's own log.
LOG_DAYS = 90


@dataclass(frozen=True)
class Options:
    """``has_policy``: whether there is a policy file; without one, ``tidy`` does not run.
    ``every``: minutes between two runs of ``tidy``. ``hour``: the hour of the daily report and
    check, in the time zone of the parameter TimeZone. ``bill``: also read the bill from Cost
    Explorer."""

    policy: DomainPolicy = field(default_factory=DomainPolicy)
    has_policy: bool = False
    every: int = 15
    hour: int = 6
    bill: bool = False

    @property
    def commands(self) -> tuple[str, ...]:
        return ("report", "check", *(("tidy",) if self.has_policy else ()))


def build(options: Options, code_key: str) -> dict[str, Any]:
    """The template. ``code_key`` is the zip's key in the bucket of the parameter CodeBucket."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "auto_shutdown: scheduled report, check and tidy of SageMaker Studio",
        "Parameters": _parameters(code_key),
        "Conditions": {
            "HasMail": _is_given("Mail"),
            "HasBoundary": _is_given("PermissionsBoundary"),
            "HasBudget": {"Fn::Not": [{"Fn::Equals": [ref("MonthlyBudget"), "0"]}]},
            "HasBucketPerRegion": {"Fn::Equals": [ref("CodeBucketPerRegion"), "true"]},
            "IsReserved": {"Fn::Equals": [ref("ReserveConcurrency"), "true"]},
        },
        "Resources": {
            **storage.bucket(),
            **storage.topic(),
            **_function(options),
            **_schedules(options),
            **alarms.build(options.commands, options.every),
            "Budget": _budget(),
        },
        "Outputs": {
            "Bucket": {"Description": "State, audit log, reports", "Value": ref("Bucket")},
            "Topic": {"Description": "Alarms, notices, mail", "Value": ref("Topic")},
            "Function": {"Description": "The scheduled function", "Value": ref("Function")},
        },
    }


def _parameters(code_key: str) -> dict[str, Any]:
    def text(about: str, default: str | None = None, **more: Any) -> dict[str, Any]:
        given = {} if default is None else {"Default": default}
        return {"Type": "String", "Description": about, **given, **more}

    return {
        "CodeBucket": text("The S3 bucket with the zip, in the stack's region."),
        "CodeBucketPerRegion": text(
            "true: the name of the bucket is CodeBucket, a hyphen, and the region (StackSets).",
            "false",
            AllowedValues=["true", "false"],
        ),
        "CodeKey": text("The zip's key in that bucket.", code_key),
        "Mail": text("Mail address for alarms, notices and the daily check; may be empty.", ""),
        "MonthlyBudget": {
            "Type": "Number",
            "Default": 0,
            "MinValue": 0,
            "Description": "A monthly budget in USD; set it in one stack of an account. 0: none.",
        },
        "TimeZone": text("Time zone of the daily report and check, such as Europe/Berlin.", "UTC"),
        "ReserveConcurrency": text(
            "Reserve one concurrent run; false if the account's limit is too low for it.",
            "true",
            AllowedValues=["true", "false"],
        ),
        "PermissionsBoundary": text("ARN of a policy that bounds both roles; may be empty.", ""),
    }


def _function(options: Options) -> dict[str, Any]:
    environment: dict[str, Any] = {
        "AUTO_SHUTDOWN_BUCKET": ref("Bucket"),
        "AUTO_SHUTDOWN_TOPIC": ref("Topic"),
    }
    if options.bill:
        environment["AUTO_SHUTDOWN_BILL"] = "1"
    in_region = sub("${CodeBucket}-${AWS::Region}")
    code_bucket = {"Fn::If": ["HasBucketPerRegion", in_region, ref("CodeBucket")]}
    function = {
        "Description": "auto_shutdown: report, check and tidy",
        "Runtime": RUNTIME,
        "Architectures": ["arm64"],
        "Handler": HANDLER,
        "Code": {"S3Bucket": code_bucket, "S3Key": ref("CodeKey")},
        "Role": get("Role", "Arn"),
        "Timeout": TIMEOUT,
        "MemorySize": MEMORY,
        "Environment": {"Variables": environment},
        "LoggingConfig": {"LogGroup": ref("LogGroup")},
        "ReservedConcurrentExecutions": {"Fn::If": ["IsReserved", 1, ref("AWS::NoValue")]},
    }
    invocation = {
        "FunctionName": ref("Function"),
        "Qualifier": "$LATEST",
        # A run that failed is not repeated: the next run continues from the state.
        "MaximumRetryAttempts": 0,
        "MaximumEventAgeInSeconds": TIMEOUT,
    }
    return {
        "LogGroup": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": LOG_DAYS}},
        "Role": _role("lambda.amazonaws.com", role_statements(options)),
        "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
        "Invocation": {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": invocation},
    }


def role_statements(options: Options) -> list[Statement]:
    """The permissions of the function's role, with references to the stack's resources."""
    here = Where(
        "${AWS::Partition}",
        "${AWS::Region}",
        "${AWS::AccountId}",
        tuple(sorted(options.policy.domains)),
    )
    policy = options.policy
    groups = [permissions.report(here, options.bill), permissions.check(here)]
    if options.has_policy:
        groups.append(permissions.tidy(here, policy))
    to_topic = ["sns:Publish"]
    if policy.deletes and not (policy.dry_run or policy.sns_topic_arn or policy.event_bus):
        # The notices go to the stack's own topic alone.
        to_topic.append("sns:ListSubscriptionsByTopic")
    own = [
        {
            "Sid": "State",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": ["${Bucket.Arn}/state.json"],
        },
        {
            "Sid": "Results",
            "Effect": "Allow",
            "Action": ["s3:PutObject"],
            "Resource": [
                f"${{Bucket.Arn}}/{prefix}/*" for prefix in ("audit", "checks", "plans", "reports")
            ],
        },
        # Without it, S3 answers 403 and not 404 for a state that does not exist yet.
        {
            "Sid": "MissingState",
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": ["${Bucket.Arn}"],
        },
        {
            "Sid": "Mail",
            "Effect": "Allow",
            "Action": to_topic,
            "Resource": ["${Topic}"],
        },
        {
            "Sid": "OwnLog",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": ["${LogGroup.Arn}"],
        },
    ]
    return permissions.merged(*groups, own)


def _role(service: str, statements: list[Statement]) -> dict[str, Any]:
    trust: Statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if service.startswith("scheduler"):
        trust["Condition"] = {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}}
    filled = [{**s, "Resource": [_filled(r) for r in s["Resource"]]} for s in statements]
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": permissions.document([trust]),
            "PermissionsBoundary": {
                "Fn::If": ["HasBoundary", ref("PermissionsBoundary"), ref("AWS::NoValue")]
            },
            "Policies": [
                {"PolicyName": "auto-shutdown", "PolicyDocument": permissions.document(filled)}
            ],
        },
    }


def _filled(resource: str) -> Any:
    return sub(resource) if "${" in resource else resource


def _schedules(options: Options) -> dict[str, Any]:
    times = {
        # The report runs first, because the mail of the check contains the report's address.
        "report": f"cron(0 {options.hour} * * ? *)",
        "check": f"cron(20 {options.hour} * * ? *)",
        "tidy": f"rate({options.every} minutes)",
    }
    invoke = {
        "Sid": "Invoke",
        "Effect": "Allow",
        "Action": ["lambda:InvokeFunction"],
        "Resource": ["${Function.Arn}"],
    }
    found = {"ScheduleRole": _role("scheduler.amazonaws.com", [invoke])}
    for command in options.commands:
        found[f"{command.capitalize()}Schedule"] = {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "Description": f"auto_shutdown: {command}",
                "ScheduleExpression": times[command],
                "ScheduleExpressionTimezone": ref("TimeZone"),
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {
                    "Arn": get("Function", "Arn"),
                    "RoleArn": get("ScheduleRole", "Arn"),
                    "Input": f'{{"command": "{command}"}}',
                    "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 600},
                },
            },
        }
    return found


def _budget() -> dict[str, Any]:
    def warn(kind: str, percent: int) -> dict[str, Any]:
        return {
            "Notification": {
                "NotificationType": kind,
                "ComparisonOperator": "GREATER_THAN",
                "Threshold": percent,
                "ThresholdType": "PERCENTAGE",
            },
            "Subscribers": [{"SubscriptionType": "SNS", "Address": ref("Topic")}],
        }

    budget = {
        "BudgetName": sub("${AWS::StackName}-${AWS::Region}"),
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": ref("MonthlyBudget"), "Unit": "USD"},
        "CostFilters": {"Service": ["Amazon SageMaker"]},
    }
    return {
        "Type": "AWS::Budgets::Budget",
        "Condition": "HasBudget",
        # Budgets checks at once whether it may publish.
        "DependsOn": "TopicPolicy",
        "Properties": {
            "Budget": budget,
            "NotificationsWithSubscribers": [warn("FORECASTED", 100), warn("ACTUAL", 80)],
        },
    }


def _is_given(parameter: str) -> dict[str, Any]:
    return {"Fn::Not": [{"Fn::Equals": [ref(parameter), ""]}]}
