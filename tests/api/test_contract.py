"""The HTTP contract on a real server: routes, authentication, authorisation, every answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from extension_server import server_config
from jupyter_server.auth.authorizer import AllowAllAuthorizer
from tornado.httpclient import HTTPClientError

import auto_shutdown
from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.api.handlers import ROUTES
from auto_shutdown.api.throttle import CHECK, RATES, READ, WRITE
from auto_shutdown.config.settings import FIELDS

SPEC = yaml.safe_load((Path(auto_shutdown.__file__).parent / "api" / "rest-api.yml").read_text())
CALLS = [(path, method) for path, item in SPEC["paths"].items() for method in item]


class Nobody(AllowAllAuthorizer):
    """Allows everything but this extension."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        return resource != "auto_shutdown"


@pytest.fixture
def jp_server_config(tmp_path: Path) -> dict[str, Any]:
    return server_config(tmp_path, locked=["dry_run"])


def test_routes_are_those_of_the_specification() -> None:
    assert {f"/auto-shutdown/{path}" for path in ROUTES} == set(SPEC["paths"])
    for path, handler in ROUTES.items():
        methods = {m for m in ("get", "post", "put", "patch", "delete") if m in vars(handler)}
        assert methods == set(SPEC["paths"][f"/auto-shutdown/{path}"])
    assert set(SPEC["components"]["schemas"]["SettingsPatch"]["properties"]) == set(FIELDS)


#: The calls that answer from memory.
UNLIMITED = {("status", "get"), ("settings", "get"), ("keep-alive", "get")}


def test_every_route_that_does_not_answer_from_memory_is_throttled() -> None:
    methods = {
        (path, name): method
        for path, handler in ROUTES.items()
        for name, method in vars(handler).items()
        if name in ("get", "post", "put", "patch", "delete")
    }
    assert {
        call for call, method in methods.items() if not hasattr(method, "throttle_kind")
    } == UNLIMITED


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("get", "history", READ),
        ("get", "stopped", READ),
        ("delete", "stopped", WRITE),
        ("post", "check", CHECK),
    ],
)
async def test_requests_that_read_or_write_files_are_throttled(
    method: str, path: str, kind: str, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entries of stopped sessions can have 50 MB, and each list reads all of them."""
    monkeypatch.setitem(RATES, kind, (2.0, 0.001))
    codes = [(await call(method, path))[0] for _ in range(3)]
    assert codes[2] == 429
    assert 429 not in codes[:2]


@pytest.mark.parametrize(("path", "method"), CALLS)
async def test_every_route_requires_a_token(
    path: str, method: str, call: Any, http_server_client: Any, jp_base_url: str
) -> None:
    with pytest.raises(HTTPClientError) as caught:
        await http_server_client.fetch(
            jp_base_url.rstrip("/") + path, method=method.upper(), allow_nonstandard_methods=True
        )
    assert caught.value.code in (302, 403)


@pytest.mark.parametrize(("path", "method"), CALLS)
async def test_every_route_asks_the_authorizer(
    path: str, method: str, call: Any, jp_serverapp: Any
) -> None:
    jp_serverapp.web_app.settings["authorizer"] = Nobody(parent=jp_serverapp)
    status, answer = await call(method, path.rsplit("/", 1)[-1])
    assert status == 403
    assert "message" in answer


async def test_status_is_a_report_as_specified(call: Any) -> None:
    status, report = await call("get", "status")
    schema = SPEC["components"]["schemas"]["Report"]
    assert status == 200
    assert set(report) == set(schema["required"])
    for part in ("platform", "health"):
        assert set(report[part]) == set(schema["properties"][part]["required"])
    assert report["platform"]["kind"] == "local"
    assert report["keep_alive"] == []
    assert report["health"]["armed"] is True


async def test_status_with_panel_false_does_not_count_as_an_open_panel(
    call: Any, jp_serverapp: Any
) -> None:
    asked: list[bool] = []
    await call("get", "status", panel="false")
    controller = jp_serverapp.web_app.settings[CONTROLLER]
    controller.panel_asked = lambda: asked.append(True)
    await call("get", "status", panel="false")
    assert asked == []
    await call("get", "status")
    assert asked == [True]


BAD_SETTINGS: list[tuple[Any, int, str]] = [
    ({"idle_timeout_minutes": 0}, 400, "idle_timeout_minutes"),
    ({"idle_timeout_minutes": -5}, 400, "idle_timeout_minutes"),
    ({"idle_timeout_minutes": 9.99}, 400, "idle_timeout_minutes"),
    ({"idle_timeout_minutes": 1e9}, 400, "idle_timeout_minutes"),
    ('{"idle_timeout_minutes": NaN}', 400, "idle_timeout_minutes"),
    ('{"idle_timeout_minutes": Infinity}', 400, "idle_timeout_minutes"),
    ({"idle_timeout_minutes": "30"}, 400, "idle_timeout_minutes"),
    ({"idle_timeout_minutes": True}, 400, "idle_timeout_minutes"),
    ({"idle_timeout_minutes": [30]}, 400, "idle_timeout_minutes"),
    ({"enabled": 1}, 400, "enabled"),
    ({"warn_minutes": -1}, 400, "warn_minutes"),
    ({"rules": {}}, 400, "rules"),
    ({"rules": [{"idle_timeout_minutes": 30}]}, 400, "rules[0]"),
    ({"idle_timeout_secs": 30}, 400, "idle_timeout_secs"),
    ({"dry_run": True}, 403, "dry_run"),
    ("[1]", 400, "body"),
    ("{", 400, "body"),
]


@pytest.mark.parametrize(("body", "code", "field"), BAD_SETTINGS, ids=str)
async def test_bad_settings_change_nothing(body: Any, code: int, field: str, call: Any) -> None:
    _, before = await call("get", "settings")
    both = {**body, "keep_terminals": True} if isinstance(body, dict) else body
    status, answer = await call("patch", "settings", both)
    assert (status, answer["field"]) == (code, field)
    assert answer["message"]
    assert (await call("get", "settings"))[1] == before


async def test_settings_are_changed_and_reset(call: Any, tmp_path: Path) -> None:
    status, answer = await call("patch", "settings", {"idle_timeout_minutes": 30.5})
    assert (status, answer["settings"]["idle_timeout_minutes"]) == (200, 30.5)
    assert answer["user"] == {"idle_timeout_minutes": 30.5}
    stored = json.loads((tmp_path / "state" / "settings.json").read_text())
    assert stored["settings"] == {"idle_timeout_minutes": 30.5}
    _, answer = await call("patch", "settings", {"idle_timeout_minutes": None})
    assert (answer["settings"]["idle_timeout_minutes"], answer["user"]) == (120, {})


BAD_HOLDS: list[tuple[Any, int, str]] = [
    ({"kind": "kernel", "id": "nope", "minutes": 5}, 404, "id"),
    ({"kind": "ufo", "id": "x", "minutes": 5}, 400, "kind"),
    ({"kind": "kernel", "minutes": 5}, 400, "id"),
    ({"kind": "all", "minutes": 0}, 400, "minutes"),
    ({"kind": "all", "minutes": 1441}, 400, "minutes"),
    ({"kind": "all", "minutes": True}, 400, "minutes"),
    ('{"kind": "all", "minutes": NaN}', 400, "minutes"),
    ({"kind": "all"}, 400, "minutes"),
]


@pytest.mark.parametrize(("body", "code", "field"), BAD_HOLDS, ids=str)
async def test_bad_keep_alives_are_refused(body: Any, code: int, field: str, call: Any) -> None:
    status, answer = await call("put", "keep-alive", body)
    assert (status, answer["field"]) == (code, field)
    assert (await call("get", "keep-alive"))[1] == {"keep_alive": []}


async def test_a_keep_alive_carries_the_users_note(call: Any) -> None:
    body = {"kind": "all", "minutes": 60, "note": " waits for\nthe colleague's\x07 review "}
    _, answer = await call("put", "keep-alive", body)
    assert [h["note"] for h in answer["keep_alive"]] == ["waits for the colleague's\\x07 review"]
    for note in ("x" * 201, 5, None):
        status, answer = await call("put", "keep-alive", {**body, "note": note})
        assert (status, answer["field"]) == (400, "note")


async def test_keep_alive_is_set_shown_and_released(call: Any) -> None:
    status, answer = await call("put", "keep-alive", {"kind": "all", "minutes": 60})
    assert (status, [h["kind"] for h in answer["keep_alive"]]) == (200, ["all"])
    assert (await call("get", "keep-alive"))[1] == answer
    assert (await call("get", "status"))[1]["keep_alive"] == answer["keep_alive"]
    _, answer = await call("delete", "keep-alive", kind="all")
    assert answer == {"keep_alive": []}


async def test_a_terminal_is_removed_on_request_and_audited(call: Any, jp_fetch: Any) -> None:
    await jp_fetch("api", "terminals", method="POST", allow_nonstandard_methods=True)
    status, outcome = await call("post", "remove", {"kind": "terminal", "id": "1"})
    assert (status, outcome["outcome"], outcome["reason"]) == (200, "removed", "requested")
    assert set(outcome) == set(SPEC["components"]["schemas"]["Outcome"]["required"])
    assert (outcome["name"], outcome["rule"], outcome["idle_since"]) == ("1", "request", None)
    assert json.loads((await jp_fetch("api", "terminals")).body) == []
    _, answer = await call("get", "history", limit="5")
    assert [(e["resource"], e["outcome"], e["rule"]) for e in answer["history"]] == [
        ("1", "removed", "request")
    ]
    status, _ = await call("post", "remove", {"kind": "terminal", "id": "1"})
    assert status == 404


async def test_a_removal_of_everything_at_once_is_refused(call: Any) -> None:
    status, body = await call("post", "remove", {"kind": "all", "id": "all"})
    assert (status, body["field"], body["value"]) == (400, "kind", "all")


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "1e2", "٣"])
async def test_a_bad_history_limit_is_refused(limit: str, call: Any) -> None:
    status, answer = await call("get", "history", limit=limit)
    assert (status, answer["field"]) == (400, "limit")


async def test_check_runs_a_pass(call: Any) -> None:
    _, before = await call("post", "check")
    status, after = await call("post", "check", {"dry_run": True})
    assert status == 200
    assert after["health"]["last_pass"] > before["health"]["last_pass"]
    assert (await call("post", "check", {"dry_run": "yes"}))[0] == 400


async def test_requests_to_the_extension_are_not_server_activity(
    call: Any, jp_serverapp: Any
) -> None:
    """An open panel must not keep the server "active" for other cullers."""
    before = jp_serverapp.web_app.settings.get("api_last_activity")
    for path in ("status", "settings", "history"):
        await call("get", path)
    await call("post", "check")
    assert jp_serverapp.web_app.settings.get("api_last_activity") == before
