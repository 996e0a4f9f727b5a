"""A space whose JupyterLab has the extensions that people install beside this one: language
servers, git, jupyter-resource-usage, collaboration and two MCP servers. All are the packages of
PyPI, in an environment of their own."""

from __future__ import annotations

import os
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hosts import ROOT, Host, environment, write_notebook
from lab_page import RUN_NOTEBOOK, enter, wait_for_commands

from auto_shutdown.local_studio.ports import free_port
from auto_shutdown.local_studio.server import JupyterServerApp
from auto_shutdown.local_studio.spaces import Space
from auto_shutdown.local_studio.studio import LocalStudio

CROWDED = Host(
    "jupyterlab-4.6-crowded",
    (
        "jupyterlab==4.6.6",
        "ipykernel",
        "boto3",
        "jupyterlab-lsp==5.3.0",
        "python-lsp-server==1.15.0",
        "jupyterlab-git==0.55.0",
        "jupyter-resource-usage==1.3.0",
        "jupyter-collaboration==5.0.4",
        # It brings jupyter-server-nbmodel, so the server itself runs the cells of a page.
        "jupyter-mcp-server==2.2.4",
        "jupyter-server-mcp==0.4.1",
    ),
)

AGENT = Path(__file__).with_name("agent_over_mcp.py")
SECRET = "of-the-mcp-server"

#: What the page asks by itself while nobody uses it, by the end of the path.
POLLS = ("/git/status", "/api/metrics/v1", "/api/kernels", "/api/terminals")

#: A part of the path of each websocket that the page keeps open.
STREAMS = ("/lsp/ws/pylsp", "/api/collaboration/room/")

COMMANDS = ["docmanager:open", "notebook:run-all-cells", "terminal:create-new"]

OPEN = """
  async path => {
    const { commands, shell } = jupyterapp;
    const opened = await commands.execute('docmanager:open', { path });
    await opened.context.ready;
    shell.activateById(opened.id);
  }
"""


class CrowdedLab:
    """The server, its page and the MCP servers."""

    def __init__(self, studio: LocalStudio, limits: Mapping[str, float]) -> None:
        python = environment(CROWDED)
        self.space: Space = studio.add_space("crowded")
        lab = self.space.lab
        lab.python = str(python)
        path = f"{python.parent}:{os.environ.get('PATH', os.defpath)}"
        lab.environment = {**lab.environment, "PATH": path, "PYTHONPATH": str(ROOT)}
        self.home, self._programs = lab.home, python.parent
        self._make_repository()
        self._ports = free_port(), free_port()
        self.server: JupyterServerApp = self.space.start(
            {
                "AutoShutdown": limits,
                "LabApp": {"expose_app_in_browser": True},
                "MCPExtensionApp": {"mcp_port": self._ports[1]},
            }
        )
        self.asked: Counter[str] = Counter()
        self.page: Any = None
        self._streams: dict[Any, str] = {}
        self._agent: subprocess.Popen[bytes] | None = None

    def _make_repository(self) -> None:
        """The home of the user is a git repository with a Python file."""
        self.home.mkdir(parents=True)
        (self.home / "tools.py").write_text("import os\n\n\ndef here():\n    return os.getcwd()\n")
        name = ["-c", "user.name=ada", "-c", "user.email=ada@localhost"]
        for command in (["init", "-q"], ["add", "."], [*name, "commit", "-q", "-m", "Begin"]):
            subprocess.run(["git", *command], cwd=self.home, check=True)

    # -- what a person does --------------------------------------------------------------------

    def open_page(self, browser: Any) -> None:
        """Open JupyterLab, with the side bars of git and of jupyter-resource-usage."""
        self.page = browser.new_page()
        self.page.on("request", lambda request: self.asked.update([urlsplit(request.url).path]))
        self.page.on("websocket", self._note_stream)
        enter(self.page, self.server)
        wait_for_commands(self.page, *COMMANDS)
        for tab in ("jp-git-sessions", "kernelusage-panel-id"):
            self.page.click(f'.jp-SideBar [data-id="{tab}"]')

    def _note_stream(self, stream: Any) -> None:
        self._streams[stream] = urlsplit(stream.url).path
        stream.on("close", lambda _: self._streams.pop(stream, None))

    def open_file(self, path: str) -> None:
        self.page.evaluate(OPEN, path)

    def run_notebook(self, path: str, *cells: str) -> str:
        """Write a notebook, open it in the page and run its cells. Returns the id of its kernel."""
        write_notebook(self.server, path, cells)
        self.page.evaluate(RUN_NOTEBOOK, path)
        return self.kernel_of(path)

    def kernel_of(self, path: str) -> str:
        def found() -> str:
            sessions = self.server.request("GET", "api/sessions")
            return next((s["kernel"]["id"] for s in sessions if s["path"] == path), "")

        return str(self.server.wait_for(f"the kernel of {path}", found))

    def open_terminal(self) -> str:
        """Open a terminal in the page, and start jupyter-mcp-server in it. Returns its name."""
        self.page.evaluate(
            "async () => { await jupyterapp.commands.execute('terminal:create-new') }"
        )
        (terminal,) = self.server.wait_for(
            "the terminal", lambda: self.server.request("GET", "api/terminals")
        )
        name = str(terminal["name"])
        url, port = self.server.url.rstrip("/"), self._ports[0]
        self.server.type(
            name,
            f"nohup {self._programs}/jupyter-mcp-server start --transport streamable-http "
            f"--port {port} --mcp-token {SECRET} --jupyter-url {url} "
            f"--jupyter-token {self.server.token} > mcp.log 2>&1 &\r",
        )
        self.server.wait_for("the MCP server", lambda: all(map(answers, self._ports)))
        return name

    def start_agent(self, cell: str) -> str:
        """Start an agent outside of the space that uses both MCP servers and runs ``cell``. Returns
        the id of the kernel of its notebook."""
        notebooks, extension = (f"http://127.0.0.1:{port}/mcp" for port in self._ports)
        python = self._programs / "python"
        self._agent = subprocess.Popen(
            [python, AGENT, notebooks, SECRET, extension, cell],
            env={**os.environ, "PYTHONPATH": ""},
        )
        return self.kernel_of("agent.ipynb")

    # -- what runs -----------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Let the page go on with what it does by itself."""
        self.page.wait_for_timeout(1000 * seconds)

    def missing(self) -> list[str]:
        """What should run and does not. Empty if all runs. Polls are counted since the last
        call of ``asked.clear()``."""
        polled = {poll for poll in POLLS for path in self.asked if path.endswith(poll)}
        asks_kernel = any("/kernel_usage/" in path for path in self.asked)
        streams = {part for part in STREAMS for path in self._streams.values() if part in path}
        servers = self.server.request("GET", "lsp/status")["sessions"]
        runs = {
            **{poll: poll in polled for poll in POLLS},
            **{part: part in streams for part in STREAMS},
            "kernel usage": asks_kernel,
            "pylsp": servers["pylsp"]["status"] == "started",
            "agent": self._agent is not None and self._agent.poll() is None,
            "MCP servers": all(map(answers, self._ports)),
        }
        return [name for name, is_running in runs.items() if not is_running]

    def close(self) -> None:
        if self._agent is not None:
            self._agent.kill()
            self._agent.wait(30)
        if self.page is not None:
            self.page.close()


def answers(port: int) -> bool:
    """Whether an MCP server answers at this port, be it with an error."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/mcp", timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
