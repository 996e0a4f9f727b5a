"""Finds the running server as ``jupyter server list`` finds it, and calls its HTTP contract.

A token is read from Jupyter's own runtime files, sent to the server that it belongs to, and shown
nowhere. Redirects are not followed, because they could take the token elsewhere.
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

#: Seconds. A check may delete an app; a status takes milliseconds.
ANSWER_SECONDS = 60.0
PROBE_SECONDS = 5.0

#: The token of a server that was started by hand, elsewhere or by another user. The variable is
#: Jupyter's own.
TOKEN_VARIABLE = "JUPYTER_TOKEN"

#: Jupyter sets this in its terminals: the server that started them.
SERVER_VARIABLE = "JUPYTER_SERVER_URL"

#: jupyter_client sets this in kernels: the process of the server that started them.
PARENT_VARIABLE = "JPY_PARENT_PID"

#: Asks a person for the password of the server at a URL. None when nobody can be asked.
AskPassword = Callable[[str], str]


class ExitCode(IntEnum):
    """What the command line's exit codes mean; docs/command-line.md explains them."""

    DONE = 0
    TROUBLE = 1
    USAGE = 2
    NO_SERVER = 3
    NO_EXTENSION = 4
    REFUSED = 5
    INTERRUPTED = 130


class ServerError(Exception):
    """``str()`` says what failed, ``remedy`` what to do; ``code`` is the exit code."""

    def __init__(self, code: ExitCode, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy


@dataclass(frozen=True)
class Server:
    """One running server, as its runtime file describes it."""

    url: str
    token: str = field(default="", repr=False)
    pid: int | None = None
    version: str = ""

    @property
    def port(self) -> int | None:
        parts = urlsplit(self.url)
        return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def running_servers() -> list[Server]:
    """The servers of this user on this machine. Raises ServerError."""
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
        # It listens on every address, and its URL shows the machine's name instead, which need not
        # resolve. Every such server answers on localhost.
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
    """A client of the server that ``url`` and ``port`` choose, or of the only one that has the
    extension. ``ask_password`` is called when that server wants a password. Raises ServerError."""
    servers = running_servers()
    chosen = [server for server in servers if _is_chosen(server, url, port)]
    if not chosen and url is not None and port is None:
        chosen = [Server(url.rstrip("/") + "/", os.environ.get(TOKEN_VARIABLE, ""))]
    if not chosen:
        raise _none_running(servers)
    return Client(chosen[0] if len(chosen) == 1 else _only_one(chosen), ask_password)


def _is_chosen(server: Server, url: str | None, port: int | None) -> bool:
    if port is not None and server.port != port:
        return False
    return url is None or _place(server.url) == _place(url)


def _place(url: str) -> tuple[int | None, str, str]:
    """Port, socket file and path: these distinguish the servers of one machine, whichever of its
    names or addresses a URL uses, and whether its path is percent-encoded or not."""
    parts = urlsplit(url)
    socket_file = parts.netloc if parts.scheme == UNIX_SCHEME else ""
    return Server(url).port, socket_file, unquote(parts.path).rstrip("/")


def _none_running(others: Iterable[Server]) -> ServerError:
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


def _only_one(servers: list[Server]) -> Server:
    """Of several servers: the one whose kernel or terminal this is, or the only one with the
    extension."""
    here, parent = os.environ.get(SERVER_VARIABLE), os.environ.get(PARENT_VARIABLE)
    home = [s for s in servers if parent is not None and str(s.pid) == parent]
    home = home or [s for s in servers if here is not None and _place(s.url) == _place(here)]
    problems = {} if home else {server: Client(server).probe() for server in servers}
    with_extension = home or [server for server, problem in problems.items() if problem is None]
    if not with_extension:  # one that wants a password may have it
        refused = ExitCode.REFUSED
        with_extension = [s for s, p in problems.items() if p is not None and p.code is refused]
    if len(with_extension) == 1:
        return with_extension[0]
    urls = " ".join(server.url for server in with_extension or servers)
    which = "have auto_shutdown" if with_extension else "run, none of them with auto_shutdown"
    message = f"{len(with_extension or servers)} servers {which}."
    raise ServerError(ExitCode.USAGE, message, f"Choose one with --url or --port: {urls}")


class Client:
    """Calls one server. Every method raises ServerError, and nothing else."""

    def __init__(self, server: Server, ask_password: AskPassword | None = None) -> None:
        self.server = server
        self._ask_password = ask_password
        self._login_cookies: tuple[str, ...] = ()

    def probe(self) -> ServerError | None:
        """Why the extension does not answer; None when it does."""
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
        """Send one request below ``auto-shutdown/``, or ``below`` another part of the server's API.
        Returns its JSON, None for an empty answer."""
        target = below + path
        if query:
            target += "?" + urlencode(query)
        text = None if body is None else json.dumps(body)
        answer = self._exchange(method, target, text, self._headers(method), seconds)
        if _is_refusal(answer) and self._log_in(seconds):
            answer = self._exchange(method, target, text, self._headers(method), seconds)
        return self._read(answer)

    def channels(self, kernel_id: str) -> tuple[str, Mapping[str, str]]:
        """The websocket of one kernel, and the headers that open it."""
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
        # Here and not in the handler: a traceback could show a header.
        raise self._no_answer(failure)

    def _headers(self, method: str) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.server.token:
            return {**headers, "Authorization": f"token {self.server.token}"}
        cookies = [*self._login_cookies]
        if method != "GET":
            # Without a token, as in Studio, Jupyter wants XSRF protection: one value both as a
            # cookie and as a header. A page of another origin could not set both.
            pair = secrets.token_hex(16)
            headers["X-XSRFToken"] = pair
            cookies.append(f"_xsrf={pair}")
        return {**headers, "Cookie": "; ".join(cookies)} if cookies else headers

    def _log_in(self, seconds: float) -> bool:
        """Ask a person for the server's password and log in with it, as the login page does.
        Returns whether the server accepted it. The password is kept nowhere."""
        if self.server.token or self._login_cookies or self._ask_password is None:
            return False
        if self._exchange("GET", "login", None, {}, seconds).status != 200:
            return False  # it has no login page, or needs no login and refuses for another reason
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
            raise self._not_ours(status)
        if status in (200, 201, 204):
            return answer or None
        ours = "message" in answer
        if status == 503 and ours and "field" not in answer:
            raise _not_started(answer)
        if ours and ("field" in answer or status in (400, 409, 429, 507)):
            raise _refusal(answer)
        raise self._not_ours(status)

    def _not_ours(self, status: int) -> ServerError:
        """An answer that the extension did not give."""
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


def _is_refusal(answer: Answer) -> bool:
    """Jupyter redirects to its login page, or refuses with its own sentence."""
    if answer.status == 403:
        try:
            return "field" not in json.loads(answer.body)
        except (TypeError, ValueError):
            return True
    return answer.status in (301, 302, 401)


def _not_started(answer: Mapping[str, Any]) -> ServerError:
    """503: the extension is starting, or could not start and says why with a remedy."""
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
