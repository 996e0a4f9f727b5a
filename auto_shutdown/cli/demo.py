"""``demo``: shows the extension at work in a small Studio on this machine, in another process."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys

from .._version import __version__
from ..api.server_error import ExitCode, ServerError
from .options import Commands

#: The modules that auto_shutdown.local_studio imports. The extra "demo" installs them.
NEEDED = ("boto3", "ipykernel", "jupyterlab", "kernel_gateway", "moto", "rich", "websocket")


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "Watch the extension at work in a small Studio on this machine (1 minute)."
    parser = commands.add_parser("demo", help=summary, description=summary)
    parser.add_argument(
        "--lab", action="store_true", help="leave the same Studio open in JupyterLab instead"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        message = f"The local Studio needs Python modules that are missing: {', '.join(missing)}."
        wheel = f"./jupyterlab_auto_shutdown-{__version__}-py3-none-any.whl"
        remedy = (
            f"Install this package's wheel again with what its demo needs: pip install "
            f"'{wheel}[demo]' (best into an environment of its own). In a checkout of the "
            "repository, run `make demo` instead."
        )
        raise ServerError(ExitCode.TROUBLE, message, remedy)
    story = "lab" if arguments.lab else "demo"
    return subprocess.call([sys.executable, "-m", "auto_shutdown.local_studio", story])
