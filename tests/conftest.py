"""What every test shares: the fixtures of pytest-jupyter (`jp_serverapp`, `jp_fetch`, …)."""

from __future__ import annotations

import os
import shutil
import signal

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ("pytest_jupyter.jupyter_server",)

# Machines are noisy: no test here asserts wall time, and none fails for being slow.
settings.register_profile(
    "here", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("here")
# For a mutation run, which lives through every property a thousand times.
settings.register_profile("few", settings.get_profile("here"), max_examples=15, derandomize=True)
# For the soak.
settings.register_profile("many", settings.get_profile("here"), max_examples=1000)

# Terminals here are what they are for a person: bash, and Ctrl-C and a hang-up end what they
# should. Whoever starts these tests in the background, or without a login, would have it otherwise;
# a handler of our own is not handed down, where "ignored" is.
os.environ.setdefault("SHELL", shutil.which("bash") or "/bin/sh")
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts real servers, kernels and browsers is tried twice (docs/decisions/019)."""
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.flaky(reruns=1))
