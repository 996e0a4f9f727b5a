"""The running server, found as ``jupyter server list`` finds it, and asked over its HTTP contract.

A token is read from Jupyter's own runtime files, sent to the server it belongs to, and shown
nowhere. Redirects are not followed: they would take the token elsewhere.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import secrets
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

#: Seconds. A check may delete an app; a status takes milliseconds.
ANSWER_SECONDS = 60.0
PROBE_SECONDS = 5.0

UNIX_SCHEME = "http+unix"

#: For a server that was started by hand, elsewhere or by another user; Jupyter's own variable.
TOKEN_VARIABLE = "JUPYTER_TOKEN"

#: Set by Jupyter in its terminals and kernels: the server that we were started from.
SERVER_VARIABLE = "JUPYTER_SERVER_URL"


class ExitCode(IntEnum):
    """What the command line's exit codes mean; docs/command-line.md has them in words."""

    DONE = 0
    TROUBLE = 1
    USAGE = 2
    NO_SERVER = 3
    NO_EXTENSION = 4
    REFUSED = 5
    INTERRUPTED = 130


class ServerError(Exception):
    """What failed, in ``str()``; ``remedy`` says what to do, ``code`` is the exit code."""

    def __init__(self, code: ExitCode, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy


@dataclass(frozen=True)
class Server:
    """One running server, as its runtime file has it."""

    url: str
    token: str = field(default="", repr=False)
    pid: int | None = None
    version: str = ""
    password: bool = False

    @property
    def port(self) -> int | None:
        parts = urlsplit(self.url)
        return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def running_servers() -> list[Server]:
    """The servers of this user on this machine."""
    from jupyter_server.serverapp import list_running_servers

    try:
        found = list(list_running_servers())
    except OSError as error:
        remedy = "Make Jupyter's runtime directory (jupyter --runtime-dir) readable."
        message = f"Jupyter's runtime files cannot be read: {error}."
        raise ServerError(ExitCode.NO_SERVER, message, remedy) from None
    return [_server(each) for each in found if each.get("url")]


def _server(found: Mapping[str, Any]) -> Server:
    url = str(found["url"])
    return Server(
        url=url if url.endswith("/") else url + "/",
        token=str(found.get("token") or ""),
        pid=found.get("pid"),
        version=str(found.get("version") or ""),
        password=bool(found.get("password")),
    )


def find(url: str | None = None, port: int | None = None) -> Client:
    """A client of the server asked for, or of the only one that has the extension. Raises
    ServerError."""
    servers = running_servers()
    chosen = [server for server in servers if _asked_for(server, url, port)]
    if not chosen and url is not None and port is None:
        chosen = [Server(url.rstrip("/") + "/", os.environ.get(TOKEN_VARIABLE, ""))]
    if not chosen:
        raise _none_running(servers)
    return Client(chosen[0] if len(chosen) == 1 else _only_one(chosen))


def _asked_for(server: Server, url: str | None, port: int | None) -> bool:
    if port is not None and server.port != port:
        return False
    return url is None or _place(server.url) == _place(url)


def _place(url: str) -> tuple[int | None, str, str]:
    """What tells the servers of one machine apart, by whatever name the machine goes."""
    parts = urlsplit(url)
    host = parts.netloc if parts.scheme == UNIX_SCHEME else ""
    return Server(url).port, host, parts.path.rstrip("/")


def _none_running(others: Iterable[Server]) -> ServerError:
    urls = " ".join(server.url for server in others)
    if urls:
        message, remedy = "No running Jupyter server is the one asked for.", f"There is: {urls}"
    else:
        message = "No Jupyter server of this user runs on this machine."
        remedy = (
            "Start one (jupyter lab), or run this in a terminal of the server; "
            f"--url and {TOKEN_VARIABLE} name one that is not listed by: jupyter server list"
        )
    return ServerError(ExitCode.NO_SERVER, message, remedy)


def _only_one(servers: list[Server]) -> Server:
    """Of several: the one whose terminal this is, or the only one that has the extension."""
    here = os.environ.get(SERVER_VARIABLE)
    home = [s for s in servers if here is not None and _place(s.url) == _place(here)]
    answering = home or [server for server in servers if Client(server).answers()]
    if len(answering) == 1:
        return answering[0]
    urls = " ".join(server.url for server in answering or servers)
    which = "have auto_shutdown" if answering else "run, none of them with auto_shutdown"
    message = f"{len(answering or servers)} servers {which}."
    raise ServerError(ExitCode.USAGE, message, f"Choose one with --url or --port: {urls}")


class Client:
    """Asks one server. Every method raises ServerError, and nothing else."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def answers(self) -> bool:
        """Whether the extension is there and at work."""
        try:
            self.request("GET", "status", seconds=PROBE_SECONDS)
        except ServerError:
            return False
        return True

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Any:
        """One request below ``auto-shutdown/``; its JSON, None for an empty answer."""
        target = f"{urlsplit(self.server.url).path}auto-shutdown/{path}"
        if query:
            target += "?" + urlencode(query)
        text = None if body is None else json.dumps(body)
        try:
            connection = _connection(self.server.url, seconds)
            try:
                connection.request(method, target, text, self._headers(method))
                response = connection.getresponse()
                answer = response.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._silent(error) from None
        return self._read(response.status, answer)

    def _headers(self, method: str) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.server.token:
            return {**headers, "Authorization": f"token {self.server.token}"}
        if method != "GET":
            # Jupyter asks for XSRF protection of whatever comes without a token, as in Studio: a
            # cookie, and the same in a header. A page of another origin could not set both.
            pair = secrets.token_hex(16)
            headers.update({"Cookie": f"_xsrf={pair}", "X-XSRFToken": pair})
        return headers

    def _silent(self, error: Exception) -> ServerError:
        if isinstance(error, socket.timeout):
            what = "does not answer in time"
        elif isinstance(error, ssl.SSLError):
            what = "has a certificate that is not trusted here"
        else:
            what = f"cannot be reached ({type(error).__name__})"
        message = f"The server at {self.server.url} {what}."
        return ServerError(
            ExitCode.NO_SERVER, message, "Look at its log; jupyter server list shows what runs."
        )

    def _read(self, status: int, text: bytes) -> Any:
        try:
            answer = json.loads(text) if text else {}
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._foreign(status)
        if status in (200, 204):
            return answer or None
        ours = "message" in answer
        if ours and ("field" in answer or status in (400, 409, 507)):
            raise _refusal(answer)
        if status == 503 and ours:
            message = "auto_shutdown is starting on this server, or could not start."
            remedy = "Try again in some seconds; if it stays, the server's log has one line on it."
            raise ServerError(ExitCode.NO_EXTENSION, message, remedy)
        raise self._foreign(status)

    def _foreign(self, status: int) -> ServerError:
        url = self.server.url
        if status in (301, 302, 401, 403):
            message = f"The server at {url} refuses access ({status})."
            remedy = (
                "It asks for a password: give it a token, too (IdentityProvider.token)"
                if self.server.password
                else "Use the account that started it"
            )
            remedy += f", or name it with --url and its token in {TOKEN_VARIABLE}."
            return ServerError(ExitCode.REFUSED, message, remedy)
        if status in (200, 204, 404, 405):
            message = f"The server at {url} does not have auto_shutdown."
            remedy = (
                "If it was installed after the server started, restart the server; otherwise see "
                "what jupyter server extension list says, and: jupyter auto-shutdown doctor"
            )
            return ServerError(ExitCode.NO_EXTENSION, message, remedy)
        message = f"The server at {url} answered with an error ({status})."
        return ServerError(ExitCode.NO_SERVER, message, "Look at its log.")


def _refusal(answer: Mapping[str, Any]) -> ServerError:
    bound = answer.get("bound")
    remedy = "" if bound is None else f"The bound is {json.dumps(bound)}."
    return ServerError(ExitCode.TROUBLE, str(answer["message"]), remedy)


def _connection(url: str, seconds: float) -> http.client.HTTPConnection:
    """No proxy is used: the server is on this machine, or on a host somebody named."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == UNIX_SCHEME:
        return _UnixConnection(unquote(parts.netloc), seconds)
    here = _is_here(host)
    name = "localhost" if here else host
    if parts.scheme == "https":
        # A notebook instance serves a certificate that it signed itself. On the way to the same
        # machine there is nobody that it would protect from.
        context = ssl._create_unverified_context() if here else ssl.create_default_context()
        return http.client.HTTPSConnection(name, parts.port, timeout=seconds, context=context)
    return http.client.HTTPConnection(name, parts.port, timeout=seconds)


def _is_here(host: str) -> bool:
    """Whether it is this machine; 0.0.0.0 is how a server says that it listens everywhere."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        names = ("localhost", socket.gethostname().lower(), socket.getfqdn().lower())
        return host.lower() in names
    return address.is_loopback or address.is_unspecified


class _UnixConnection(http.client.HTTPConnection):
    """To a server that listens on a socket file (``--sock``)."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
