"""Silent cells that Jupyter's ``execution_state`` calls idle: each keeps its kernel for ten limits,
and the kernel is removed one limit after the cell ended. On local kernels, and behind a gateway.

All of them run on one server at once, because most of the time is waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from extra_packages import debian_packages, packages_of
from jupyter_server.gateway.gateway_client import GatewayClient
from short_limits import short_limits

from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.core.model import EVERYTHING
from auto_shutdown.local_studio.gateways import Gateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LIMIT = 3.0


@pytest.fixture(params=["here", "behind a gateway"])
def gateway(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Gateway | None]:
    # For the kernels of other languages, which are installed there.
    monkeypatch.setenv("JUPYTER_PATH", str(Path(sys.prefix) / "share/jupyter"))
    GatewayClient.clear_instance()
    if request.param == "here":
        yield None
        return
    found = Gateway(tmp_path, "app")
    try:
        found.wait()
        yield found
    finally:
        found.stop()
        GatewayClient.clear_instance()


@pytest.fixture
def jp_server_config(tmp_path: Path, gateway: Gateway | None) -> dict[str, Any]:
    config: dict[str, Any] = {
        "ServerApp": {"jpserver_extensions": {"auto_shutdown": True}},
        "AutoShutdown": short_limits(tmp_path, LIMIT),
    }
    if gateway is not None:
        config["GatewayClient"] = {"url": gateway.url}
    return config


class Page:
    """A page of JupyterLab, with one notebook: its kernel and its websocket."""

    def __init__(self, app: Any, ws_fetch: Any, flag: Path, language: str = "python3") -> None:
        self.app, self.ws_fetch, self.flag, self.language = app, ws_fetch, flag, language
        self.kernel = ""
        self.session = uuid.uuid4().hex
        self.subshell = ""
        self._socket: Any = None
        self._messages: list[Any] = []
        self._reader: asyncio.Task[None] | None = None
        flag.touch()

    async def open_notebook(self) -> None:
        self.kernel = str(
            await self.app.kernel_manager.start_kernel(path="", kernel_name=self.language)
        )
        await self.open()

    async def open(self) -> None:
        params = {"session_id": self.session}
        self._socket = await self.ws_fetch("api", "kernels", self.kernel, "channels", params=params)
        self._reader = asyncio.ensure_future(self._read(self._socket))

    async def close(self) -> None:
        self._socket.close()
        if self._reader is not None:
            await self._reader

    async def _read(self, socket: Any) -> None:
        while (text := await socket.read_message()) is not None:
            if isinstance(text, str):
                self._messages.append(json.loads(text))

    async def send(
        self, kind: str, channel: str = "shell", subshell: str | None = None, **content: Any
    ) -> str:
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "username": "",
            "session": self.session,
            "version": "5.3",
            "date": "2026-01-01T00:00:00Z",
        }
        if subshell is not None:
            header["subshell_id"] = subshell
        parts = {"parent_header": {}, "metadata": {}, "content": content, "channel": channel}
        await self._socket.write_message(json.dumps({"header": header, **parts}))
        return str(header["msg_id"])

    async def receive(self, parent_id: str, kind: str) -> Any:
        def found() -> Any:
            return next(
                (
                    m
                    for m in self._messages
                    if (m["parent_header"] or {}).get("msg_id") == parent_id
                    and m["header"]["msg_type"] == kind
                ),
                None,
            )

        return await until(found, f"{kind} for {parent_id}")

    async def ask(self, kind: str, channel: str = "control", **content: Any) -> Any:
        """Send a request, and wait for its reply."""
        return await self.receive(
            await self.send(kind, channel, **content), kind.replace("_request", "_reply")
        )

    async def execute(self, code: str, subshell: str | None = None) -> str:
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": True}
        return await self.send("execute_request", subshell=subshell, **content)

    async def run(self, code: str) -> None:
        await self.receive(await self.execute(code), "execute_reply")

    @property
    def waiting(self) -> str:
        """A silent cell that lasts while the flag is there."""
        if self.language == "calysto_bash":
            return f"while [ -e '{self.flag}' ]; do sleep 0.5; done"
        if self.language == "ir":
            return f"while (file.exists('{self.flag}')) Sys.sleep(0.5)"
        if self.language == "octave":
            return f"while (exist('{self.flag}', 'file')), pause(0.5); end"
        return f"import os, time\nwhile os.path.exists({str(self.flag)!r}): time.sleep(0.5)"

    async def execute_and_see(self, code: str, subshell: str | None = None) -> None:
        """Execute, and wait until it runs."""
        await self.receive(await self.execute(code, subshell), "execute_input")


async def until(condition: Callable[[], Any], what: str, seconds: float = 90.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise TimeoutError(what)


# -- what is done on each page; it returns when the silence begins -------------------------------


async def progress_bar(page: Page) -> None:
    """The cell shows a widget, and JupyterLab makes a subshell for its messages."""
    await page.execute_and_see(page.waiting)
    await page.ask("create_subshell_request")


async def processor_time_is_polled(page: Page) -> None:
    """As jupyter-resource-usage does."""
    await page.execute_and_see(page.waiting)
    for _ in range(3):
        await page.ask("usage_request")


async def queue_of_three(page: Page) -> None:
    """The last of three cells is the silent one."""
    await page.execute("import time; time.sleep(1)")
    await page.execute("time.sleep(1)")
    last = await page.execute(page.waiting)
    await page.ask("create_subshell_request")
    await page.receive(last, "execute_input")
    await page.ask("create_subshell_request")


async def awaiting_cell(page: Page) -> None:
    code = "import asyncio, os\nwhile os.path.exists({!r}): await asyncio.sleep(0.5)"
    await page.execute_and_see(code.format(str(page.flag)))
    await page.ask("create_subshell_request")


async def in_a_subshell(page: Page) -> None:
    """The main shell is free all the time."""
    reply = await page.ask("create_subshell_request")
    await page.execute_and_see(page.waiting, reply["content"]["subshell_id"])
    await page.ask("list_subshell_request")


async def in_a_subshell_and_the_page_closed(page: Page) -> None:
    await in_a_subshell(page)
    await page.close()


async def debugger_attached(page: Page) -> None:
    async def debug(command: str, **arguments: Any) -> None:
        request = {"type": "request", "seq": 1, "command": command, "arguments": arguments}
        await page.ask("debug_request", **request)

    await debug("initialize", clientID="page", adapterID="python")
    await debug("attach")
    await page.execute_and_see(page.waiting)
    await debug("debugInfo")
    await page.ask("create_subshell_request")


async def reloaded(page: Page) -> None:
    await progress_bar(page)
    await page.close()
    await page.open()
    await page.ask("kernel_info_request", "control")


async def closed(page: Page) -> None:
    await progress_bar(page)
    await page.close()


async def nobody_sees_it(page: Page) -> None:
    """Its page is closed before anything else happens."""
    await page.execute_and_see(page.waiting)
    await page.close()


Scenes = dict[str, Callable[[Page], Awaitable[None]]]
Languages = tuple[str, ...]

SCENES: Scenes = {
    scene.__name__: scene
    for scene in (
        progress_bar,
        processor_time_is_polled,
        queue_of_three,
        awaiting_cell,
        in_a_subshell,
        in_a_subshell_and_the_page_closed,
        debugger_attached,
        reloaded,
        closed,
    )
}


#: Kernels of other languages, and one of another make: they have no subshells, and some no answer
#: to a question for their processor time.
LANGUAGES = ("calysto_bash", "xpython")


#: R and Octave come from Debian, and are large: `make soak` installs them.
LARGE_LANGUAGES = ("ir", "octave")


def install_large_languages(*places: Path) -> None:
    """Kernels for R and Octave, found by whoever looks in ``places`` for kernels."""
    r = debian_packages("R", "r-cran-irkernel")
    debian_packages("octave", "octave")
    main = "IRkernel::main()"
    octave = [sys.executable, "-m", "octave_kernel", "-f", "{connection_file}"]
    specs: dict[str, dict[str, Any]] = {
        "ir": {"argv": [r, "--slave", "-e", main, "--args", "{connection_file}"]},
        "octave": {
            "argv": octave,
            "env": {"PYTHONPATH": str(packages_of("octave_kernel==1.1.1"))},
        },
    }
    for place in places:
        for name, spec in specs.items():
            path = place / "kernels" / name / "kernel.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps({"display_name": name, "language": name, **spec}))


@pytest.fixture
def large_languages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gateway: Gateway | None
) -> None:
    place = tmp_path / "large-languages"
    # A gateway looks in its own home.
    install_large_languages(place, tmp_path / "apps/app/.local/share/jupyter")
    monkeypatch.setenv("JUPYTER_PATH", str(place))


@pytest.mark.soak
@pytest.mark.usefixtures("large_languages")
async def test_silent_cell_of_r_or_octave_keeps_its_kernel(
    jp_serverapp: Any, jp_ws_fetch: Any, tmp_path: Path, gateway: Gateway | None
) -> None:
    await keep_on(jp_serverapp, jp_ws_fetch, tmp_path, {}, LARGE_LANGUAGES)


async def test_silent_cell_keeps_its_kernel_until_one_limit_after_its_end(
    jp_serverapp: Any, jp_ws_fetch: Any, tmp_path: Path, gateway: Gateway | None
) -> None:
    remote = "Gateway" in type(jp_serverapp.kernel_manager).__name__
    assert remote is (gateway is not None)
    await keep_on(jp_serverapp, jp_ws_fetch, tmp_path, SCENES, LANGUAGES)


async def keep_on(
    app: Any, ws_fetch: Any, place: Path, scenes: Scenes, languages: Languages
) -> None:
    """``keep_them``, and the end of all kernels."""
    try:
        await keep_them(app, ws_fetch, place, scenes, languages)
    finally:
        # Before its gateway goes.
        for kernel_id in list(app.kernel_manager.list_kernel_ids()):
            with contextlib.suppress(Exception):
                await app.kernel_manager.shutdown_kernel(kernel_id, now=True)


async def keep_them(
    jp_serverapp: Any, jp_ws_fetch: Any, tmp_path: Path, scenes: Scenes, languages: Languages
) -> None:
    pages = {name: Page(jp_serverapp, jp_ws_fetch, tmp_path / name) for name in scenes}
    scenes = dict(scenes)
    for language in languages:
        pages[language] = Page(jp_serverapp, jp_ws_fetch, tmp_path / language, language)
        scenes[language] = nobody_sees_it
    idle = Page(jp_serverapp, jp_ws_fetch, tmp_path / "idle")

    def verdicts() -> dict[str, Any]:
        report = jp_serverapp.web_app.settings[CONTROLLER].report()
        return {row["id"]: row for row in report["resources"] if row["kind"] == "kernel"}

    await until(lambda: CONTROLLER in jp_serverapp.web_app.settings, "the extension")
    requests = jp_serverapp.web_app.settings[CONTROLLER].requests
    # On a busy machine a kernel and its first messages may take longer than the limit.
    await requests.keep_alive(EVERYTHING, 60)

    async def begin(name: str) -> None:
        await pages[name].open_notebook()
        await scenes[name](pages[name])

    await asyncio.gather(*map(begin, pages))
    await requests.keep_alive(EVERYTHING, None)
    silent_since = time.monotonic()
    await idle.open_notebook()
    await idle.run("pass")
    await until(lambda: idle.kernel in verdicts(), "the idle kernel is seen")
    await until(lambda: idle.kernel not in verdicts(), "the idle kernel goes")
    while time.monotonic() - silent_since < 10 * LIMIT:
        await asyncio.sleep(0.2)
        there = verdicts()
        gone = {name for name, page in pages.items() if page.kernel not in there}
        assert not gone, "removed while their cells run"
    ended = time.monotonic()
    for page in pages.values():
        page.flag.unlink()
    went: dict[str, float] = {}
    while len(went) < len(pages):
        await asyncio.sleep(0.05)
        there, now = verdicts(), time.monotonic()
        for name, page in pages.items():
            if page.kernel not in there:
                went.setdefault(name, now - ended)
        left = {n: there[p.kernel]["detail"] for n, p in pages.items() if n not in went}
        assert now - ended < 120, left
    assert min(went.values()) > LIMIT * 0.8, went
    with contextlib.suppress(Exception):
        for page in pages.values():
            await page.close()
