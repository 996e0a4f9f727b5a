"""Pages of JupyterLab whose cells are silent, and the kernels of other languages."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from extra_packages import debian_packages, packages_of

LIMIT = 3.0


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
        """A silent cell that runs until the file ``flag`` is deleted."""
        if self.language == "calysto_bash":
            return f"while [ -e '{self.flag}' ]; do sleep 0.5; done"
        if self.language == "ir":
            return f"while (file.exists('{self.flag}')) Sys.sleep(0.5)"
        if self.language == "octave":
            return f"while (exist('{self.flag}', 'file')), pause(0.5); end"
        return f"import os, time\nwhile os.path.exists({str(self.flag)!r}): time.sleep(0.5)"

    async def execute_and_see(self, code: str, subshell: str | None = None) -> None:
        """Send the cell, and wait until it runs."""
        await self.receive(await self.execute(code, subshell), "execute_input")


async def until(condition: Callable[[], Any], what: str, seconds: float = 90.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise TimeoutError(what)


async def progress_bar(page: Page) -> None:
    """The cell shows a widget, and JupyterLab makes a subshell for its messages."""
    await page.execute_and_see(page.waiting)
    await page.ask("create_subshell_request")


async def processor_time_is_polled(page: Page) -> None:
    """The page polls the processor time of the kernel, as jupyter-resource-usage does."""
    await page.execute_and_see(page.waiting)
    for _ in range(3):
        await page.ask("usage_request")


async def queue_of_three(page: Page) -> None:
    """The client sends three cells, and the last of them is silent."""
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
    """The cell runs in a subshell, and the main shell is always free."""
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
    """The user closes the page before anything else happens."""
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
