"""Shuts down idle kernels, terminals and apps in Amazon SageMaker Studio.

The folders follow the data: ``world`` observes, ``core`` decides, ``cycle`` acts, ``api`` and
``cli`` report. docs/architecture.md has the map.
"""

from __future__ import annotations

import logging

from ._version import __version__

__all__ = ["__version__"]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyterlab-auto-shutdown"}]


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    """The extension point that Jupyter Server loads.

    In a broken environment the extension cannot be imported. Then this logs one error and returns
    an extension point that does nothing, so that the server starts all the same."""
    try:
        # The import is here so that `import auto_shutdown` alone stays fast.
        from .extension import AutoShutdown
    except Exception as error:
        logging.getLogger("ServerApp").error(
            "auto_shutdown cannot be loaded, and removes nothing: %s: %s. Reinstall it with its "
            "requirements, or disable it.",
            type(error).__name__,
            error,
        )
        return [{"module": "auto_shutdown"}]
    return [{"module": "auto_shutdown", "app": AutoShutdown}]


def _load_jupyter_server_extension(_server: object) -> None:
    """Does nothing. Jupyter Server calls it when the extension could not be imported."""
