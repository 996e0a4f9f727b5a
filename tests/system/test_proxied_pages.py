"""A page of an application behind each version of jupyter-server-proxy, in the app of a space: a
person who opens it keeps the app, and a page that only polls keeps it for a limited time."""

from __future__ import annotations

import concurrent.futures
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from extra_packages import packages_of
from own_apps import LIMITS, needs_containers, row

from auto_shutdown.local_studio.server import JupyterServerApp
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), needs_containers]

OWN = "JupyterLab/default"
LIMIT = 60 * LIMITS["idle_timeout_minutes"]

#: A page that polls counts for so long after a person has opened it (seconds).
POLLING_COUNTS = 2 * LIMIT

#: A removal may come so much later on a busy machine (seconds).
LATE = 30.0

#: The last version of each kind, and the one of the environment of development (empty): 4.3 brought
#: the option ``update_last_activity``, 4.4 and 4.5 new handlers, and 4.6 ``last_activity_times``.
VERSIONS = ("4.1.2", "4.3.0", "4.4.0", "4.5.0", "")

#: So many spaces at once: each is a whole JupyterLab, but mostly waits.
AT_ONCE = 5


class Page(BaseHTTPRequestHandler):
    """Each path of the application is a page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.fixture
def application() -> Iterator[int]:
    """A web application on this host; its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path) as found:
        yield found


def get(server: JupyterServerApp, port: int, path: str, **headers: str) -> bool:
    """Request a page of the application through the server. False if the server has ended."""
    credentials = {"Authorization": f"token {server.token}"}
    url = f"{server.url}proxy/{port}/{path}"
    request = urllib.request.Request(url, headers={**credentials, **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.read() == b"hello"
    except OSError:
        return False
    return True


def faults_of(studio: LocalStudio, version: str, application: int) -> str:
    """What is wrong with one version; empty if nothing is."""
    space = studio.add_space(f"proxy-{version.replace('.', '-') or 'newest'}")
    if version:
        packages = packages_of(f"jupyter-server-proxy=={version}", deps=False)
        space.lab.environment = {**space.lab.environment, "PYTHONPATH": str(packages)}
    limits = {**LIMITS, "output_only_minutes": POLLING_COUNTS / 60}
    extensions = {"jpserver_extensions": {"jupyter_server_proxy": True}}
    server = space.start({"AutoShutdown": limits, "ServerApp": extensions})

    begun = opened = time.monotonic()
    while time.monotonic() - begun < 2 * LIMIT:
        opened = time.monotonic()
        headers = {"Sec-Fetch-Mode": "navigate"}
        if not get(server, application, "", **headers):
            return f"removed while a person uses it\n{server.log[-2000:]}"
        time.sleep(0.5)
    found = row(server, OWN)
    if found.get("signal") != "proxied-page":
        return f"the use of a person is not seen: {found}"
    signals = set()
    while get(server, application, "data.json"):
        signals.add(row(server, OWN).get("signal"))
        time.sleep(0.5)
        if time.monotonic() - opened > POLLING_COUNTS + LIMIT + LATE:
            return f"polling keeps it: {row(server, OWN)}"
    lasted = time.monotonic() - opened
    print(f"{version or 'newest'}: removed {lasted:.1f} s after a person opened it; {signals}")
    if "proxied-app" not in signals:
        return f"polling is not seen: {signals}"
    if lasted < POLLING_COUNTS + LIMIT:
        return f"removed {lasted:.1f} s after a person opened it"
    return ""


def test_page_of_a_person_keeps_the_app_and_a_page_that_polls_does_not_for_ever(
    studio: LocalStudio, application: int
) -> None:
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(VERSIONS, pool.map(lambda v: faults_of(studio, v, application), VERSIONS)))
    assert {version: wrong for version, wrong in found.items() if wrong} == {}
