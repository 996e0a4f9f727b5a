"""The text of the lines of an audit log: the first part, and the second part of a line whose
outcome is unknown (``pending``, ``interrupted``)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from .history_files import parse

#: The second part of a line that is closed while its removal goes on. A later line has the outcome.
PENDING = ',"outcome":"pending","outcome_detail":"It had not ended when this line was closed."}\n'
INTERRUPTED = ',"outcome":"interrupted","outcome_detail":"The server ended before it was done."}\n'

#: The second part of an interrupted line whose entry has ``ends_server``: a removal of the app in
#: which this server runs. Such a removal ends the server before the outcome can be written.
INTERRUPTED_BY_ITSELF = (
    ',"outcome":"interrupted","outcome_detail":"SageMaker was being asked to end the app or '
    "instance of this server, and the server ended before the answer was recorded: most likely "
    'this request ended it."}\n'
)


def first_part(entry: Mapping[str, Any]) -> tuple[str, str]:
    """The kind of an entry, and the first part of its line."""
    line = json.dumps({"attempt": uuid.uuid4().hex[:12], **entry})[:-1]
    return str(entry.get("kind")), line


def note_pending(line: str, entry: Mapping[str, Any] | None, pending: dict[str, str]) -> None:
    """Add the first part of a line with the outcome ``pending`` to ``pending``, by attempt. A later
    line of the same attempt removes it."""
    attempt = None if entry is None else entry.get("attempt")
    if not isinstance(attempt, str):
        return
    pending.pop(attempt, None)
    end = PENDING.rstrip()
    if line.endswith(end):
        pending[attempt] = line[: -len(end)]


def interrupted(begun: str) -> str:
    """The whole line with the first part ``begun``, for a removal whose server ended before its
    outcome was recorded."""
    entry = parse(begun + INTERRUPTED) or {}
    return begun + (INTERRUPTED_BY_ITSELF if entry.get("ends_server") else INTERRUPTED)
