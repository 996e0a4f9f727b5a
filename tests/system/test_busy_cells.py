"""Silent cells that Jupyter's ``execution_state`` calls idle: each keeps its kernel for ten limits,
and the kernel is removed one limit after the cell ended. On local kernels, and behind a gateway.

All of them run on one server at once, because most of the time is waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from busy_pages import (
    LANGUAGES,
    LARGE_LANGUAGES,
    LIMIT,
    SCENES,
    Languages,
    Page,
    Scenes,
    install_large_languages,
    nobody_sees_it,
    until,
)
from jupyter_server.gateway.gateway_client import GatewayClient
from short_limits import short_limits

from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.core.model import EVERYTHING
from auto_shutdown.local_studio.gateways import Gateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


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
