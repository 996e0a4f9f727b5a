"""A real JupyterHub with its idle culler beside the extension.

Two users run a silent cell that is longer than the culler's limit. The server of the user with
``protect_from_native`` stays while the cell runs, and the culler stops it when the cell has ended.
The other user's server is stopped during the cell, which shows that the culler was at work.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import ROOT, WORK, Host, environment

from auto_shutdown.local_studio.ports import free_port
from auto_shutdown.local_studio.processes import Leashed, wait_for_http
from auto_shutdown.local_studio.server import TOKEN, HttpError, JupyterServerApp

pytestmark = [pytest.mark.soak, pytest.mark.timeout(400)]

HUB = Host(
    "jupyterhub-5.5",
    (
        "jupyterhub==5.5.4",
        "jupyterhub-idle-culler==2.0.0",
        "jupyterlab==4.6.6",
        "ipykernel==7.4.0",
    ),
    "jupyterhub",
)
PROXY = "configurable-http-proxy@5"

#: The culler stops a server after so many idle seconds.
CULLED_AFTER = 10
#: So many seconds the cell is silent.
SILENT = 4 * CULLED_AFTER

CONFIG = """
import sys
c.JupyterHub.bind_url = "http://127.0.0.1:{port}/"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {secret!r}
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r} + "/{{username}}"
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser", "--allow-root"]
c.Spawner.http_timeout = c.Spawner.start_timeout = 90
c.Spawner.env_keep = ["PATH", "PYTHONPATH"]
c.Spawner.environment = {{
    "JUPYTERHUB_ACTIVITY_INTERVAL": "1",
    "JUPYTERHUB_ALLOW_TOKEN_IN_URL": "1",
}}
def options(spawner):
    protects = spawner.user.name == "protected"
    spawner.args = [*{args!r}, f"--AutoShutdown.protect_from_native={{protects}}"]
c.Spawner.pre_spawn_hook = options
c.JupyterHub.last_activity_interval = 1
c.JupyterHub.services = [
    {{
        "name": "culler",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler",
                    "--timeout={culled_after}", "--cull-every=1"],
    }},
    {{"name": "test", "api_token": {secret!r}}},
]
c.JupyterHub.load_roles = [
    {{
        "name": "culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["culler"],
    }},
    {{
        "name": "test",
        "scopes": ["admin:users", "admin:servers", "access:servers"],
        "services": ["test"],
    }},
]
"""

#: Our own idle timeout is long: in this test only the culler stops anything.
TRAITS = {
    "idle_timeout_minutes": 60,
    "poll_interval_seconds": 1,
}


class Address(JupyterServerApp):
    """The Hub, or a server that the Hub starts and stops."""

    def __init__(self, url: str) -> None:
        self.url = url


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Address]:
    python = environment(HUB)
    proxy = WORK / "proxy"
    if not (proxy / "node_modules").exists():
        install = ["npm", "install", "--silent", "--no-audit", "--prefix", str(proxy), PROXY]
        subprocess.run(install, check=True, timeout=300)
    port = free_port()
    args = [f"--AutoShutdown.{name}={value}" for name, value in TRAITS.items()]
    config = tmp_path / "jupyterhub_config.py"
    config.write_text(
        CONFIG.format(
            port=port,
            hub_port=free_port(),
            proxy_port=free_port(),
            proxy=str(proxy / "node_modules" / ".bin" / "configurable-http-proxy"),
            secret=TOKEN,
            homes=str(tmp_path / "homes"),
            args=[*args, f"--AutoShutdown.metadata_path={tmp_path / 'none.json'}"],
            culled_after=CULLED_AFTER,
        )
    )
    (tmp_path / "homes").mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "AWS", "PYTHON"))}
    path = f"{python.parent}:{os.environ.get('PATH', os.defpath)}"
    env = {**kept, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": path}
    argv = [str(python), "-m", "jupyterhub", f"--config={config}"]
    process = Leashed(argv, tmp_path / "hub.log", env, tmp_path)
    try:
        wait_for_http(f"http://127.0.0.1:{port}/", process, 90)
        found = Address(f"http://127.0.0.1:{port}/")
        found.process = process
        found.wait_for("the Hub behind its proxy", lambda: answers(found), 90)
        yield found
    finally:
        process.stop()


def answers(hub: Address) -> bool:
    with contextlib.suppress(HttpError):
        return bool(hub.request("GET", "hub/api"))
    return False


def start_server(hub: Address, user: str) -> Address:
    hub.request("POST", f"hub/api/users/{user}")
    hub.request("POST", f"hub/api/users/{user}/server")
    hub.wait_for(f"the server of {user}", lambda: is_running(hub, user), 120)
    return Address(f"{hub.url}user/{user}/")


def is_running(hub: Address, user: str) -> bool:
    """As the Hub has it. Asking it moves no stamp of the user's server."""
    return bool(hub.request("GET", f"hub/api/users/{user}")["servers"].get("", {}).get("ready"))


def run_silent_cell(server: Address, flag: Path) -> None:
    flag.touch()
    kernel = server.request("POST", "api/kernels", {"name": "python3"})["id"]
    code = f"import os, time\nwhile os.path.exists({str(flag)!r}): time.sleep(0.3)"
    server.execute(kernel, code, wait=False)


def test_a_silent_cell_survives_the_idle_culler(hub: Address, tmp_path: Path) -> None:
    flags = {user: tmp_path / user for user in ("protected", "unprotected")}
    for user, flag in flags.items():
        server = start_server(hub, user)
        hub.wait_for("the extension", lambda s=server: s.status()["health"]["armed"])
        run_silent_cell(server, flag)
    begun, culled_at = time.monotonic(), 0.0
    while time.monotonic() - begun < SILENT or not culled_at:
        assert is_running(hub, "protected"), hub.log[-3000:]
        if not culled_at and not is_running(hub, "unprotected"):
            culled_at = time.monotonic() - begun
        assert time.monotonic() - begun < 4 * SILENT, "the culler is not at work"
        time.sleep(0.5)
    flags["protected"].unlink()
    ended = time.monotonic()
    hub.wait_for("the culler stops it", lambda: not is_running(hub, "protected"), 120)
    held = time.monotonic() - ended
    print(f"unprotected culled after {culled_at:.1f} s, protected {held:.1f} s after its end")
    assert held > 0.5 * CULLED_AFTER
