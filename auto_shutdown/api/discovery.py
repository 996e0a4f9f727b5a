"""Finds the running server of a command, as ``jupyter server list`` does.

A server's token is read from Jupyter's runtime files. It is never printed or logged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .answers import TOKEN_VARIABLE
from .client import AskPassword, Client, Server
from .connection import ANY_ADDRESS, UNIX_SCHEME
from .server_error import ExitCode, ServerError

#: The schemes of a server's URL.
SCHEMES = ("http", "https", UNIX_SCHEME)

#: The environment variable with which Jupyter tells a terminal the URL of its server.
SERVER_VARIABLE = "JUPYTER_SERVER_URL"

#: The environment variable with which jupyter_client tells a kernel the process id of its server.
PARENT_VARIABLE = "JPY_PARENT_PID"


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
    is left to choose from, or when ``url`` is no address."""
    given = None if url is None else _server_at(url)
    servers = running_servers()
    chosen = [server for server in servers if _is_chosen(server, given, port)]
    if not chosen and given is not None and port is None:
        chosen = [given]
    if not chosen:
        raise _no_server(servers)
    return Client(chosen[0] if len(chosen) == 1 else _choose(chosen), ask_password)


def _server_at(url: str) -> Server:
    """The server at the address that a user gave. The address may end with the query
    ``?token=…``, as ``jupyter server list`` prints it. Raises ServerError if it is no address."""
    address, _, query = url.partition("?")
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in SCHEMES and bool(parts.netloc) and parts.port != 0
    except ValueError:  # for example a port that is not a number
        is_address = False
    if not is_address:
        message = f"--url {address} is not the address of a server."
        remedy = "Write it as `jupyter server list` shows it, such as http://localhost:8888/"
        raise ServerError(ExitCode.USAGE, message, remedy)
    token = os.environ.get(TOKEN_VARIABLE) or parse_qs(query).get("token", [""])[0]
    return Server(address.rstrip("/") + "/", token)


def _is_chosen(server: Server, given: Server | None, port: int | None) -> bool:
    if port is not None and server.port != port:
        return False
    return given is None or _place(server) == _place(given)


def _place(server: Server) -> tuple[int | None, str, str]:
    """The port, socket file and path of a server's URL. They identify a server of one machine; the
    host does not, because a machine has several names and addresses. The path is percent-decoded,
    because one path can be written in both ways."""
    parts = urlsplit(server.url)
    socket_file = parts.netloc if parts.scheme == UNIX_SCHEME else ""
    return server.port, socket_file, unquote(parts.path).rstrip("/")


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
    if not parents and here is not None:
        parents = [s for s in servers if _place(s) == _place(Server(here))]
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
    purpose = "" if with_extension else " to see its error"
    remedy = f"Choose one with --url or --port{purpose}: {urls}"
    raise ServerError(ExitCode.USAGE, message, remedy)
