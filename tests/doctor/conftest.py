"""The fixtures of the command line: a real server with the extension, and the command beside it."""

from __future__ import annotations

from command import admin, command, jp_server_config, server

__all__ = ["admin", "command", "jp_server_config", "server"]
