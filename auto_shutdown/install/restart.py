"""Restarts a server that started before the extension was installed, as soon as no kernel and no
terminal runs in it. The on-start script starts this module in the background:

    python -m auto_shutdown.install.restart PLATFORM DELAY COMMAND …

The module waits DELAY seconds, then waits until nothing runs in the server, and runs COMMAND, which
restarts the server. It ends without a restart if the server started after this module, or if
something runs in the server for a day. While the server does not list its kernels and terminals,
the module does not restart it.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

from ..api.connection import exchange
from .names import SERVERS

#: Seconds between two looks at the server.
LOOK_SECONDS = 5.0

#: How many seconds to wait for a server without kernels and terminals.
GIVE_UP_SECONDS = 24 * 3600.0

#: How many seconds the server may take for one answer.
ANSWER_SECONDS = 5.0


class _NoAnswerError(Exception):
    """The server does not answer, or its answer is not a list of kernels or terminals or a
    status."""


def restart_when_unused(
    url: str,
    command: Sequence[str],
    began: datetime,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until no kernel and no terminal runs in the server at ``url``, then run ``command``,
    which restarts it. Returns whether it ran ``command``. It does not if the server started after
    ``began`` (aware UTC), or if a kernel or terminal ran all day."""
    for _ in range(int(GIVE_UP_SECONDS / LOOK_SECONDS)):
        try:
            if _started(url) > began:
                return False
            if not _list(url, "api/kernels") and not _list(url, "api/terminals"):
                subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
                return True
        except _NoAnswerError:
            pass  # the server is starting, or refuses: its kernels and terminals are unknown
        sleep(LOOK_SECONDS)
    return False


def _started(url: str) -> datetime:
    text = str(_get(url, "api/status").get("started", ""))
    try:
        started = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise _NoAnswerError from None
    return started if started.tzinfo else started.replace(tzinfo=timezone.utc)


def _list(url: str, path: str) -> list[Any]:
    answer = _get(url, path)
    if not isinstance(answer, list):
        raise _NoAnswerError
    return answer


def _get(url: str, path: str) -> Any:
    base = "/" + url.partition("://")[2].partition("/")[2]
    try:
        answer = exchange(url, "GET", f"{base}{path}?no_track_activity=1", None, {}, ANSWER_SECONDS)
        if answer.status == 404 and path == "api/terminals":
            return []  # terminals are switched off
        if answer.status != 200:
            raise _NoAnswerError
        return json.loads(answer.body)
    except (OSError, http.client.HTTPException, ValueError):
        raise _NoAnswerError from None


def main(arguments: Sequence[str]) -> int:
    """Wait, and restart the server that the command line names. Returns the exit code 0."""
    platform, delay, *command = arguments
    began = datetime.now(timezone.utc)
    time.sleep(float(delay))
    restart_when_unused(SERVERS[platform], command, began)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
