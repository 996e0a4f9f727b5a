"""A kernel that has not changed is the same object in each pass: its constructor is expensive."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from auto_shutdown.core.model import IOPubActivity
from auto_shutdown.world.kernels import KernelSource

AT = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
MODEL = {
    "id": "k",
    "name": "python3",
    "execution_state": "idle",
    "last_activity": AT.isoformat(),
    "connections": 1,
}


@pytest.fixture
def subscription() -> SimpleNamespace:
    return SimpleNamespace(activity=IOPubActivity(AT, AT), in_debugger=False)


@pytest.fixture
def source(subscription: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> KernelSource:
    manager: Any = SimpleNamespace(list_kernel_ids=lambda: ["k"])
    found = KernelSource(manager, None)
    monkeypatch.setattr(found, "_subscription", lambda _id: subscription)
    monkeypatch.setattr(found._lifecycle, "look", lambda _kernels: None)
    return found


def read(source: KernelSource, **changes: Any) -> Any:
    (kernel,) = source.joined({"k": {**MODEL, **changes}}, {}, [])
    return kernel


def test_an_unchanged_kernel_is_the_same_object(
    source: KernelSource, subscription: SimpleNamespace
) -> None:
    first = read(source)
    subscription.activity = IOPubActivity(AT, AT)
    assert read(source) is first


def test_a_change_of_the_model_or_of_its_messages_is_seen(
    source: KernelSource, subscription: SimpleNamespace
) -> None:
    assert read(source).state == "idle"
    assert read(source, execution_state="busy").state == "busy"
    later = AT + timedelta(minutes=1)
    subscription.activity = IOPubActivity(later, AT)
    assert read(source).request_at == later
    source._requests.of("k").sent_at = later + timedelta(minutes=1)
    assert read(source).request_at == later + timedelta(minutes=1)


def test_a_notebook_that_is_renamed_is_seen(source: KernelSource) -> None:
    for path in ("a.ipynb", "b.ipynb"):
        (kernel,) = source.joined({"k": MODEL}, {}, [{"path": path, "kernel": {"id": "k"}}])
        assert kernel.paths == (path,)


def test_kernels_that_ended_are_forgotten(
    source: KernelSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(source)
    assert source._with_changes.keys() == {"k"}
    monkeypatch.setattr(source._kernels, "list_kernel_ids", list)
    source.joined({}, {}, [])
    assert not source._with_changes
