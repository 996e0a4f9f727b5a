"""The start of the demo and the lab: some kernels and apps are idle, others are at work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .server import JupyterServerApp
from .studio import LocalStudio

LEFT, TRAINING, KEPT = "left.ipynb", "training.ipynb", "kept.ipynb"
GPU, CPU, SPARE = "ml.g5.xlarge", "ml.t3.medium", "ml.m5.large"

#: The cell of training.ipynb.
LONG_CELL = "import time; time.sleep({seconds})"


@dataclass(frozen=True)
class Scene:
    """Kernel ids by notebook, and names of KernelGateway apps by instance type."""

    kernels: dict[str, str]
    apps: dict[str, str]


def set_the_scene(
    studio: LocalStudio,
    server: JupyterServerApp,
    tell: Callable[[str], None],
    cell_seconds: int = 600,
) -> Scene:
    """Create three apps and three notebooks in ``studio``. ``tell`` is called with a sentence
    before each step. The cell of training.ipynb runs for ``cell_seconds``."""
    # The kernels that stay come first: on a slow machine the idle ones could otherwise be removed
    # before the scene is complete.
    tell(f"Starting an app on {CPU}: {TRAINING} runs one long cell that prints nothing")
    long_cell = LONG_CELL.format(seconds=cell_seconds)
    training = _run(server, TRAINING, long_cell, "datascience-1.0", CPU, wait=False)
    tell(f"Beside it {KEPT} is idle, but its user asked to keep it for 30 minutes")
    kept = _run(server, KEPT, "'precious'", "datascience-1.0", CPU)
    hold = {"kind": "kernel", "id": kept, "minutes": 30}
    server.request("PUT", "auto-shutdown/keep-alive", hold)
    tell(f"Starting an app on {GPU}: {LEFT} was used there, then left")
    left = _run(server, LEFT, "21 * 2", "pytorch-1.8", GPU)
    tell(f"Starting an app on {SPARE}, without any kernel")
    empty = studio.create_app("tensorflow-2.3", SPARE)
    report = server.request("POST", "auto-shutdown/check")
    app_of = {r["id"]: r.get("app") for r in report["resources"]}
    return Scene(
        {LEFT: left, TRAINING: training, KEPT: kept},
        {SPARE: empty, GPU: _name(app_of[left]), CPU: _name(app_of[training])},
    )


def _run(
    server: JupyterServerApp,
    path: str,
    code: str,
    image: str,
    instance_type: str,
    wait: bool = True,
) -> str:
    """Open a notebook with one cell and run the cell. Returns the id of the kernel."""
    kernel = server.open_notebook(path, image, instance_type, cells=[code])
    server.execute(kernel, code, wait=wait)
    return kernel


def _name(app_id: Any) -> str:
    """The app's name in its id, ``KernelGateway/NAME``."""
    return str(app_id).partition("/")[2]
