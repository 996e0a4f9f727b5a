"""What an administrator can do about the error of an AWS service, in the ``domain`` commands and in
their scheduled run. The remedies for a server, which calls only SageMaker, are in
``world.aws_errors``."""

from __future__ import annotations

import os

from ..world.aws_errors import (
    CHECK_CREDENTIALS,
    CREDENTIALS,
    DENIED,
    FOREIGN,
    REGION,
    THROTTLED,
    UNREACHABLE,
    denial_hints,
    proxy_in_use,
)

#: Services with one endpoint for all regions, and its host.
GLOBAL_HOSTS = {"budgets": "budgets.amazonaws.com", "ce": "ce.us-east-1.amazonaws.com"}

#: Services (by boto3's name) whose host begins with another name.
_HOST_PREFIX = {
    "cloudwatch": "monitoring",
    "resourcegroupstaggingapi": "tagging",
    "sagemaker": "api.sagemaker",
    "service-quotas": "servicequotas",
}

#: The names of services in the error messages; other services have boto3's name in capitals.
_SERVICE_NAMES = {
    "budgets": "AWS Budgets",
    "ce": "Cost Explorer",
    "cloudformation": "CloudFormation",
    "cloudtrail": "CloudTrail",
    "cloudwatch": "CloudWatch",
    "events": "EventBridge",
    "lambda": "Lambda",
    "logs": "CloudWatch Logs",
    "resourcegroupstaggingapi": "the Resource Groups Tagging API",
    "sagemaker": "SageMaker",
    "service-quotas": "Service Quotas",
}

#: Operations whose IAM action has another name.
_IAM_ACTION = {
    "describe_budgets": "budgets:ViewBudget",
    "head_bucket": "s3:ListBucket",
    "invoke": "lambda:InvokeFunction",
    "put_public_access_block": "s3:PutBucketPublicAccessBlock",
}

#: Services whose prefix in IAM is not their name in boto3.
_IAM_PREFIX = {"resourcegroupstaggingapi": "tag", "service-quotas": "servicequotas"}


def iam_action(service: str, method: str) -> str:
    """The IAM action that allows ``method`` (boto3's name) of ``service``."""
    operation = "".join(word.capitalize() for word in method.split("_"))
    return _IAM_ACTION.get(method) or f"{_IAM_PREFIX.get(service, service)}:{operation}"


def host_of(service: str, region: str) -> str:
    """The host name of the API of ``service`` in ``region``."""
    prefix = _HOST_PREFIX.get(service, service)
    return GLOBAL_HOSTS.get(service) or f"{prefix}.{region}.amazonaws.com"


def remedy_of(code: str, text: str, service: str, method: str, region: str) -> str:
    """The remedy for the error ``code`` of AWS, whose text is ``text``, after a call of ``method``
    (boto3's name) of ``service``."""
    name = _SERVICE_NAMES.get(service, service.upper())
    action = iam_action(service, method)
    if code in CREDENTIALS:
        return CHECK_CREDENTIALS
    if code in DENIED:
        allow = f"Allow {action} on the resource (or *) in the IAM policy of your role."
        return " ".join([allow, *denial_hints(text)])
    if service == "s3" and code == "403":  # the answer to HeadBucket has no code of S3
        return f"The bucket belongs to another account, or your policy does not allow {action}."
    if code in UNREACHABLE:
        return _unreachable(code, host_of(service, region))
    if code == "SSLError":
        return "Check certificates and proxy; AWS_CA_BUNDLE names the file with a proxy's own."
    if code in THROTTLED:
        return (
            f"{name} asks for fewer calls. Run this again in some minutes; a lower "
            "--calls-a-second makes fewer."
        )
    if code in REGION:
        return "Check the name of the region (--region)."
    if code in FOREIGN or code.isdigit():
        return (
            f"Something other than {name} answered: check HTTPS_PROXY, NO_PROXY and "
            f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}."
        )
    return f"Run this again. If the error stays, look up the code in the API reference of {name}."


def _unreachable(code: str, host: str) -> str:
    proxy = proxy_in_use(os.environ)
    if not proxy:
        return (
            f"Check the network: {host} must be reachable from here (from a private subnet, "
            "through a VPC endpoint or a NAT gateway)."
        )
    if code == "ProxyConnectionError":
        return (
            f"The proxy of the variable {proxy} cannot be reached: correct the variable, or add "
            f"{host} to NO_PROXY if it can be reached without a proxy."
        )
    return (
        f"Check the proxy of the variable {proxy}, then the network. If {host} can be reached "
        "without a proxy, add it to NO_PROXY."
    )
