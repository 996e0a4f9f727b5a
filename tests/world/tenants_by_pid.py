"""Kernels and terminals of this host by values: the process id of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from auto_shutdown.core.model import Kernel

LOCAL = Kernel("local")
MINUTE = timedelta(minutes=1)
STAMP = datetime(2026, 1, 1, tzinfo=timezone.utc)


class FakeKernels:
    """The kernels of this host by values: the process id of each."""

    def __init__(self, pids: Mapping[str, int] | None = None) -> None:
        self.pids = dict(pids or {})
        self.answers = 0

    def usage_answers(self, _kernel_id: str) -> int:
        return self.answers

    def pid_of(self, kernel_id: str) -> int | None:
        return self.pids.get(kernel_id)

    def channels_of(self, _kernel_id: str) -> str | None:
        return None


class FakeTerminals:
    def __init__(self, pids: Mapping[str, int] | None = None) -> None:
        self.pids = dict(pids or {})

    def pid_of(self, name: str) -> int | None:
        return self.pids.get(name)
