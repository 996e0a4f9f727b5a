"""HTTP connections to a Jupyter server: by host name, by IP address, or by socket file.

This uses the standard library's HTTP client, because importing a bigger one would slow down every
command. It uses no proxy: the server runs on this machine, or on a host that the caller named.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

UNIX_SCHEME = "http+unix"

#: Addresses that a server uses to listen on all network interfaces. A client cannot connect to
#: them.
ANY_ADDRESS = frozenset({"", "*", "0.0.0.0", "::"})

#: Characters of a path that are not percent-encoded. The character ``%`` is among them, because the
#: path may already contain percent-encoded characters.
_PLAIN = "/%:@!$&'()*+,;=~-._"


@dataclass(frozen=True)
class Answer:
    """A server's answer. ``cookies`` are the ``name=value`` pairs that it set; ``retry_after`` is
    the header of that name, empty when there is none."""

    status: int
    body: bytes
    cookies: tuple[str, ...] = ()
    retry_after: str = ""


def exchange(
    url: str,
    method: str,
    path: str,
    body: str | None,
    headers: Mapping[str, str],
    seconds: float,
) -> Answer:
    """Send one request to the server at ``url`` and return its answer. ``path`` is the absolute
    path with its query; ``seconds`` limits each wait for the server. Redirects are not followed.
    Raises OSError, HTTPException or ValueError."""
    escaped = quote(path, safe=_PLAIN + "?")
    answer = _exchange_once(url, method, escaped, body, headers, seconds)
    if answer.status == 404 and escaped != path and is_latin(path):
        # The base URL may contain a letter such as "ä". Jupyter's routes then contain the letter
        # itself, and tornado decodes request lines as Latin-1. So only a path that is sent
        # unescaped, as Latin-1, matches them.
        answer = _exchange_once(url, method, path, body, headers, seconds)
    return answer


def _exchange_once(
    url: str,
    method: str,
    path: str,
    body: str | None,
    headers: Mapping[str, str],
    seconds: float,
) -> Answer:
    connection = _connection(url, seconds)
    try:
        connection.request(method, path, body, {**_host_header(url), **headers})
        response = connection.getresponse()
        content = response.read()
        cookies = response.headers.get_all("Set-Cookie") or []
        return Answer(
            response.status,
            content,
            tuple(cookie.partition(";")[0] for cookie in cookies),
            response.headers.get("Retry-After", ""),
        )
    finally:
        connection.close()


def _host_header(url: str) -> dict[str, str]:
    """The header ``Host`` for a server whose name has only loopback addresses, as the name of a
    machine often has in ``/etc/hosts``. A server that listens there answers 403 to a ``Host`` that
    is a name other than ``localhost``, as a protection against DNS rebinding. So the header is one
    of those addresses. For all other servers it stays the name in ``url``: the result is empty."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == UNIX_SCHEME or host in ANY_ADDRESS or host == "localhost":
        return {}
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(address[0])) for *_, address in found]
    except (OSError, ValueError):  # ValueError: the name is no domain name, or has a scope
        return {}
    if not addresses or not all(address.is_loopback for address in addresses):
        return {}
    name = f"[{addresses[0]}]" if addresses[0].version == 6 else str(addresses[0])
    return {"Host": f"{name}:{parts.port}" if parts.port else name}


def is_latin(path: str) -> bool:
    """Whether a request line can carry ``path`` without percent-encoding."""
    try:
        path.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return " " not in path


class _Latin1Paths:
    """Sends a path with Latin-1 letters, which ``http.client`` would refuse to send."""

    def _encode_request(self, request: str) -> bytes:
        return request.encode("latin-1")


class _HTTPConnection(_Latin1Paths, http.client.HTTPConnection):
    pass


class _HTTPSConnection(_Latin1Paths, http.client.HTTPSConnection):
    pass


class _UnixConnection(_Latin1Paths, http.client.HTTPConnection):
    """A connection to a server that listens on a socket file (option ``--sock``)."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection(url: str, seconds: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == UNIX_SCHEME:
        return _UnixConnection(unquote(parts.netloc), seconds)
    host = parts.hostname or ""
    if host in ANY_ADDRESS:
        host = "localhost"
    if parts.scheme == "https":
        # A notebook instance uses a self-signed certificate. A connection within this machine
        # cannot be intercepted on a network, so its certificate need not be verified.
        verify = not is_this_machine(host)
        context = ssl.create_default_context() if verify else ssl._create_unverified_context()
        return _HTTPSConnection(host, parts.port, timeout=seconds, context=context)
    return _HTTPConnection(host, parts.port, timeout=seconds)


def is_this_machine(host: str) -> bool:
    """Whether every address of ``host`` belongs to a network interface of this machine."""
    if host in ANY_ADDRESS:
        return True
    try:
        addresses = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return bool(addresses) and all(_is_own(family, address) for family, *_, address in addresses)


def _is_own(family: int, address: tuple[object, ...]) -> bool:
    """Whether ``address`` belongs to this machine: only such an address can be bound to."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address[0], 0, *address[2:]))
    except OSError:
        return False
    return True
