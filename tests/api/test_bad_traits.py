"""A wrong value of a trait: the extension does not start, and the server runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from extension_server import server_config
from waiting import eventually

from auto_shutdown.api.base_handler import CONTROLLER


@pytest.fixture
def jp_server_config(tmp_path: Path, traits: dict[str, Any]) -> dict[str, Any]:
    return server_config(tmp_path, **traits)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """The log records of the extension. A filter collects them, because some servers replace the
    streams and the handlers of logging."""
    found: list[logging.LogRecord] = []

    def note(record: logging.LogRecord) -> bool:
        found.append(record)
        return True

    logger = logging.getLogger("AutoShutdown")
    logger.addFilter(note)
    yield found
    logger.removeFilter(note)


@pytest.mark.parametrize(
    "traits",
    [
        {"idle_timeout_minutes": -1},
        {"idle_timeout_minutes": "soon"},
        {"grace_minutes": -1},
        {"locked": ["no_such"]},
    ],
    ids=str,
)
async def test_bad_trait_keeps_the_extension_from_starting_and_the_server_runs(
    records: list[logging.LogRecord],
    jp_serverapp: Any,
    jp_fetch: Any,
    call: Any,
    traits: dict[str, Any],
) -> None:
    """The log has one clear line. The extension does not run with limits that the administrator did
    not choose."""
    jp_serverapp.web_app.settings[CONTROLLER] = None  # so that `call` does not wait for it
    assert (await jp_fetch("api", "status")).code == 200
    (line,) = await eventually(
        lambda: [record for record in records if "could not start" in record.getMessage()],
        "the line in the log",
    )
    assert next(iter(traits)) in line.getMessage()
    assert line.exc_info is None
    status, answer = await call("get", "status")
    assert status == 503
    assert line.getMessage() == f"{answer['message']} {answer['remedy']}"
