"""What an error of SageMaker means for a removal, and what a person can do about it.

This module does not import botocore. SageMaker's service model does not define
``ValidationException``, ``ThrottlingException`` and ``AccessDeniedException``, so every error is
classified by its code and text. The text of an error is never shown to people, because it can hold
secrets: that of an InvalidSignatureException quotes the session token.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..core.outcome import Result
from ..core.translatable import joined, sentence

#: Texts of a ValidationException which mean that the resource is already deleted or stopped. The
#: first two are known from the real API; its text for an app that is Deleting is not documented.
#: The patterns do not match other errors that contain the word ("Error while deleting …"): such an
#: app would count as gone although it is billed.
GONE_TEXT = re.compile(
    r"already been deleted"
    r"|automatically deleted"
    r"|(already|currently|is) being deleted"
    r"|\bis (already |currently )?deleting\b"
    r"|\b(in|status|state)\W+(the )?(status |state )?\W*(deleting|deleted)\b"
    r"|record ?not ?found"
    # StopNotebookInstance: "Status (Stopped) not in ([InService]). Unable to transition …"
    r"|status \((stopping|stopped|deleting)\) not in",
    re.IGNORECASE,
)

GONE = frozenset({"ResourceNotFound", "ResourceNotFoundException"})

THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
    }
)

#: Temporary: the container renews its credentials by itself, and the next try makes a new client
#: with the new ones.
CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "InvalidToken",
        "UnrecognizedClientException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "AuthFailure",
        "InvalidSignatureException",
        "IncompleteSignature",
        "SignatureDoesNotMatch",
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "MetadataRetrievalError",
        "NoAuthTokenError",
        "TokenRetrievalError",
        "SSOTokenLoadError",
        "UnauthorizedSSOTokenError",
        "ProfileNotFound",
        "ConfigParseError",
    }
)

#: Permanent: only a person who may change a policy can correct these.
DENIED = frozenset(
    {"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "NotAuthorized"}
)

#: Temporary: errors of the network, by the names of botocore's exceptions.
UNREACHABLE = frozenset(
    {
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "ConnectionError",
        "EndpointConnectionError",
        "HTTPClientError",
        "ProxyConnectionError",
        "ReadTimeoutError",
        "TimedOut",
    }
)

#: Answers that do not come from SageMaker. An HTTP status instead of a code means the same.
FOREIGN = frozenset({"BadAnswer", "ResponseParserError", "UnicodeDecodeError", "UnknownCode"})

REGION = frozenset({"NoRegionError", "InvalidRegionError"})

#: Permanent: the request, the platform or the installation is wrong, so another try cannot succeed.
HOPELESS = REGION | {
    "ValidationException",
    "ValidationError",
    "ParamValidationError",
    "UnknownOperationException",
    "OptInRequired",
    "NoBoto3",
    "NoOwner",
    "NotCovered",
}

#: What the text of a denial says about the policy that caused it (IAM guide, "Troubleshoot access
#: denied error messages"), and the remedy.
DENIAL_HINTS = (
    ("explicit deny", sentence("A policy denies the action explicitly; change that policy.")),
    ("vpc endpoint polic", sentence("The policy of the VPC endpoint must allow the action, too.")),
    (
        "service control polic",
        sentence("The organisation's service control policy must allow the action, too."),
    ),
    (
        "resource control polic",
        sentence("The organisation's resource control policy must allow the action, too."),
    ),
    (
        "permissions boundary",
        sentence("The role's permissions boundary must allow the action, too."),
    ),
    ("session polic", sentence("The session's policy must allow the action, too.")),
)

#: The remedy for a person who runs a command and whose credentials AWS does not accept.
CHECK_CREDENTIALS = (
    "Your AWS credentials are missing, wrong or expired. Sign in again, and check with `aws sts "
    "get-caller-identity`."
)

_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,80}")


def classify(code: str, message: str) -> Result:
    """GONE, TEMPORARY or PERMANENT. An unknown code is temporary: the extension tries again after
    growing waits of up to an hour, and the fault stays visible until a try succeeds."""
    if code in GONE or (code == "ValidationException" and GONE_TEXT.search(message)):
        return Result.GONE
    if code in DENIED or code in HOPELESS:
        return Result.PERMANENT
    return Result.TEMPORARY


def remedy(code: str, message: str, action: str, resource: str, region: str | None) -> str:
    """What a person can do about an error of SageMaker. ``action`` is the IAM action, ``resource``
    its ARN."""
    if code in DENIED:
        allow = sentence("Allow %1 on %2 in the execution role's policy.", action, resource)
        return joined(allow, *denial_hints(message))
    proxy = proxy_in_use(os.environ)
    if proxy and code in UNREACHABLE:
        return about_proxy(code, proxy, region)
    if code in UNREACHABLE:
        return sentence(
            "Check the network, or the VPC's endpoint com.amazonaws.%1.sagemaker.api.",
            region or "REGION",
        )
    for codes, advice in _ADVICE:
        if code in codes:
            return advice
    if code in FOREIGN or code.isdigit():
        return sentence(
            "Something other than SageMaker answered: check HTTPS_PROXY, NO_PROXY and "
            "AWS_ENDPOINT_URL_SAGEMAKER."
        )
    return sentence(
        "The extension tries again. If the fault stays, look up the code in SageMaker's API "
        "reference."
    )


def denial_hints(message: str) -> list[str]:
    """The remedies for the policies that the ``message`` of a denial names."""
    text = message.lower()
    return [hint for words, hint in DENIAL_HINTS if words in text]


def proxy_in_use(environ: Mapping[str, str]) -> str:
    """The environment variable that names a proxy for HTTPS calls, and the proxy's host and port in
    brackets; empty if there is no proxy. Leaves out the name and password of the proxy's user."""
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):  # the order of urllib
        value = environ.get(name)
        if value:
            place = urlsplit(value if "//" in value else f"//{value}").netloc.rpartition("@")[2]
            return f"{name} ({place})"
    return ""


def about_proxy(code: str, proxy: str, region: str | None) -> str:
    """What to do when SageMaker cannot be reached and calls go through a proxy."""
    host = f"api.sagemaker.{region or 'REGION'}.amazonaws.com"
    if code == "ProxyConnectionError":
        return sentence(
            "The proxy of the variable %1 cannot be reached: correct the variable, or add "
            "%2 to NO_PROXY if the VPC has an endpoint for it.",
            proxy,
            host,
        )
    return sentence(
        "Check the proxy of the variable %1, then the network. If the VPC has the endpoint "
        "com.amazonaws.%2.sagemaker.api, add %3 to NO_PROXY.",
        proxy,
        region or "REGION",
        host,
    )


_ADVICE: tuple[tuple[frozenset[str], str], ...] = (
    (
        THROTTLED,
        sentence(
            "You need not do anything: the extension tries again, each time after a longer pause."
        ),
    ),
    (
        CREDENTIALS,
        sentence(
            "Check the credentials of this server. The extension continues as soon as they are "
            "valid."
        ),
    ),
    (
        frozenset({"SSLError"}),
        sentence(
            "Check the certificates and the proxy. If the proxy has its own certificate, name its "
            "file in AWS_CA_BUNDLE."
        ),
    ),
    (
        frozenset({"NoBoto3"}),
        sentence("pip install boto3 (1.26 or newer) into this server's environment."),
    ),
    (REGION, sentence("Set AutoShutdown.region_name or the environment variable AWS_REGION.")),
    (
        frozenset({"ResourceInUse"}),
        sentence(
            "You need not do anything: the status of the app is changing, and the extension tries "
            "again."
        ),
    ),
    (
        frozenset({"NoOwner"}),
        sentence("Set AutoShutdown.domain_id and AutoShutdown.user_profile_name (or space_name)."),
    ),
    (
        frozenset({"OptInRequired"}),
        sentence("Subscribe the AWS account to SageMaker in this region."),
    ),
)


def read_error(error: BaseException) -> tuple[str, str]:
    """An AWS code and text, or the exception's name for what never reached AWS."""
    if isinstance(error, asyncio.TimeoutError):
        return "TimedOut", ""
    if isinstance(error, ImportError):
        return "NoBoto3", ""
    response = getattr(error, "response", None)
    details = response.get("Error") if isinstance(response, Mapping) else None
    if not isinstance(details, Mapping):
        return type(error).__name__, ""
    code = str(details.get("Code") or "")
    # The sender of the answer chooses this text, and it goes into logs and pages.
    return code if _CODE.fullmatch(code) else "UnknownCode", str(details.get("Message") or "")
