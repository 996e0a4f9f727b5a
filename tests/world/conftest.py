"""A real kernel gateway for the tests that need one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("kernel_gateway", reason="no kernel gateway in this environment")
    from auto_shutdown.local_studio.gateways import Gateway

    found = Gateway(tmp_path_factory.mktemp("gateway"), "app")
    try:
        found.wait()
        yield found
    finally:
        found.stop()
