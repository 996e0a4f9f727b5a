"""The configuration of a real server with the extension."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def server_config(directory: Path, **traits: Any) -> dict[str, Any]:
    """The configuration of a server with the extension, its state below ``directory``, on a host
    without SageMaker's metadata. ``traits`` are further traits of the extension."""
    return {
        "ServerApp": {
            "jpserver_extensions": {"auto_shutdown": True, "jupyter_server_terminals": True}
        },
        "AutoShutdown": {
            "state_dir": str(directory / "state"),
            "metadata_path": str(directory / "none.json"),
            **traits,
        },
    }
