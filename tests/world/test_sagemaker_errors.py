"""Errors as values: the meaning and the remedy of each code and text, and the parts that are never
shown."""

from __future__ import annotations

import asyncio
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_shutdown.core.outcome import Result
from auto_shutdown.world import aws_errors
from auto_shutdown.world.aws_errors import classify, read_error, remedy

GONE, TEMPORARY, PERMANENT = Result.GONE, Result.TEMPORARY, Result.PERMANENT
VALIDATION = "ValidationException"

#: Every error that SageMaker is known to give, and the texts around the edge of "gone".
TABLE = [
    ("ResourceNotFound", "App [x] does not exist.", GONE),
    ("ResourceNotFoundException", "", GONE),
    (VALIDATION, "App [x] has already been deleted.", GONE),
    (VALIDATION, "App x previously failed and was automatically deleted", GONE),
    (VALIDATION, "App [x] is already being deleted.", GONE),
    (VALIDATION, "The app is currently being deleted", GONE),
    (VALIDATION, "App x is being deleted", GONE),
    (VALIDATION, "App x is already deleting", GONE),
    (VALIDATION, "Unable to delete App [x] in status [Deleting]", GONE),
    (VALIDATION, "The app is in Deleting state", GONE),
    (VALIDATION, "App status is invalid: Status (Deleted)", GONE),
    (VALIDATION, "RecordNotFound: app", GONE),
    (VALIDATION, "Record not found", GONE),
    (VALIDATION, "1 validation error detected: Value at 'appName'", PERMANENT),
    (VALIDATION, "Error while deleting the app: the name is not valid", PERMANENT),
    (VALIDATION, "App x must be InService before deleting", PERMANENT),
    (VALIDATION, "Cannot be deleted", PERMANENT),
    (VALIDATION, "", PERMANENT),
    # The words alone, without the code, say nothing.
    ("InternalFailure", "App [x] has already been deleted.", TEMPORARY),
    ("AccessDeniedException", "the app has already been deleted", PERMANENT),
    *[(code, "", TEMPORARY) for code in sorted(aws_errors.THROTTLED)],
    *[(code, "", TEMPORARY) for code in sorted(aws_errors.CREDENTIALS)],
    *[(code, "", TEMPORARY) for code in sorted(aws_errors.UNREACHABLE)],
    *[(code, "", TEMPORARY) for code in sorted(aws_errors.FOREIGN)],
    *[(code, "", PERMANENT) for code in sorted(aws_errors.DENIED)],
    *[(code, "", PERMANENT) for code in sorted(aws_errors.HOPELESS - {VALIDATION})],
    ("ResourceInUse", "App is Pending", TEMPORARY),
    ("InternalFailure", "", TEMPORARY),
    ("InternalServerError", "", TEMPORARY),
    ("ServiceUnavailable", "", TEMPORARY),
    ("RequestTimeout", "", TEMPORARY),
    ("RequestTimeoutException", "", TEMPORARY),
    ("SSLError", "", TEMPORARY),
    ("ClosedError", "", TEMPORARY),
    ("503", "", TEMPORARY),
    ("NeverHeardOf", "", TEMPORARY),
]

#: Codes that must be in their sets: the rows above follow whatever the sets hold.
MEMBERS = [
    (aws_errors.THROTTLED, {"ThrottlingException", "Throttling", "TooManyRequestsException"}),
    (
        aws_errors.CREDENTIALS,
        {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "NoCredentialsError"},
    ),
    (
        aws_errors.UNREACHABLE,
        {"ConnectTimeoutError", "ReadTimeoutError", "EndpointConnectionError", "TimedOut"},
    ),
    (aws_errors.DENIED, {"AccessDeniedException", "AccessDenied"}),
    (aws_errors.HOPELESS, {"NoRegionError", "NoBoto3", "ParamValidationError"}),
]


@pytest.mark.parametrize(("code", "message", "result"), TABLE)
def test_meaning_of_each_error_code(code: str, message: str, result: Result) -> None:
    assert classify(code, message) is result


@pytest.mark.parametrize(("codes", "members"), MEMBERS)
def test_error_code_sets_hold_the_known_codes(codes: frozenset[str], members: set[str]) -> None:
    assert members <= codes


def test_each_error_code_is_in_one_set_only() -> None:
    sets = [
        aws_errors.GONE,
        aws_errors.THROTTLED,
        aws_errors.CREDENTIALS,
        aws_errors.UNREACHABLE,
        aws_errors.FOREIGN,
        aws_errors.DENIED,
        aws_errors.HOPELESS,
    ]
    assert len(frozenset().union(*sets)) == sum(len(each) for each in sets)


@given(st.text(), st.text())
def test_every_error_has_a_meaning_and_a_remedy(code: str, message: str) -> None:
    """Only two codes mean success, so the author of an error text cannot fake it."""
    result = classify(code, message)
    assert result in (GONE, TEMPORARY, PERMANENT)
    if result is GONE:
        assert code in aws_errors.GONE | {VALIDATION}
    assert remedy(code, message, "sagemaker:DeleteApp", "ARN", None).strip()


ARN = "arn:aws:sagemaker:us-west-2:1:app/d-1/ada/KernelGateway/x"
DENIAL = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: sagemaker:DeleteApp"

ADVICE = [
    ("AccessDeniedException", f"{DENIAL} because no identity-based policy allows it", []),
    ("AccessDeniedException", f"{DENIAL} with an explicit deny", ["explicitly"]),
    ("AccessDenied", f"{DENIAL} because no VPC endpoint policy allows it", ["VPC endpoint"]),
    (
        "AccessDeniedException",
        f"{DENIAL} with an explicit deny in a service control policy",
        ["explicitly", "service control policy"],
    ),
    ("AccessDeniedException", "because no permissions boundary allows", ["boundary"]),
    ("AccessDeniedException", "because no session policy allows", ["session's"]),
    ("AccessDeniedException", "no resource control policy allows", ["resource control policy"]),
]


@pytest.mark.parametrize(("code", "message", "hints"), ADVICE)
def test_a_denial_names_action_resource_and_policy(
    code: str, message: str, hints: list[str]
) -> None:
    advice = remedy(code, message, "sagemaker:DeleteApp", ARN, "us-west-2")
    assert advice.startswith(f"Allow sagemaker:DeleteApp on {ARN} ")
    assert advice.count(". ") == len(hints)
    assert all(hint in advice for hint in hints)
    assert "assumed-role" not in advice


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ConnectTimeoutError", "com.amazonaws.eu-west-1.sagemaker.api"),
        ("TimedOut", "com.amazonaws.eu-west-1.sagemaker.api"),
        ("NoBoto3", "pip install boto3"),
        ("NoRegionError", "AutoShutdown.region_name"),
        ("InvalidRegionError", "AutoShutdown.region_name"),
        ("NoOwner", "AutoShutdown.domain_id"),
        ("ExpiredTokenException", "credentials"),
        ("NoCredentialsError", "credentials"),
        ("ThrottlingException", "You need not do anything"),
        ("ResourceInUse", "You need not do anything"),
        ("SSLError", "AWS_CA_BUNDLE"),
        ("BadAnswer", "HTTPS_PROXY"),
        ("403", "HTTPS_PROXY"),
    ],
)
def test_remedy_of_each_error(code: str, words: str) -> None:
    assert words in remedy(code, "", "sagemaker:ListApps", '"*"', "eu-west-1")


def test_an_unknown_region_is_a_placeholder() -> None:
    assert "com.amazonaws.REGION.sagemaker" in remedy("TimedOut", "", "", "", None)


class ClientError(Exception):
    """An error with the attributes of botocore's ClientError."""

    def __init__(self, response: object) -> None:
        super().__init__("SECRET")
        self.response = response


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ClientError({"Error": {"Code": "AccessDenied", "Message": "m"}}), ("AccessDenied", "m")),
        (ClientError({"Error": {"Code": "Sender.Fault-1:2"}}), ("Sender.Fault-1:2", "")),
        (ClientError({"Error": {"Code": "x\ny"}}), ("UnknownCode", "")),
        (ClientError({"Error": {"Code": ""}}), ("UnknownCode", "")),
        (ClientError({"Error": {"Code": "x" * 81}}), ("UnknownCode", "")),
        (ClientError({"Error": "odd"}), ("ClientError", "")),
        (ClientError(None), ("ClientError", "")),
        (asyncio.TimeoutError(), ("TimedOut", "")),
        (ModuleNotFoundError("boto3"), ("NoBoto3", "")),
        (KeyError("SECRET"), ("KeyError", "")),
    ],
)
def test_code_and_text_of_an_exception(error: Exception, expected: tuple[str, str]) -> None:
    assert read_error(error) == expected


@given(st.text())
def test_a_code_is_always_one_plain_word(code: str) -> None:
    told, _ = read_error(ClientError({"Error": {"Code": code, "Message": "m"}}))
    assert set(told) <= set(string.ascii_letters + string.digits + "_.:-")
    assert 0 < len(told) <= 80


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ProxyConnectionError", "The proxy of the variable https_proxy (proxy:3128) cannot be"),
        ("ConnectTimeoutError", "Check the proxy of the variable https_proxy (proxy:3128)"),
    ],
)
def test_remedy_names_a_configured_proxy(
    code: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy:3128")
    advice = remedy(code, "", "sagemaker:ListApps", "*", "us-west-2")
    assert advice.startswith(words)
    assert "api.sagemaker.us-west-2.amazonaws.com to NO_PROXY" in advice
    assert "secret" not in advice
