"""The fixtures of the command line: a real server with the extension, the command beside it, and a
runtime directory for servers that are not Jupyter's."""

from __future__ import annotations

from command import admin, command, jp_server_config, server
from fake_server import runtime

__all__ = ["admin", "command", "jp_server_config", "runtime", "server"]
