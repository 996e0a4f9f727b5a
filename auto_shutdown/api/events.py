"""The Jupyter events of this extension: ``changed``, ``notice``, ``removal`` and ``fault``.

Anybody may subscribe to them, as to every event of the server: a page by the websocket
``api/events/subscribe``, an extension by ``event_logger.add_listener``, an administrator by a
logging handler in ``c.EventLogger.handlers`` (docs/events.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).parent / "event_schemas"


def schema_id(name: str) -> str:
    """The id of the schema of one event. It is a URN, because a URN needs no internet domain."""
    return f"urn:auto-shutdown:event:{name}:v1"


class JupyterEvents:
    """An observer of the announcer that emits Jupyter events. The constructor registers the
    schemas, and raises the error of ``event_logger`` when the server does not accept them."""

    def __init__(self, event_logger: Any) -> None:
        self._logger = event_logger
        for path in sorted(SCHEMAS.glob("*.yaml")):
            event_logger.register_event_schema(path)

    def changed(self, sequence: int) -> None:
        self._emit("changed", {"sequence": sequence})

    def notice(self, notice: Mapping[str, Any]) -> None:
        self._emit("notice", notice)

    def removal(self, outcome: Mapping[str, Any]) -> None:
        self._emit("removal", outcome)

    def fault(self, fault: Mapping[str, Any]) -> None:
        self._emit("fault", fault)

    def _emit(self, name: str, data: Mapping[str, Any]) -> None:
        self._logger.emit(schema_id=schema_id(name), data=dict(data))
