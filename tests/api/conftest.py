"""The call of the HTTP API, for tests with a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError
from waiting import eventually

from auto_shutdown.api.base_handler import CONTROLLER


@pytest.fixture
def call(jp_serverapp: Any, jp_fetch: Any) -> Any:
    """``await call(method, path, body)``: status and JSON of an answer."""

    async def fetch(method: str, path: str, body: Any = None, **params: str) -> Any:
        await eventually(
            lambda: CONTROLLER in jp_serverapp.web_app.settings, "the extension starts"
        )
        text = body if isinstance(body, str) else None if body is None else json.dumps(body)
        more = {"allow_nonstandard_methods": True} if text is None else {"body": text}
        try:
            response = await jp_fetch(
                "auto-shutdown", path, method=method.upper(), params=params, **more
            )
        except HTTPClientError as error:
            response = error.response
        return response.code, json.loads(response.body)

    return fetch
