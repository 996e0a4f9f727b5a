"""The configuration and the metadata file of the JupyterServer app."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .labs import merge, server_config
from .resources import ACCOUNT


def write_metadata(path: Path, region: str, domain_id: str, owner: tuple[str, str]) -> None:
    """Write SageMaker's metadata file of the app. ``owner`` is the pair of "UserProfileName" or
    "SpaceName" and the owner's name."""
    path.parent.mkdir(parents=True)
    owner_key, name = owner
    arn = f"arn:aws:sagemaker:{region}:{ACCOUNT}:app/{domain_id}/{name}/JupyterServer/default"
    metadata = {"AppType": "JupyterServer", "DomainId": domain_id, owner_key: name}
    path.write_text(json.dumps({**metadata, "ResourceArn": arn, "ResourceName": "default"}))


def studio_config(port: int, home: Path) -> dict[str, Any]:
    """The content of jupyter_server_config.json: kernels, sessions and terminals as in Studio."""
    here = "auto_shutdown.local_studio.jupyter"
    routing = {
        "ServerApp": {
            "kernel_manager_class": f"{here}.StudioMappingKernelManager",
            "session_manager_class": f"{here}.StudioSessionManager",
            "kernel_spec_manager_class": f"{here}.StudioSpecs",
            "kernel_websocket_connection_class": f"{here}.StudioConnection",
            "jpserver_extensions": {here: True, "auto_shutdown": True},
        },
        "MappingKernelManager": {
            "kernel_manager_class": f"{here}.StudioKernelManager",
        },
        "TerminalsExtensionApp": {"terminal_manager_class": f"{here}.StudioTerminals"},
    }
    return merge(server_config(port, home, "/jupyter/default"), routing)
