"""Load boto3 in a thread without blocking the server.

A thread can block the event loop through Python's global lock: only one thread runs at a time, and
C code keeps the lock until it returns. botocore parses the model of SageMaker (2.6 MB of JSON) in
one call of C code. The server answered no request for the 0.2 s of that call (measured). See
docs/decisions/016.
"""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: For how long a thread keeps the lock while another thread waits for it. Python's default is 5 ms.
TURN_SECONDS = 0.0005

#: A full garbage collection follows after so many smaller ones: practically never.
NEVER = 1_000_000

#: After reading so many objects of a service model, the thread releases the lock for a moment.
OBJECTS_A_TURN = 64


class _Turns:
    """The number of threads that load something now, and Python's settings before the first of them
    began."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.threads = 0
        self.before: tuple[float, tuple[int, int, int]] = (0.0, (0, 0, 0))


_TURNS = _Turns()


@contextlib.contextmanager
def in_turns() -> Iterator[None]:
    """While the body runs, let other threads have Python's lock more often, and prevent full
    garbage collections, which take long in a large server. The settings are those of the process:
    the first of several threads changes them, and the last restores them."""
    with _TURNS.lock:
        if _TURNS.threads == 0:
            interval, thresholds = _TURNS.before = sys.getswitchinterval(), gc.get_threshold()
            sys.setswitchinterval(min(interval, TURN_SECONDS))
            gc.set_threshold(*thresholds[:2], NEVER)
        _TURNS.threads += 1
    try:
        yield
    finally:
        with _TURNS.lock:
            _TURNS.threads -= 1
            if _TURNS.threads == 0:
                sys.setswitchinterval(_TURNS.before[0])
                gc.set_threshold(*_TURNS.before[1])


class PatientLoader:
    """Like botocore's ``JSONFileLoader``, but offers Python's lock between the objects."""

    def exists(self, file_path: str) -> bool:
        return any(path.is_file() for path, _ in _candidates(file_path))

    def load_file(self, file_path: str) -> Any:
        """The content of ``file_path`` (given without its extension); None if it is not there."""
        for path, opening in _candidates(file_path):
            if path.is_file():
                with opening(path, "rb") as file:
                    text = file.read().decode("utf-8")
                return json.loads(text, object_hook=_Hook())
        return None


class _Hook:
    """The JSON parser calls it with each object. As Python code it can release the lock. It returns
    a plain dict of strings, which the garbage collector does not track."""

    def __init__(self) -> None:
        self._read = 0

    def __call__(self, found: dict[str, Any]) -> dict[str, Any]:
        self._read += 1
        if self._read % OBJECTS_A_TURN == 0:
            time.sleep(0)
        return found


def _candidates(file_path: str) -> tuple[tuple[Path, Any], ...]:
    return (Path(f"{file_path}.json"), open), (Path(f"{file_path}.json.gz"), gzip.open)


def new_session() -> Any:
    """A new boto3 session. The default session belongs to the host and is not safe between
    threads."""
    from boto3.session import Session
    from botocore.session import get_session

    core: Any = get_session()
    core.get_component("data_loader").file_loader = PatientLoader()
    return Session(botocore_session=core)
