"""The panel brings back stopped kernels behind a gateway and in Studio Classic."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hosts import open_notebook, serve
from lab_page import PANEL, opened, quiet_host
from stopped_page import MESSAGE, accept, kernels, marks

from auto_shutdown.local_studio.gateways import Gateway
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Behind a gateway a new connection now and then carries nothing (jupyter_server 2.21, without this
#: extension, too): a user would load the page again.
UNTIL_CONNECTED = """
  async path => {
    const { shell } = jupyterapp;
    const { sessionContext } = [...shell.widgets('main')].find(w => w.context?.path === path);
    await sessionContext.ready;
    const { kernel } = sessionContext.session;
    const patience = () => new Promise(done => setTimeout(() => done(false), 10000));
    const informed = kernel.info.then(() => true);
    while (!(await Promise.race([informed, patience()]))) void kernel.reconnect();
  }
"""

EXPOSED = {"LabApp": {"expose_app_in_browser": True}}


@pytest.mark.soak
def test_dialog_brings_back_a_kernel_behind_a_gateway(browser: Any, tmp_path: Path) -> None:
    """A Python kernel runs in a kernel gateway. The dialog offers its cells with their marks, and
    runs them."""
    gateway = Gateway(tmp_path, "gateway")
    try:
        gateway.wait()
        config = {**EXPOSED, "GatewayClient": {"url": gateway.url}}
        server = serve(Path(sys.executable), "jupyterlab", tmp_path / "lab", config)
        try:
            quiet_host(server)
            kernel = open_notebook(server, "far.ipynb", ["x = 40", "print(x + 2)"])
            for cell in ("x = 40", "y = 1", "print(x + 2)"):
                server.execute(kernel, cell)
            context = browser.new_context(locale="en-GB")
            page = opened(context, server, "lab/tree/far.ipynb")
            page.locator(".jp-Notebook .jp-Cell").first.wait_for()
            server.request("POST", "auto-shutdown/remove", {"kind": "kernel", "id": kernel})
            message = page.locator(MESSAGE)
            message.get_by_role("button", name="Bring back").click()
            message.get_by_text("a new one: run your cells again").wait_for()
            page.evaluate(UNTIL_CONNECTED, "far.ipynb")
            message.get_by_role("button", name="Run what had been run…").click()
            assert marks(page) == ["unchanged", "gone", "unchanged"]
            accept(page)
            message.get_by_text("2 cells were run.").wait_for()
            page.locator(".jp-OutputArea-output", has_text="42").wait_for()
            (fresh,) = kernels(server)
            assert fresh != kernel
            context.close()
        finally:
            server.stop()
    finally:
        gateway.stop()


@pytest.mark.soak
def test_dialog_brings_back_an_app_of_studio_classic(browser: Any, tmp_path: Path) -> None:
    """The extension deleted the app with its kernel. The app starts again with the same image and
    instance type. The notebook is not open: JupyterLab starts a session of an open notebook under a
    random path, and the local Studio then does not know the instance type."""
    with LocalStudio(tmp_path) as studio:
        traits = {"metadata_path": str(studio.metadata_path), "poll_interval_seconds": 1}
        server = studio.start_server({**EXPOSED, "AutoShutdown": traits})
        quiet_host(server)
        cells = ["x = 40", "print(x + 2)"]
        kernel = server.open_notebook("train.ipynb", "pytorch-1.8", "ml.g5.xlarge", cells)
        for cell in cells:
            server.execute(kernel, cell)
        (before,) = studio.gateways().items()
        context = browser.new_context(locale="en-GB")
        page = opened(context, server)
        app = f"KernelGateway/{before[0]}"
        server.request("POST", "auto-shutdown/remove", {"kind": "app", "id": app})
        server.wait_for("the app is deleted", lambda: studio.gateways() == {})
        removed = page.locator(f"{PANEL} .jp-AS-removed", has_text="train.ipynb")
        removed.get_by_role("button", name="Bring back train.ipynb").click()
        again = removed.get_by_role("button", name="Run what had been run in train.ipynb")
        again.wait_for()
        page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        page.evaluate(UNTIL_CONNECTED, "train.ipynb")
        again.click()
        assert marks(page) == ["unchanged", "unchanged"]
        accept(page)
        page.locator(".jp-OutputArea-output", has_text="42").wait_for()
        (after,) = studio.gateways().items()
        assert after[0] == before[0], "the same image, instance type and owner"
        assert after[1]["instance_type"] == "ml.g5.xlarge"
        assert after[1]["url"] != before[1]["url"], "a new app"
        context.close()
