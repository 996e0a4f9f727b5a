"""The ``history_request`` for the code of the cells that a kernel has run, and its reply.

The kernel answers it from memory and runs no code for it (Jupyter messaging protocol, "History").
It goes to the shell channel, so a kernel that runs a cell does not answer it in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KIND = "history_request"
REPLY = "history_reply"

#: The ``implementation`` of kernels that answer with their own session only. Others are not asked:
#: kernels based on metakernel answer from a file, with the cells of all sessions of their user.
OWN_SESSION = frozenset({"ipython", "xeus-python"})

#: The current session, from its first cell. IPython counts from 1 and has nothing at 0, xeus counts
#: from 0 and requires a number as ``stop``.
CONTENT: Mapping[str, Any] = {
    "output": False,
    "raw": True,
    "hist_access_type": "range",
    "session": 0,
    "start": 0,
    "stop": 1_000_000,
}

#: A reply with more entries is ignored, because replies are parsed in memory.
MOST_ENTRIES = 100_000


def cells_of(content: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The code of the cells in the order in which they ran, from the content of a reply. None for
    an error and for anything that is not such a reply."""
    entries = content.get("history")
    if content.get("status", "ok") != "ok" or not isinstance(entries, (list, tuple)):
        return None
    if len(entries) > MOST_ENTRIES:
        return None
    cells = []
    for entry in entries:
        # (session, number of the execution, code), or code and output as a pair.
        if not isinstance(entry, (list, tuple)) or len(entry) != 3:
            return None
        code = entry[2][0] if isinstance(entry[2], (list, tuple)) and entry[2] else entry[2]
        if not isinstance(code, str):
            return None
        if code.strip():
            cells.append(code)
    return tuple(cells)
