"""Loading boto3 in a thread without holding up the server.

A thread does not block the event loop, but Python's lock does: only one thread runs at a time, and
C code keeps the lock until it is done. botocore reads the model of SageMaker (2.6 MB of JSON) in
one such piece: 0.2 s in which a server answers nobody, measured. See docs/decisions/016.
"""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: How long a thread keeps the lock while another waits; Python's own is 5 ms.
TURN_SECONDS = 0.0005

#: So many younger collections before a full one.
NEVER = 1_000_000

#: After so many objects of a model the lock is offered.
OBJECTS_A_TURN = 64


@contextlib.contextmanager
def in_turns() -> Iterator[None]:
    """For the time of a load, let other threads have Python's lock more often, and leave old
    garbage where it is: a full collection in a large server takes longer than many turns."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(min(interval, TURN_SECONDS))
    gc.set_threshold(*thresholds[:2], NEVER)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)


class PatientLoader:
    """As botocore's ``JSONFileLoader``, and offers Python's lock between the objects."""

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
    """Called with each object that has been read. Being Python code, it is where the lock can be
    let go; and a plain dict of words is none that the garbage collector ever looks at again."""

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
    """A boto3 session of our own: the default one is the host's, and not safe between threads."""
    from boto3.session import Session
    from botocore.session import get_session

    core: Any = get_session()
    core.get_component("data_loader").file_loader = PatientLoader()
    return Session(botocore_session=core)
