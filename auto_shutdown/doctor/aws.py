"""Checks whether SageMaker's API can be reached, the clock of this machine is right, the
credentials are valid, and the role may call the actions that the extension needs.

The checks stop at the first failure, because the later ones depend on it. No call here can remove
anything (docs/decisions/013).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from ..core.finding import Finding, failure, ok, warning
from ..core.formatting import duration
from ..core.model import KERNEL_GATEWAY, App
from ..world.aws_errors import (
    DENIED,
    FOREIGN,
    REGION,
    UNREACHABLE,
    proxy_in_use,
    read_error,
    remedy,
)
from ..world.own_app import RESTARTABLE
from ..world.platform import LOCAL, NOTEBOOK_INSTANCE, Platform
from ..world.sagemaker import BadAnswerError
from ..world.sagemaker_client import make_client
from . import stop_tag
from .aws_answers import Answer, ask, credentials_failure, verdict
from .situation import Situation

#: AWS refuses signed requests if the clock of this machine differs from AWS's clock by more than
#: five minutes. The doctor warns from one minute on.
MOST_SKEW = timedelta(minutes=5)
SOME_SKEW = timedelta(minutes=1)

#: Limits of botocore for requests that a person waits for, in seconds and attempts.
QUICK: dict[str, Any] = {
    "connect_timeout": 3,
    "read_timeout": 10,
    "retries": {"total_max_attempts": 1, "mode": "standard"},
}


def examine(situation: Situation) -> Iterator[Finding]:
    platform = situation.platform
    if platform.kind == LOCAL:
        yield ok("sagemaker", "not checked, because this host is not part of SageMaker")
        return
    if platform.region_name is None or _no_boto3():
        return  # another finding reports this already
    try:
        from boto3.session import Session

        session = Session()
    except Exception as error:  # for example, AWS_PROFILE names a profile that does not exist
        yield credentials_failure(read_error(error)[0])
        return
    unsigned = ask(_unsigned(platform, session))
    endpoint = _endpoint(platform, unsigned)
    yield endpoint
    if endpoint.remedy:
        return
    yield from _clock(unsigned)
    if unsigned.skew is None or abs(unsigned.skew) <= MOST_SKEW:
        yield from _signed(situation, session)


def _no_boto3() -> bool:
    try:
        import boto3  # noqa: F401
    except ImportError:
        return True
    return False


def _unsigned(platform: Platform, session: Any) -> Callable[[], Any]:
    """A call of ListApps without credentials. SageMaker refuses it, and the refusal proves that the
    endpoint works. If boto3 cannot make a client, the call fails with that error."""

    def call() -> Any:
        from botocore import UNSIGNED

        region = platform.region_name
        client = make_client(region, session=session, **QUICK, signature_version=UNSIGNED)
        answer = client.list_apps(DomainIdEquals=platform.domain_id or "d-none", MaxResults=1)
        if "Apps" not in answer:  # botocore returns an empty answer for a body that is not JSON
            raise BadAnswerError
        return answer

    return call


def _endpoint(platform: Platform, answer: Answer) -> Finding:
    region, code = platform.region_name, answer.code
    advice = remedy(code, "", "", "", region)
    if code in UNREACHABLE or code == "SSLError":
        proxy = proxy_in_use(os.environ)
        text = f"SageMaker's API in {region} cannot be reached ({code})"
        if proxy:
            text += f" through the proxy of the variable {proxy}"
        else:
            text += (
                ". A VPC without access to the internet needs the endpoint "
                f"com.amazonaws.{region}.sagemaker.api"
            )
        return failure("endpoint", text, advice)
    if code in FOREIGN or code.isdigit():
        return failure("endpoint", f"something other than SageMaker answered ({code})", advice)
    if code in REGION or code in ("ValueError", "InvalidEndpointError"):
        return failure("endpoint", f"there is no endpoint for the region {region}", advice)
    return ok("endpoint", f"SageMaker's API in {region} answers")


def _clock(answer: Answer) -> Iterator[Finding]:
    skew = answer.skew
    if skew is None:
        return
    text = f"{duration(abs(skew))} {'ahead of' if skew > timedelta(0) else 'behind'} AWS's"
    advice = "Set the clock of this machine (NTP)."
    if abs(skew) > MOST_SKEW:
        yield failure("clock", f"{text}: AWS refuses requests that are signed with it", advice)
    elif abs(skew) > SOME_SKEW:
        yield warning("clock", text, advice)
    else:
        yield ok("clock", "right")


def _signed(situation: Situation, session: Any) -> Iterator[Finding]:
    try:
        credentials = session.get_credentials()
        client = make_client(situation.platform.region_name, session=session, **QUICK)
    except Exception as error:
        yield credentials_failure(read_error(error)[0])
        return
    if credentials is None:
        yield credentials_failure("NoCredentialsError")
        return
    findings = [*_actions(situation.platform, client), *stop_tag.examine(situation, client)]
    refused = next((f for f in findings if f.check == "credentials"), None)
    if refused is not None:
        yield refused
        return
    yield ok("credentials", f"accepted (from {credentials.method})")
    yield from findings


def _actions(platform: Platform, client: Any) -> Iterator[Finding]:
    if platform.kind == NOTEBOOK_INSTANCE:
        yield from _instance(platform, client)
        return
    if platform.has_apps:
        request = {"DomainIdEquals": platform.domain_id, **platform.owner_filter}
        listed = ask(client.list_apps, **request, MaxResults=100)
        # ListApps has no resource types, so a policy can only allow it on all resources.
        yield verdict(platform, "sagemaker:ListApps", '"*"', listed)
        yield _delete(platform, client, KERNEL_GATEWAY)
    own = platform.own_app
    if own is not None and own.own:
        yield _delete(platform, client, own.type)
    elif own is not None:
        yield ok("sagemaker:DeleteApp", f"not needed: a {own.type} app is never deleted")


def _delete(platform: Platform, client: Any, app_type: str) -> Finding:
    """Ask AWS to delete an app that does not exist. AWS checks the permission first: the answer is
    "denied" without it, and "not found" with it."""
    name = f"auto-shutdown-doctor-{secrets.token_hex(16)}"
    request = {"DomainId": platform.domain_id, "AppType": app_type, "AppName": name}
    answer = ask(client.delete_app, **request, **platform.owner_argument)
    arn = platform.app_arn(App(app_type, "*", ""))
    return verdict(platform, "sagemaker:DeleteApp", arn, answer)


def _instance(platform: Platform, client: Any) -> Iterator[Finding]:
    name, arn = platform.app_name, platform.resource_arn or platform.app_name or "*"
    described = ask(client.describe_notebook_instance, NotebookInstanceName=name)
    yield verdict(platform, "sagemaker:DescribeNotebookInstance", arn, described)
    identifier = described.value.get("PlatformIdentifier")
    if not described.code and not RESTARTABLE.match(str(identifier)):
        yield warning(
            "irreversible stop",
            f"the extension does not stop this instance, because an instance of its platform "
            f"({identifier}) cannot be started again",
            "Update it to notebook-al2023-v1 while it is stopped.",
        )
    nonexistent = f"auto-shutdown-doctor-{secrets.token_hex(16)}"
    answer = ask(client.stop_notebook_instance, NotebookInstanceName=nonexistent)
    if answer.code in DENIED:
        # A policy that allows only this instance denies the call with any other name. A call with
        # the name of this instance would stop it.
        yield warning(
            "sagemaker:StopNotebookInstance",
            "not allowed on every instance; to check it for this instance would stop the instance",
            f"Check that the role's policy allows it on {arn}.",
        )
        return
    yield verdict(platform, "sagemaker:StopNotebookInstance", arn, answer)
