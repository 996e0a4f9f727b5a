"""Calls the extension's HTTP API on a running server, and the server's own API.

A server's token is sent to that server only. It is never printed or logged. Redirects are not
followed, because a redirect could send the token to another host.
"""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from .answers import base_url_error, connection_error, is_jupyters_refusal, read_answer
from .connection import Answer, exchange, is_latin
from .server_error import ExitCode, ServerError

#: How many seconds a request may take. A check may delete an app, which takes many seconds.
ANSWER_SECONDS = 60.0

#: How many seconds a server may take to answer ``GET status``. Usually this takes milliseconds.
PROBE_SECONDS = 5.0

#: Asks a person for the password of the server at the given URL, and returns it.
AskPassword = Callable[[str], str]


@dataclass(frozen=True)
class Server:
    """One running server, as its runtime file describes it. ``url`` ends with a slash.
    ``root_dir`` is the directory of its files."""

    url: str
    token: str = field(default="", repr=False)
    pid: int | None = None
    version: str = ""
    root_dir: str = ""

    @property
    def port(self) -> int | None:
        parts = urlsplit(self.url)
        return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


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
        if is_jupyters_refusal(answer) and self._log_in(seconds):
            answer = self._exchange(method, target, text, self._headers(method), seconds)
        return read_answer(answer, self.server.url, bool(self.server.token))

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
            raise base_url_error(self.server.url, base)
        try:
            return exchange(self.server.url, method, path, body, headers, seconds)
        except (OSError, http.client.HTTPException, ValueError) as error:
            failure = error
        # Raised outside the handler, so that no traceback of the cause can show a header.
        raise connection_error(failure, self.server.url)

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
