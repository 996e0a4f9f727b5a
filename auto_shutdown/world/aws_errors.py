"""What SageMaker's errors mean for a removal (platform.md 1.3), without importing botocore.

``ValidationException``, ``ThrottlingException`` and ``AccessDeniedException`` are no modelled
exceptions of the service, so everything is told by code and text.
"""

from __future__ import annotations

from ..core.model import Result

#: Texts of a ValidationException that say: somebody else was faster.
GONE_TEXTS = (
    "already been deleted",
    "automatically deleted",
    "already being deleted",
    "currently being deleted",
    "recordnotfound",
)

THROTTLED = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"}
)

#: Credentials of a container are renewed behind our back: the next try may well succeed.
CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "RequestExpired",
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "MetadataRetrievalError",
        "TokenRetrievalError",
        "SSOTokenLoadError",
        "UnauthorizedSSOTokenError",
    }
)

DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})

#: Codes of the transport, as botocore names its exceptions.
UNREACHABLE = frozenset(
    {
        "ConnectTimeoutError",
        "EndpointConnectionError",
        "ConnectionError",
        "ReadTimeoutError",
        "ConnectionClosedError",
        "ProxyConnectionError",
        "SSLError",
        "TimedOut",
    }
)

#: What no repetition mends: the request, the platform or the installation is at fault.
HOPELESS = frozenset({"ValidationException", "NoRegionError", "NoBoto3", "NoOwner", "NotCovered"})


def classify(code: str, message: str) -> Result:
    """GONE, TEMPORARY or PERMANENT. A code never heard of is temporary: it backs off up to an
    hour all the same, stays visible as a fault, and may mend itself."""
    text = message.lower().replace(" ", "")
    if code in ("ResourceNotFound", "ResourceNotFoundException"):
        return Result.GONE
    if code == "ValidationException" and any(g.replace(" ", "") in text for g in GONE_TEXTS):
        return Result.GONE
    if code in DENIED or code in HOPELESS:
        return Result.PERMANENT
    return Result.TEMPORARY


def remedy(code: str, message: str, action: str, resource: str, region: str | None) -> str:
    """What a person can do about it. ``action`` is the IAM action, ``resource`` its ARN."""
    if code in DENIED:
        advice = f"Allow {action} on {resource} in the execution role's policy."
        text = message.lower()
        if "explicit deny" in text:
            advice += " A policy denies it explicitly; that one must give way."
        elif "vpc endpoint" in text:
            advice += " The policy of the VPC endpoint must allow it, too."
        return advice
    if code in THROTTLED:
        return "Nothing to do: it is tried again, later each time."
    if code in CREDENTIALS:
        return "Check the credentials of this server; as soon as they are valid it goes on."
    if code in UNREACHABLE:
        name = f"com.amazonaws.{region or 'REGION'}.sagemaker.api"
        return f"Check the network; a VPC without internet needs the endpoint {name}."
    if code == "NoBoto3":
        return "Install boto3 (1.26 or newer) into this server's environment."
    if code == "NoRegionError":
        return "Set AutoShutdown.region_name or the environment variable AWS_REGION."
    if code == "ResourceInUse":
        return "Nothing to do: the app is changing its state; it is tried again."
    return "It is tried again. If it stays, look up the code in SageMaker's API reference."
