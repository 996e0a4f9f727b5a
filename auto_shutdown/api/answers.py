"""Reads a server's answer for the client: returns the JSON of the extension, or raises an error
that tells the user why there is none."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from .connection import Answer
from .server_error import ExitCode, ServerError

#: The environment variable (Jupyter's own) with the token of a server that has no runtime file
#: here, because it runs on another host or belongs to another user.
TOKEN_VARIABLE = "JUPYTER_TOKEN"


def read_answer(answer: Answer, url: str, has_token: bool) -> Any:
    """The JSON of an answer of the server at ``url``, None for an empty answer. ``has_token`` says
    whether the request carried a token. Raises ServerError for any other answer."""
    status = answer.status
    try:
        content = json.loads(answer.body) if answer.body else {}
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise _foreign_answer(status, url, has_token)
    if status in (200, 201, 204):
        return content or None
    of_extension = "message" in content
    if status == 503 and of_extension and "field" not in content:
        raise _not_started(content)
    if of_extension and ("field" in content or status in (400, 409, 429, 507)):
        raise _refusal(content)
    raise _foreign_answer(status, url, has_token)


def is_jupyters_refusal(answer: Answer) -> bool:
    """Whether Jupyter itself refused the request: it redirected to its login page, or answered 403
    without the extension's field ``field``."""
    if answer.status == 403:
        try:
            return "field" not in json.loads(answer.body)
        except (TypeError, ValueError):
            return True
    return answer.status in (301, 302, 401)


def connection_error(error: Exception, url: str) -> ServerError:
    """The error of a request to the server at ``url`` that got no answer, because of ``error``."""
    remedy = "`jupyter server list` shows the running servers. If this one runs, look at its log."
    if isinstance(error, socket.timeout):
        problem = "does not answer in time"
    elif isinstance(error, ssl.SSLError):
        problem = "has a certificate that is not trusted here"
        remedy = (
            "Run this command on the machine of the server, or name a file with the certificate in "
            "the environment variable SSL_CERT_FILE."
        )
    else:
        problem = f"cannot be reached ({type(error).__name__})"
    # Nobody listens there: a server that ended has left its runtime file behind.
    absent = isinstance(error, (ConnectionRefusedError, FileNotFoundError))
    return ServerError(ExitCode.NO_SERVER, f"The server at {url} {problem}.", remedy, absent)


def base_url_error(url: str, base: str) -> ServerError:
    """The error of a server whose base URL is ``base``. tornado reads request lines as Latin-1, so
    no request matches a base URL with other letters. Such a server does not even answer 404."""
    message = f"No program can reach the server at {url}, and no browser."
    remedy = (
        "Its base URL contains letters that a request carries in percent-encoded form only. "
        f"Start it with --ServerApp.base_url={quote(base)}"
    )
    return ServerError(ExitCode.NO_SERVER, message, remedy)


def _foreign_answer(status: int, url: str, has_token: bool) -> ServerError:
    """The error for an answer that did not come from the extension."""
    if status in (301, 302, 401, 403):
        message = f"The server at {url} refuses access ({status})."
        return ServerError(ExitCode.REFUSED, message, _about_access(has_token))
    if status in (200, 204, 404, 405):
        message = f"The server at {url} does not have auto_shutdown."
        remedy = (
            "If it was installed after the server started, restart the server. Otherwise see what "
            "`jupyter server extension list` and `jupyter auto-shutdown doctor` say. An address "
            "for --url must be the one that `jupyter server list` shows, without /lab."
        )
        return ServerError(ExitCode.NO_EXTENSION, message, remedy, absent=True)
    message = f"The server at {url} answered with an error ({status})."
    return ServerError(ExitCode.NO_SERVER, message, "Look at the server's log for its cause.")


def _about_access(has_token: bool) -> str:
    if has_token:
        return (
            "It does not accept the token that was sent. Put its current token into "
            f"{TOKEN_VARIABLE}, and name the server with --url."
        )
    return (
        "It has no token that this account can read, so it probably wants a password. At a "
        "terminal this command asks for it. For scripts and jobs, set a token beside the password "
        "(c.IdentityProvider.token in jupyter_server_config.py) and restart the server; or put the "
        f"token into {TOKEN_VARIABLE}, and use --url."
    )


def _not_started(content: Mapping[str, Any]) -> ServerError:
    """The error for status 503: the extension is starting, or it could not start."""
    if content.get("remedy"):
        message = str(content["message"])
        return ServerError(ExitCode.NO_EXTENSION, message, str(content["remedy"]))
    message = "auto_shutdown is starting on this server, or could not start."
    remedy = "Try again in a few seconds. If it still does not start, its log names the cause."
    return ServerError(ExitCode.NO_EXTENSION, message, remedy)


def _refusal(content: Mapping[str, Any]) -> ServerError:
    """The error for a request that the extension refused."""
    bound = content.get("bound")
    remedy = str(content.get("remedy") or "")
    if bound is not None:
        remedy = f"{_about_bound(bound)} {remedy}".strip()
    return ServerError(ExitCode.TROUBLE, str(content["message"]), remedy)


def _about_bound(bound: Any) -> str:
    """A sentence with the values that the extension accepts. ``bound`` is the largest number, an
    object with ``min`` and ``max``, or a text that lists the values."""
    if isinstance(bound, (int, float)):
        return f"The limit is {bound:g}."
    if isinstance(bound, Mapping):
        bound = f"{bound['min']:g} to {bound['max']:g}"
    return f"Allowed: {bound}."
