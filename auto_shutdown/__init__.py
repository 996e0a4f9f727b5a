"""Shuts down what nobody uses in Amazon SageMaker Studio: kernels, terminals and apps."""

from __future__ import annotations

from ._version import __version__

__all__ = ["__version__"]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyterlab-auto-shutdown"}]


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    # Imported here, so that `import auto_shutdown` alone costs nothing.
    from .extension import AutoShutdown

    return [{"module": "auto_shutdown", "app": AutoShutdown}]
