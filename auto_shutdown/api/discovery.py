"""Finds the running server of a command, as ``jupyter server list`` does.

A server's token is read from Jupyter's runtime files. It is never printed or logged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ..world.proc_files import own_ancestors
from .answers import TOKEN_VARIABLE
from .client import AskPassword, Client, Server
from .connection import ANY_ADDRESS, UNIX_SCHEME
from .runtime_files import read_runtime_files
from .server_error import ExitCode, ServerError

#: The schemes of a server's URL.
SCHEMES = ("http", "https", UNIX_SCHEME)

#: The environment variable with which Jupyter tells a terminal the URL of its server.
SERVER_VARIABLE = "JUPYTER_SERVER_URL"

#: The environment variable with which jupyter_client tells a kernel the process id of its server.
PARENT_VARIABLE = "JPY_PARENT_PID"


def running_servers() -> list[Server]:
    """The running servers of this user on this machine."""
    return [_server(each) for each in read_runtime_files().servers]


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
        root_dir=str(description.get("root_dir") or description.get("notebook_dir") or ""),
    )


def find(
    url: str | None = None,
    port: int | None = None,
    ask_password: AskPassword | None = None,
    tell: Callable[[str], None] | None = None,
) -> Client:
    """A client of the running server that ``url`` and ``port`` select. Without them: of the server
    in whose kernel or terminal this runs, else of the only server that has the extension. A runtime
    file that cannot be read may be that of another such server.

    ``ask_password`` is called when the server wants a password; None when no person can be asked.
    ``tell``: for a command that only shows something. If other servers may have the extension too,
    it is called with a sentence that names the shown server and the others. None: for a command
    that changes or removes something. Then such other servers are an error, because the user may
    have meant one of them. Raises ServerError when no server, or more than one, is left to choose
    from, or when ``url`` is no address."""
    given = None if url is None else _server_at(url)
    files = read_runtime_files()
    servers = [_server(each) for each in files.servers]
    chosen = [server for server in servers if _is_chosen(server, given, port)]
    hidden: Sequence[str] = ()
    if given is None and port is None:
        chosen += _unlisted_parent(servers)
        hidden = files.problems
    elif not chosen and given is not None and port is None:
        chosen = [given]
    if not chosen:
        raise _no_server(servers, files.problems)
    is_clear = len(chosen) == 1 and not hidden
    return Client(chosen[0] if is_clear else _choose(chosen, hidden, tell), ask_password)


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


def _no_server(others: Iterable[Server], problems: Sequence[str]) -> ServerError:
    listed = _list(others)
    if listed:
        message = "No running Jupyter server matches --url or --port."
        remedy = f"These servers run: {listed}"
    else:
        message = "No Jupyter server of this user runs on this machine."
        remedy = (
            "Start one (jupyter lab), or run this in a terminal of the server. For a server that "
            "`jupyter server list` does not show, use --url and put its token into "
            f"{TOKEN_VARIABLE}."
        )
    if problems:
        message = f"{message} {' '.join(problems)}"
        remedy = f"Make Jupyter's runtime files readable, or move them away. {remedy}"
    return ServerError(ExitCode.NO_SERVER, message, remedy)


def _unlisted_parent(servers: Iterable[Server]) -> list[Server]:
    """The server that started the terminal in which this runs, if it still runs and is not among
    ``servers``: its runtime file was deleted, or is in another directory."""
    here = os.environ.get(SERVER_VARIABLE)
    try:
        server = None if here is None else Server(here.rstrip("/") + "/")
        if server is None or any(_place(server) == _place(each) for each in servers):
            return []
    except ValueError:  # the port is not a number
        return []
    problem = Client(server).probe()
    return [] if problem is not None and problem.absent else [server]


def _choose(
    servers: Sequence[Server], hidden: Sequence[str], tell: Callable[[str], None] | None
) -> Server:
    """Choose from several servers, as ``find`` describes it. ``hidden`` are sentences on the
    runtime files that cannot be read. Raises ServerError when it is not clear which server the user
    means."""
    parents = _parents(servers)
    if len(parents) == 1:
        return parents[0]
    if len({_place(server) for server in parents}) > 1 and tell is None:
        message = f"This terminal or kernel names {len(parents)} servers as its own."
        remedy = f"Choose one with --port or --url: {_list(parents)}"
        raise ServerError(ExitCode.USAGE, message, remedy)
    probed = _probe(parents or servers)
    candidates = {s: p for s, p in probed.items() if p is None or not p.absent}
    if not candidates:
        message = " ".join(
            [f"{len(servers)} servers run, none of them with auto_shutdown.", *hidden]
        )
        remedy = f"Choose one with --url or --port to see its error: {_list(servers)}"
        raise ServerError(ExitCode.USAGE, message, remedy)
    if len(candidates) == 1 and not hidden:
        return next(iter(candidates))
    readable = [server for server, problem in candidates.items() if problem is None]
    if len(readable) == 1 and tell is not None:
        others = [_description(s, p) for s, p in candidates.items() if s != readable[0]]
        not_shown = [f"Not shown: {'; '.join(others)}."] if others else []
        sentences = [
            f"This is the server at {_description(readable[0])}.",
            *not_shown,
            *_of_hidden(hidden),
            "Choose a server with --port or --url.",
        ]
        tell(" ".join(sentences))
        return readable[0]
    number = "1 server has" if len(candidates) == 1 else f"{len(candidates)} servers have"
    message = " ".join([f"{number} auto_shutdown, or may have it.", *_of_hidden(hidden)])
    listed = "; ".join(_description(server, problem) for server, problem in candidates.items())
    raise ServerError(ExitCode.USAGE, message, f"Choose one with --port or --url: {listed}")


def _of_hidden(hidden: Sequence[str]) -> Sequence[str]:
    return ["Another server may run:", *hidden] if hidden else []


def _parents(servers: Iterable[Server]) -> list[Server]:
    """The servers in whose kernel or terminal this runs, as the environment names them.

    A server that was started in a kernel or terminal of another one inherits the variables of the
    other, and passes them on. If the variables name different servers, the nearest ancestor of this
    process is the right one. All of them are returned if that is not clear."""
    here, parent = os.environ.get(SERVER_VARIABLE), os.environ.get(PARENT_VARIABLE)
    of_kernel = [s for s in servers if parent is not None and str(s.pid) == parent]
    of_terminal = [s for s in servers if here is not None and _place(s) == _place(Server(here))]
    if not of_kernel or not of_terminal:
        return of_kernel or of_terminal
    of_both = [server for server in of_kernel if server in of_terminal]
    return of_both or _nearest([*of_kernel, *of_terminal])


def _nearest(servers: list[Server]) -> list[Server]:
    """Those of ``servers`` whose process is the nearest ancestor of this one; all of them if none
    is an ancestor, or if the process of one is unknown."""
    if any(server.pid is None for server in servers):
        return servers
    for pid in own_ancestors():
        nearest = [server for server in servers if server.pid == pid]
        if nearest:
            return nearest
    return servers


def _probe(servers: Iterable[Server]) -> dict[Server, ServerError | None]:
    """The error of each server, or None if its extension answers. A runtime file may have been left
    behind by a server that had the same address as one that runs now, and then has another token.
    So each address is returned once, with the token that works."""
    by_url: dict[str, tuple[Server, ServerError | None]] = {}
    for server in servers:
        if server.url not in by_url or by_url[server.url][1] is not None:
            by_url[server.url] = server, Client(server).probe()
    return dict(by_url.values())


def _list(servers: Iterable[Server]) -> str:
    return "; ".join(map(_description, servers))


def _description(server: Server, problem: ServerError | None = None) -> str:
    """The address of ``server``, the directory of its files, and its ``problem``."""
    remarks = [f"files in {server.root_dir}"] if server.root_dir else []
    if problem is not None:
        remarks.append(_PROBLEMS.get(problem.code, "it does not answer"))
    return f"{server.url} ({'; '.join(remarks)})" if remarks else server.url


_PROBLEMS = {
    ExitCode.REFUSED: "it refuses access and may want a password",
    ExitCode.NO_EXTENSION: "its extension has not started",
}
