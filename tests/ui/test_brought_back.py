"""The newest JupyterLab brings back stopped kernels, cells, terminals and a space."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hosts import open_notebook, serve, write_notebook
from lab_page import PANEL, TOAST, accessibility, open_panel, opened, picture, quiet_host
from stopped_page import (
    DIALOG,
    LATE,
    MESSAGE,
    SLOW,
    accept,
    choose,
    entries,
    kernels,
    marks,
    states,
    tick,
)

from auto_shutdown.local_studio.labs import isolated
from auto_shutdown.local_studio.server import JupyterServerApp
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.skipif(not isolated(), reason="making namespaces is not allowed")
def test_one_click_brings_back_the_kernels_of_a_stopped_space(browser: Any, tmp_path: Path) -> None:
    """The extension stops the space, and the user starts it again."""
    with LocalStudio(tmp_path) as studio:
        space = studio.add_space("mine")
        limits = {
            "poll_interval_seconds": 1,
            "min_idle_timeout_minutes": 0.1,
            "grace_minutes": 0.05,
        }
        server = space.start(
            {"AutoShutdown": {**limits, "idle_timeout_minutes": 0.15, "warn_minutes": 0.05}}
        )
        quiet_host(server)
        for name in ("a.ipynb", "b.ipynb"):
            server.execute(open_notebook(server, name), "x = 1")
        server.open_terminal()
        server.wait_for("the app ends", lambda: space.status == "Deleted")
        server.restart()
        server.request("PATCH", "auto-shutdown/settings", {"enabled": False})
        assert (kernels(server), server.request("GET", "api/terminals")) == ([], [])

        context = browser.new_context(locale="en-GB")
        page = opened(context, server, panel=False)
        notice = page.locator(TOAST).filter(has_text="2 notebooks, 2 kernels, 1 terminal")
        notice.wait_for()
        open_panel(page)
        offer = page.locator(f"{PANEL} .jp-AS-offer")
        assert offer.get_by_text("Stopped at ").inner_text() in notice.inner_text()
        offer.get_by_role("button", name="Bring back").click()
        offer.wait_for(state="detached")
        sessions = server.request("GET", "api/sessions")
        assert {(s["path"], s["kernel"]["name"]) for s in sessions} == {
            ("a.ipynb", "python3"),
            ("b.ipynb", "python3"),
        }
        assert len(server.request("GET", "api/terminals")) == 1
        for title in ("a.ipynb", "b.ipynb"):
            page.locator(".lm-DockPanel-tabBar .lm-TabBar-tabLabel", has_text=title).wait_for()
        page.locator(MESSAGE).get_by_role("button", name="Run what had been run…").first.wait_for()
        context.close()


def test_dialog_brings_back_a_kernel_its_cells_and_a_terminal(browser: Any, tmp_path: Path) -> None:
    server = serve(Path(sys.executable), "jupyterlab", tmp_path)
    try:
        quiet_host(server)
        use_and_stop(server, browser, tmp_path)
    finally:
        server.stop()


def troubles_of(page: Any) -> list[str]:
    """The failed requests to this extension, and the messages of its code in the console of the
    page, from now on."""
    troubles: list[str] = []

    def note_answer(response: Any) -> None:
        if "/auto-shutdown/" in response.url and response.status >= 400:
            troubles.append(f"{response.status} {response.request.method} {response.url}")

    def note_message(message: Any) -> None:
        source = str((message.location or {}).get("url", ""))
        ours = "auto-shutdown" in source or "auto-shutdown" in message.text
        if ours and message.type in ("error", "warning"):
            troubles.append(f"{message.type}: {message.text}")

    def note_exception(error: Any) -> None:
        if "auto-shutdown" in str(getattr(error, "stack", "")):
            troubles.append(f"exception: {error}")

    page.on("response", note_answer)
    page.on("console", note_message)
    page.on("pageerror", note_exception)
    return troubles


def use_and_stop(server: JupyterServerApp, browser: Any, place: Path) -> None:
    kernel = open_notebook(server, "train.ipynb")
    for cell in ("x = 40", "y = x + 1", "x = 40", "secret_step = 1", "print(x + 2)"):
        server.execute(kernel, cell)
    # The second was edited since, the fourth deleted; the last three have not run yet.
    cells = ["x = 40", "y = x + 1  # one more", "print(x + 2)", SLOW, "1 / 0", LATE]
    write_notebook(server, "train.ipynb", cells)
    folder = place / "home" / "data"
    folder.mkdir()
    terminal = server.request("POST", "api/terminals", {"cwd": str(folder)})["name"]
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    page = opened(context, server, "lab/tree/train.ipynb")
    troubles = troubles_of(page)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    server.request("POST", "auto-shutdown/remove", {"kind": "kernel", "id": kernel})
    server.request("POST", "auto-shutdown/remove", {"kind": "terminal", "id": terminal})

    # The kernel, from the message in its notebook.
    message = page.locator(MESSAGE)
    message.get_by_role("button", name="Bring back").click()
    message.get_by_text("a new one: run your cells again").wait_for()
    (fresh,) = kernels(server)
    assert fresh != kernel
    message.get_by_role("button", name="Run what had been run…").click()
    assert marks(page) == ["unchanged", "changed", "unchanged", "gone", "unchanged"]
    assert accessibility(page, DIALOG) == []
    picture(page.locator(f"{DIALOG} .jp-Dialog-content"), "run-again")
    page.locator(f"{DIALOG} button.jp-mod-reject").first.click()
    assert page.locator(".jp-OutputArea-output").count() == 0, "nothing runs without that click"

    # The cells, from the panel: the one that was deleted, too, in a new cell at the end.
    removed = page.locator(f"{PANEL} .jp-AS-removed")
    removed.get_by_role("button", name="Run what had been run in train.ipynb").click()
    assert len(marks(page)) == 5
    tick(page, 3)
    accept(page)
    message.get_by_text("4 cells were run.").wait_for()
    page.locator(".jp-OutputArea-output", has_text="42").wait_for()
    assert page.locator(".jp-Cell .cm-content").last.inner_text() == "secret_step = 1"
    server.wait_for(
        "the entry is gone", lambda: [e["kind"] for e in entries(server)] == ["terminal"]
    )

    # The terminal, in its folder.
    removed.get_by_role("button", name="Bring back terminal").click()
    server.wait_for("the entry is gone", lambda: entries(server) == [])
    (opened_again,) = server.request("GET", "api/terminals")
    proof = folder / "proof"
    server.type(opened_again["name"], "touch proof\r")
    server.wait_for("the folder", proof.exists)
    page.locator(".jp-Terminal").wait_for()
    assert troubles == []

    # An error ends the run, and so does the person.
    for cell in (SLOW, "1 / 0", LATE):
        server.execute(fresh, cell)
    late = place / "home" / "late"
    late.unlink()
    (place / "home" / "slow").touch()
    server.request("POST", "auto-shutdown/remove", {"kind": "kernel", "id": fresh})
    removed.get_by_role("button", name="Bring back train.ipynb").click()
    again = removed.get_by_role("button", name="Run what had been run in train.ipynb")
    again.click()
    assert marks(page)[-3:] == ["unchanged"] * 3
    choose(page, -3)
    message.get_by_text("Running cell 1 of 1.").wait_for()
    server.wait_for("it runs", lambda: states(server) == ["busy"])
    message.get_by_role("button", name="Interrupt").click()
    message.get_by_text("Interrupted at cell 1 of 1.").wait_for()
    again.click()
    assert marks(page)[-3:] == ["unchanged"] * 3
    choose(page, -2, -1)
    message.get_by_text("Cell 1 of 2 failed. The rest was not run.").wait_for()
    assert not late.exists(), "it ran in spite of the error"
    assert len(entries(server)) == 1, "it can be tried again"
    context.close()


@pytest.mark.soak
def test_a_kernel_without_a_history_comes_back_without_its_cells(
    browser: Any, tmp_path: Path
) -> None:
    """A bash kernel does not report its cells, so the dialog does not offer them."""
    install_bash(tmp_path / "data")
    server = serve(Path(sys.executable), "jupyterlab", tmp_path)
    try:
        quiet_host(server)
        kernel = open_notebook(server, "steps.ipynb", ["echo $((6 * 7))"], "bash")
        server.execute(kernel, "echo $((6 * 7))")
        context = browser.new_context(locale="en-GB")
        page = opened(context, server, "lab/tree/steps.ipynb")
        page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        server.request("POST", "auto-shutdown/remove", {"kind": "kernel", "id": kernel})
        page.locator(MESSAGE).get_by_role("button", name="Bring back").click()
        page.locator(MESSAGE).wait_for(state="detached")
        (fresh,) = server.request("GET", "api/kernels")
        assert (fresh["name"], fresh["id"] != kernel) == ("bash", True)
        assert page.get_by_role("button", name="Run what had been run").count() == 0
        server.wait_for("nothing is left to run again", lambda: entries(server) == [])
        run_first_cell(page, "42")
        context.close()
    finally:
        server.stop()


def install_bash(data: Path) -> None:
    """Install a kernel spec of bash in this data directory of Jupyter."""
    pytest.importorskip("calysto_bash")
    spec = data / "kernels" / "bash" / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [sys.executable, "-m", "calysto_bash", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "bash", "language": "bash"}))


def run_first_cell(page: Any, output: str) -> None:
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    page.keyboard.press("Control+Enter")
    page.locator(".jp-OutputArea-output", has_text=output).wait_for()
