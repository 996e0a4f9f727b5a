"""What every test shares: the fixtures of pytest-jupyter (`jp_serverapp`, `jp_fetch`, …)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal

import pytest
from hypothesis import HealthCheck, settings

from auto_shutdown.local_studio import ports

pytest_plugins = ("pytest_jupyter.jupyter_server",)

# `make test` draws the examples of a property from a fixed seed, so that the code alone decides
# whether it passes. `make soak` draws random ones; keep each example that fails there as an
# explicit `@example` of its test. No deadline: no test fails because the machine is slow.
_COMMON = settings(
    max_examples=50, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("fixed", _COMMON, derandomize=True)
# For a mutation run, which runs every property a thousand times.
settings.register_profile("few", _COMMON, derandomize=True, max_examples=15)
settings.register_profile("random", _COMMON, max_examples=1000, print_blob=True)
settings.load_profile("fixed")

# Hypothesis also draws the numbers that it finds in the modules loaded so far. Then which tests run
# together decides what is drawn, and no seed is fixed. It has no setting for this.
with contextlib.suppress(ImportError):
    from hypothesis.internal.conjecture import providers

    _NO_CONSTANTS = getattr(providers, "_local_constants", None)
    if hasattr(providers, "_get_local_constants"):
        providers._get_local_constants = lambda: _NO_CONSTANTS

# The terminals of the tests behave like those of a user: they run bash, and Ctrl-C and a hang-up
# end programs. Otherwise this fails if the tests run in the background or without a login.
# Child processes inherit an ignored signal, but not a handler of this process.
os.environ.setdefault("SHELL", shutil.which("bash") or "/bin/sh")
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)

# The kernels of servers that run in this process.
ports.use_for_kernels()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests of whole systems. They wait most of their time, and the file that takes
    longest should not be the last to begin."""
    items.sort(key=lambda item: "tests/system/" not in item.nodeid)
