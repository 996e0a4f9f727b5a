"""Hold apps and notebook instances of a local Studio in Pending, Deleting or Stopping until a test
lets them go on. A transition of half a second would end before a busy machine has looked at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from auto_shutdown.local_studio import instances, resources

#: A delay of this length, in seconds, is held. The local Studio itself sleeps shorter.
HELD = 3600.0


class Transitions:
    """Transitions with a delay of ``HELD`` wait for ``release()``, and after ``hold()`` again."""

    def __init__(self) -> None:
        self._may_go_on = threading.Event()

    def hold(self) -> None:
        self._may_go_on.clear()

    def release(self) -> None:
        self._may_go_on.set()

    def sleep(self, seconds: float) -> None:
        if seconds > HELD / 2:
            self._may_go_on.wait(HELD)
        else:
            time.sleep(seconds)


@contextmanager
def held_transitions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Transitions]:
    """Hold transitions of Studios of this process; all go on at the end of the ``with`` block."""
    transitions = Transitions()
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=transitions.sleep)
    for module in (resources, instances):
        monkeypatch.setattr(module, "time", clock)
    try:
        yield transitions
    finally:
        transitions.release()
