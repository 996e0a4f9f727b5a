"""Shuts down what nobody uses in Amazon SageMaker Studio: kernels, terminals and apps."""

from __future__ import annotations

import logging

from ._version import __version__

__all__ = ["__version__"]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyterlab-auto-shutdown"}]


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    """The extension; where it cannot even be imported (a broken environment), one clear line and
    something that does nothing, for the server is people's place of work."""
    try:
        # Imported here, so that `import auto_shutdown` alone costs nothing.
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
    """In place of the extension that could not be loaded."""
