"""The remedy for an error of an AWS service names this service, its host and its IAM action."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from boto3.session import Session

from auto_shutdown.domain import pace
from auto_shutdown.domain.pace import Aws
from auto_shutdown.domain.remedies import GLOBAL_HOSTS, host_of, remedy_of

REGION = "eu-west-1"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("service", "host"),
    [
        ("sagemaker", "api.sagemaker.eu-west-1.amazonaws.com"),
        ("cloudwatch", "monitoring.eu-west-1.amazonaws.com"),
        ("logs", "logs.eu-west-1.amazonaws.com"),
        ("sts", "sts.eu-west-1.amazonaws.com"),
        ("cloudtrail", "cloudtrail.eu-west-1.amazonaws.com"),
        ("resourcegroupstaggingapi", "tagging.eu-west-1.amazonaws.com"),
        ("budgets", "budgets.amazonaws.com"),
        ("ce", "ce.us-east-1.amazonaws.com"),
    ],
)
@pytest.mark.parametrize(
    ("code", "proxy"),
    [
        ("EndpointConnectionError", ""),
        ("ConnectTimeoutError", "http://user:secret@proxy:3128"),
        ("ProxyConnectionError", "http://user:secret@proxy:3128"),
    ],
)
def test_a_service_that_cannot_be_reached_is_named_by_its_own_host(
    service: str, host: str, code: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    remedy = remedy_of(code, "", service, "any_call", REGION)
    assert host in remedy
    assert ("HTTPS_PROXY (proxy:3128)" in remedy) is bool(proxy)
    assert "secret" not in remedy


SERVICES = [
    "budgets",
    "ce",
    "cloudformation",
    "cloudtrail",
    "cloudwatch",
    "events",
    "lambda",
    "logs",
    "resourcegroupstaggingapi",
    "s3",
    "sagemaker",
    "service-quotas",
    "sns",
    "sts",
]


@pytest.mark.parametrize("service", SERVICES)
def test_the_hosts_are_those_that_boto3_calls(service: str) -> None:
    region = "us-east-1" if service in GLOBAL_HOSTS else REGION
    session = Session("x", "x", region_name=region)
    url = session.client(service, region_name=region).meta.endpoint_url
    assert url.rpartition("//")[2] == host_of(service, REGION)


def test_every_service_that_is_called_is_in_the_tables() -> None:
    """A new service must not get a host or a name that nobody has looked at."""
    folder = Path(pace.__file__).parent
    called = {
        match[1]
        for path in folder.rglob("*.py")
        for match in re.finditer(
            r"""(?:call|pages|send|wait)\(\s*"([a-z0-9-]+)",\s*"[a-z_]+\"""", path.read_text()
        )
    }
    assert {"sagemaker", "logs", "s3", "cloudformation"} <= called, "the pattern finds the calls"
    assert called <= set(SERVICES)


@pytest.mark.parametrize(
    ("service", "method", "code", "words"),
    [
        ("logs", "start_query", "AccessDeniedException", "Allow logs:StartQuery "),
        ("budgets", "describe_budgets", "AccessDenied", "Allow budgets:ViewBudget "),
        ("s3", "head_bucket", "403", "your policy does not allow s3:ListBucket"),
        ("logs", "start_query", "403", "Something other than CloudWatch Logs answered"),
        ("sts", "get_caller_identity", "BadAnswer", "AWS_ENDPOINT_URL_STS"),
        ("ce", "get_cost_and_usage", "ThrottlingException", "Cost Explorer asks for fewer calls"),
        ("logs", "start_query", "LimitExceededException", "API reference of CloudWatch Logs"),
        ("logs", "start_query", "ExpiredToken", "aws sts get-caller-identity"),
        ("logs", "start_query", "InvalidRegionError", "--region"),
    ],
)
def test_remedy_of_each_error_of_each_service(
    service: str, method: str, code: str, words: str
) -> None:
    remedy = remedy_of(code, "", service, method, REGION)
    assert words in remedy
    assert "execution role" not in remedy, "the caller is an administrator and no server"
    assert "tries again" not in remedy, "the call has been repeated already"
    assert ("SageMaker" in remedy) is (service == "sagemaker")


def test_the_error_of_a_call_has_the_remedy_of_its_service() -> None:
    error = Aws(REGION)._error("cloudwatch", "get_metric_data", "TimedOut", "")
    assert str(error).startswith("cloudwatch:GetMetricData failed in eu-west-1: TimedOut.")
    assert "monitoring.eu-west-1.amazonaws.com" in str(error)
