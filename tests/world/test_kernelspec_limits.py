"""``cull_idle_timeout`` of a kernelspec: it is read once, and again if it could not be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.kernelspec import NoSuchKernel
from one_kernel import Manager, Sessions

from auto_shutdown.core.model import Kernel
from auto_shutdown.world.kernels import KernelSource

MOMENTARY = [
    OSError(5, "Input/output error"),
    NoSuchKernel("python3"),
    json.JSONDecodeError("half written", "", 0),
]


class ManagerWithSpec(Manager):
    """A manager whose kernelspec has the limit of ``answers``, or raises it. The last answer stays.
    ``url`` is the URL of the kernel at its gateway, if it has one."""

    def __init__(self, answers: Sequence[Any], url: str | None = None) -> None:
        super().__init__()
        self.answers, self.read, self.url = list(answers), 0, url

    def get_kernel(self, kernel_id: str) -> Any:
        return self

    @property
    def kernel_url(self) -> str | None:
        return self.url

    @property
    def kernel_spec(self) -> Any:
        self.read += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(metadata={} if answer is None else {"cull_idle_timeout": answer})


async def observe(source: KernelSource) -> Kernel:
    models, unreadable = await source.read()
    (kernel,) = source.joined(models, unreadable, await source.read_sessions())
    return kernel


@pytest.mark.parametrize("error", MOMENTARY, ids=lambda error: type(error).__name__)
async def test_limit_that_could_not_be_read_is_read_again(error: Exception) -> None:
    manager = ManagerWithSpec([error, error, 60])
    source = KernelSource(manager, Sessions())
    limits = [(await observe(source)).own_limit for _ in range(4)]
    assert limits == [None, None, timedelta(seconds=60), timedelta(seconds=60)]
    assert manager.read == 3


@pytest.mark.parametrize(
    ("answer", "limit"),
    [
        (None, None),
        ("soon", None),
        (1e300, None),
        (0, timedelta.max),
        (-1, timedelta.max),
        ("90", timedelta(seconds=90)),
        # A manager that shows no kernelspec never will.
        (AttributeError("kernel_spec"), None),
    ],
)
async def test_limit_is_read_once(answer: Any, limit: timedelta | None) -> None:
    manager = ManagerWithSpec([answer])
    source = KernelSource(manager, Sessions())
    for _ in range(2):
        assert (await observe(source)).own_limit == limit
    assert manager.read == 1


async def test_missing_kernelspec_of_a_kernel_behind_a_gateway_is_not_read_again() -> None:
    manager = ManagerWithSpec([NoSuchKernel("python3")], "http://gateway/api/kernels/k")
    source = KernelSource(manager, Sessions())
    for _ in range(2):
        assert (await observe(source)).own_limit is None
    assert manager.read == 1
