"""Finds the running server as ``jupyter server list`` does, and calls the extension's HTTP API.

A server's token is read from Jupyter's runtime files and sent to that server only. It is never
printed or logged. Redirects are not followed, because a redirect could send the token to another
host.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from .connection import ANY_ADDRESS, UNIX_SCHEME, Answer, exchange, is_latin

#: How long a request may take. A check may delete an app, which takes many seconds.
ANSWER_SECONDS = 60.0

#: How long a server may take to answer ``GET status``; usually this takes milliseconds.
PROBE_SECONDS = 5.0

#: The environment variable (Jupyter's own) with the token of a server that has no runtime file
#: here, because it runs on another host or belongs to another user.
TOKEN_VARIABLE = "JUPYTER_TOKEN"

#: The environment variable with which Jupyter tells a terminal the URL of its server.
SERVER_VARIABLE = "JUPYTER_SERVER_URL"

#: The environment variable with which jupyter_client tells a kernel the process id of its server.
PARENT_VARIABLE = "JPY_PARENT_PID"

#: Asks a person for the password of the server at the given URL, and returns it.
AskPassword = Callable[[str], str]


class ExitCode(IntEnum):
    """The exit codes of the command line. docs/command-line.md explains them."""

    DONE = 0
    TROUBLE = 1
    USAGE = 2
    NO_SERVER = 3
    NO_EXTENSION = 4
    REFUSED = 5
    INTERRUPTED = 130


class ServerError(Exception):
    """A request failed. ``str(error)`` tells what failed and ``remedy`` what to do about it;
    ``code`` is the exit code for the command line."""

    def __init__(self, code: ExitCode, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy


@dataclass(frozen=True)
class Server:
    """One running server, as its runtime file describes it. ``url`` ends with a slash."""

    url: str
    token: str = field(default="", repr=False)
    pid: int | None = None
    version: str = ""

    @property
    def port(self) -> int | None:
        parts = urlsplit(self.url)
        return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def running_servers() -> list[Server]:
    """The running servers of this user on this machine. Raises ServerError when Jupyter's runtime
    directory cannot be read."""
    from jupyter_server.serverapp import list_running_servers

    try:
        described = list(list_running_servers())
    except OSError as error:
        remedy = "Make Jupyter's runtime directory (jupyter --runtime-dir) readable."
        message = f"Jupyter's runtime files cannot be read: {error}."
        raise ServerError(ExitCode.NO_SERVER, message, remedy) from None
    return [_server(each) for each in described if each.get("url")]


def _server(description: Mapping[str, Any]) -> Server:
    url = str(description["url"])
    if str(description.get("hostname", "-")) in ANY_ADDRESS:
        # The server listens on all addresses. Its URL then contains the machine's name, which may
        # not resolve; such a server always answers on localhost.
        parts = urlsplit(url)
        netloc = f"localhost:{parts.port}" if parts.port else "localhost"
        url = parts._replace(netloc=netloc).geturl()
    return Server(
        url=url if url.endswith("/") else url + "/",
        token=str(description.get("token") or ""),
        pid=description.get("pid"),
        version=str(description.get("version") or ""),
    )


def find(
    url: str | None = None, port: int | None = None, ask_password: AskPassword | None = None
) -> Client:
    """A client of the running server that ``url`` and ``port`` select. Without them, a client of
    the only server that has the extension. ``ask_password`` is called when the server wants a
    password; None when no person can be asked. Raises ServerError when no server, or more than one,
    is left to choose from."""
    servers = running_servers()
    chosen = [server for server in servers if _is_chosen(server, url, port)]
    if not chosen and url is not None and port is None:
        chosen = [Server(url.rstrip("/") + "/", os.environ.get(TOKEN_VARIABLE, ""))]
    if not chosen:
        raise _no_server(servers)
    return Client(chosen[0] if len(chosen) == 1 else _choose(chosen), ask_password)


def _is_chosen(server: Server, url: str | None, port: int | None) -> bool:
    if port is not None and server.port != port:
        return False
    return url is None or _place(server.url) == _place(url)


def _place(url: str) -> tuple[int | None, str, str]:
    """The port, socket file and path of a URL. They tell the servers of one machine apart, because
    a machine has several names and addresses. The path is percent-decoded, because one path can be
    written in both ways."""
    parts = urlsplit(url)
    socket_file = parts.netloc if parts.scheme == UNIX_SCHEME else ""
    return Server(url).port, socket_file, unquote(parts.path).rstrip("/")


def _no_server(others: Iterable[Server]) -> ServerError:
    urls = " ".join(server.url for server in others)
    if urls:
        message = "No running Jupyter server matches --url or --port."
        remedy = f"These servers run: {urls}"
    else:
        message = "No Jupyter server of this user runs on this machine."
        remedy = (
            "Start one (jupyter lab), or run this in a terminal of the server. For a server that "
            "`jupyter server list` does not show, use --url and put its token into "
            f"{TOKEN_VARIABLE}."
        )
    return ServerError(ExitCode.NO_SERVER, message, remedy)


def _choose(servers: list[Server]) -> Server:
    """Choose from several servers: the server that started the kernel or terminal in which this
    runs, else the only server with the extension. Raises ServerError when neither is clear."""
    here, parent = os.environ.get(SERVER_VARIABLE), os.environ.get(PARENT_VARIABLE)
    parents = [s for s in servers if parent is not None and str(s.pid) == parent]
    parents = parents or [s for s in servers if here is not None and _place(s.url) == _place(here)]
    problems = {} if parents else {server: Client(server).probe() for server in servers}
    with_extension = parents or [server for server, problem in problems.items() if problem is None]
    if not with_extension:  # a server that wants a password may have the extension
        refused = ExitCode.REFUSED
        with_extension = [s for s, p in problems.items() if p is not None and p.code is refused]
    if len(with_extension) == 1:
        return with_extension[0]
    urls = " ".join(server.url for server in with_extension or servers)
    which = "have auto_shutdown" if with_extension else "run, none of them with auto_shutdown"
    message = f"{len(with_extension or servers)} servers {which}."
    raise ServerError(ExitCode.USAGE, message, f"Choose one with --url or --port: {urls}")


class Client:
    """Calls one server. Every method raises ServerError and no other exception."""

    def __init__(self, server: Server, ask_password: AskPassword | None = None) -> None:
        self.server = server
        self._ask_password = ask_password
        self._login_cookies: tuple[str, ...] = ()

    def probe(self) -> ServerError | None:
        """Ask the extension for its status. Returns the error when it does not answer, else
        None."""
        try:
            self.request("GET", "status", seconds=PROBE_SECONDS)
        except ServerError as error:
            return error
        return None

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        seconds: float = ANSWER_SECONDS,
        below: str = "auto-shutdown/",
    ) -> Any:
        """Send one request and return the JSON of the answer, None for an empty answer. ``path`` is
        relative to ``below``, and ``below`` is relative to the server's base URL. ``seconds``
        limits each wait for the server."""
        target = below + path
        if query:
            target += "?" + urlencode(query)
        text = None if body is None else json.dumps(body)
        answer = self._exchange(method, target, text, self._headers(method), seconds)
        if _is_jupyters_refusal(answer) and self._log_in(seconds):
            answer = self._exchange(method, target, text, self._headers(method), seconds)
        return self._read(answer)

    def channels(self, kernel_id: str) -> tuple[str, Mapping[str, str]]:
        """The URL of the websocket of one kernel, and the headers that the request for it needs."""
        url = self.server.url.replace("http", "ws", 1)
        headers = {k: v for k, v in self._headers("GET").items() if k != "Content-Type"}
        return f"{url}api/kernels/{kernel_id}/channels", headers

    def _exchange(
        self,
        method: str,
        target: str,
        body: str | None,
        headers: Mapping[str, str],
        seconds: float,
    ) -> Answer:
        base = urlsplit(self.server.url).path
        path = base + target
        if self.server.pid is not None and not is_latin(base):
            raise self._unreachable(base)
        try:
            return exchange(self.server.url, method, path, body, headers, seconds)
        except (OSError, http.client.HTTPException, ValueError) as error:
            failure = error
        # Raised outside the handler, so that no traceback of the cause can show a header.
        raise self._no_answer(failure)

    def _headers(self, method: str) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.server.token:
            return {**headers, "Authorization": f"token {self.server.token}"}
        cookies = [*self._login_cookies]
        if method != "GET":
            # For a request without a token, as in Studio, Jupyter requires an XSRF token: the same
            # value in a cookie and in a header. A page of another origin could not set both.
            pair = secrets.token_hex(16)
            headers["X-XSRFToken"] = pair
            cookies.append(f"_xsrf={pair}")
        return {**headers, "Cookie": "; ".join(cookies)} if cookies else headers

    def _log_in(self, seconds: float) -> bool:
        """Ask a person for the server's password and log in with it, as the login page does.
        Returns whether the login succeeded. The password is not stored."""
        if self.server.token or self._login_cookies or self._ask_password is None:
            return False
        if self._exchange("GET", "login", None, {}, seconds).status != 200:
            return False  # the server has no login page, or refused for another reason
        pair = secrets.token_hex(16)
        body = urlencode({"password": self._ask_password(self.server.url), "_xsrf": pair})
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": f"_xsrf={pair}",
        }
        answer = self._exchange("POST", "login", body, headers, seconds)
        if answer.status == 401:
            message = f"The server at {self.server.url} does not accept this password."
            raise ServerError(ExitCode.REFUSED, message, "Try again with the right one.")
        cookies = tuple(c for c in answer.cookies if not c.startswith("_xsrf="))
        self._login_cookies = cookies
        return bool(cookies)

    def _unreachable(self, base: str) -> ServerError:
        """tornado reads request lines as Latin-1, so no request matches a base URL with other
        letters. Such a server does not even answer 404."""
        message = f"No program can reach the server at {self.server.url}, and no browser."
        remedy = (
            "Its base URL contains letters that a request carries in percent-encoded form only. "
            f"Start it with --ServerApp.base_url={quote(base)}"
        )
        return ServerError(ExitCode.NO_SERVER, message, remedy)

    def _no_answer(self, error: Exception) -> ServerError:
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

    def _read(self, response: Answer) -> Any:
        status = response.status
        try:
            answer = json.loads(response.body) if response.body else {}
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._foreign_answer(status)
        if status in (200, 201, 204):
            return answer or None
        of_extension = "message" in answer
        if status == 503 and of_extension and "field" not in answer:
            raise _not_started(answer)
        if of_extension and ("field" in answer or status in (400, 409, 429, 507)):
            raise _refusal(answer)
        raise self._foreign_answer(status)

    def _foreign_answer(self, status: int) -> ServerError:
        """The error for an answer that did not come from the extension."""
        url = self.server.url
        if status in (301, 302, 401, 403):
            message = f"The server at {url} refuses access ({status})."
            return ServerError(ExitCode.REFUSED, message, self._about_access())
        if status in (200, 204, 404, 405):
            message = f"The server at {url} does not have auto_shutdown."
            remedy = (
                "If it was installed after the server started, restart the server. Otherwise see "
                "what `jupyter server extension list` and `jupyter auto-shutdown doctor` say."
            )
            return ServerError(ExitCode.NO_EXTENSION, message, remedy)
        message = f"The server at {url} answered with an error ({status})."
        return ServerError(ExitCode.NO_SERVER, message, "Look at its log.")

    def _about_access(self) -> str:
        if self.server.token:
            return f"Its token is another one: put it into {TOKEN_VARIABLE}, and use --url."
        return (
            "It has no token that this account can read, so it probably wants a password. At a "
            "terminal this command asks for it. For scripts and jobs, set a token beside the "
            "password (c.IdentityProvider.token in jupyter_server_config.py) and restart the "
            f"server; or put the token into {TOKEN_VARIABLE}, and use --url."
        )


def _is_jupyters_refusal(answer: Answer) -> bool:
    """Whether Jupyter itself refused the request: it redirected to its login page, or answered 403
    without the extension's field ``field``."""
    if answer.status == 403:
        try:
            return "field" not in json.loads(answer.body)
        except (TypeError, ValueError):
            return True
    return answer.status in (301, 302, 401)


def _not_started(answer: Mapping[str, Any]) -> ServerError:
    """The error for status 503: the extension is starting, or it could not start."""
    if answer.get("remedy"):
        message = str(answer["message"])
        return ServerError(ExitCode.NO_EXTENSION, message, str(answer["remedy"]))
    message = "auto_shutdown is starting on this server, or could not start."
    remedy = "Try again in some seconds. If it stays so, the server's log has one line about it."
    return ServerError(ExitCode.NO_EXTENSION, message, remedy)


def _refusal(answer: Mapping[str, Any]) -> ServerError:
    bound = answer.get("bound")
    remedy = str(answer.get("remedy") or "")
    if bound is not None:
        remedy = f"The bound is {json.dumps(bound)}. {remedy}".strip()
    return ServerError(ExitCode.TROUBLE, str(answer["message"]), remedy)
