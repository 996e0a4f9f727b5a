"""The bucket and the topic of the scheduled run, as resources of the template. Pure."""

from __future__ import annotations

from typing import Any

from .. import permissions
from ..permissions import Statement
from .alarms import get, ref, sub

#: Days for which S3 keeps earlier versions of the state, and reports and checks.
STATE_DAYS = 30
REPORT_DAYS = 400


def bucket() -> dict[str, Any]:
    """The bucket for state, audit log and results. It outlives the stack."""
    properties = {
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            ]
        },
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "VersioningConfiguration": {"Status": "Enabled"},
        "LifecycleConfiguration": {
            "Rules": [
                {
                    "Id": "earlier-versions",
                    "Status": "Enabled",
                    "NoncurrentVersionExpiration": {"NoncurrentDays": STATE_DAYS},
                },
                # The audit log has no end: the administrator decides about evidence.
                *(
                    {
                        "Id": prefix,
                        "Status": "Enabled",
                        "Prefix": f"{prefix}/",
                        "ExpirationInDays": REPORT_DAYS,
                    }
                    for prefix in ("reports", "checks")
                ),
            ]
        },
    }
    kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    only_tls = {
        "Sid": "OnlyTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [get("Bucket", "Arn"), sub("${Bucket.Arn}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = {"Bucket": ref("Bucket"), "PolicyDocument": permissions.document([only_tls])}
    return {
        "Bucket": {"Type": "AWS::S3::Bucket", **kept, "Properties": properties},
        "BucketPolicy": {"Type": "AWS::S3::BucketPolicy", **kept, "Properties": policy},
    }


def topic() -> dict[str, Any]:
    """The topic for alarms, notices and the daily mail."""

    def publish(sid: str, service: str) -> Statement:
        return {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sns:Publish",
            "Resource": ref("Topic"),
            "Condition": {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}},
        }

    publishers = [
        publish("Alarms", "cloudwatch.amazonaws.com"),
        publish("Budgets", "budgets.amazonaws.com"),
    ]
    return {
        # Without encryption by KMS: CloudWatch cannot publish with the key alias/aws/sns.
        "Topic": {"Type": "AWS::SNS::Topic"},
        "TopicPolicy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {
                "Topics": [ref("Topic")],
                "PolicyDocument": permissions.document(publishers),
            },
        },
        "MailSubscription": {
            "Type": "AWS::SNS::Subscription",
            "Condition": "HasMail",
            "Properties": {
                "TopicArn": ref("Topic"),
                "Protocol": "email",
                "Endpoint": ref("Mail"),
            },
        },
    }
