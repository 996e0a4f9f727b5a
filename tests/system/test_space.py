"""A JupyterLab space from its first cell to the deletion of its app, and its history afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from held_transitions import HELD, held_transitions
from leftovers import processes_of
from own_apps import (
    LIMITS,
    announced,
    history,
    long_timeout,
    needs_containers,
    report,
    row,
    stamp,
)
from programs import silent_cell

from auto_shutdown.local_studio.api import Fault, denied
from auto_shutdown.local_studio.server import HttpError, JupyterServerApp
from auto_shutdown.local_studio.spaces import CODE_EDITOR, Space
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), needs_containers]

OWN = "JupyterLab/default"

#: As an administrator has it for everybody.
NATIVE = {
    "JupyterLabAppSettings": {
        "AppLifecycleManagement": {
            "IdleSettings": {
                "LifecycleManagement": "ENABLED",
                "IdleTimeoutInMinutes": 120,
                "MinIdleTimeoutInMinutes": 60,
                "MaxIdleTimeoutInMinutes": 240,
            }
        }
    }
}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path, default_user_settings=NATIVE) as found:
        yield found
        assert found.api.invalid_answers == []
        assert found.api.count("DeleteSpace") == 0
        assert found.api.count("ListApps") == 0  # there is one app, and it is known
    assert processes_of(tmp_path) == []


def start(space: Space, **limits: float) -> JupyterServerApp:
    return space.start({"AutoShutdown": {**LIMITS, **limits}})


def ended(server: JupyterServerApp, space: Space, seconds: float = 60.0) -> None:
    server.wait_for("the app ends", lambda: space.status == "Deleted", seconds)
    assert not server.process.running


def test_space_removes_kernel_then_terminal_then_its_app_and_keeps_its_history(
    studio: LocalStudio,
) -> None:
    space = studio.add_space("mine", idle_minutes=90)
    server = start(space)
    session = {"path": "a.ipynb", "name": "a", "type": "notebook", "kernel": {"name": "python3"}}
    flag = space.lab.home / "cell-runs"
    with long_timeout(server):
        kernel = server.request("POST", "api/sessions", session)["kernel"]["id"]
        server.execute(kernel, "open('kept.txt', 'w').write('mine')")
        server.execute(kernel, silent_cell(flag), wait=False)
        server.wait_for("busy", lambda: row(server, kernel).get("reason") == "busy")
    # A silent cell for more than a limit, and then a command in a terminal for another.
    begun = datetime.now(timezone.utc)
    platform = server.wait_for(
        "SageMaker's settings",
        lambda: (p := server.status()["platform"])["native_idle_timeout_minutes"] and p,
    )
    assert (platform["kind"], platform["space_name"]) == ("studio-space", "mine")
    assert platform["native_idle_timeout_minutes"] == 90  # the space's own, within its bounds
    server.wait_for(
        "a cell of more than a limit",
        lambda: datetime.now(timezone.utc) - begun > timedelta(minutes=0.15),
    )
    held = row(server, OWN)
    assert (held["reason"], held["due_at"]) == ("in-use", None)
    assert held["instance_type"] == "ml.t3.medium"
    terminal = server.open_terminal()
    server.type(terminal, "sleep 600\r")
    server.wait_for("a job", lambda: row(server, terminal).get("reason") == "running-job")
    flag.unlink()
    server.wait_for("the kernel goes", lambda: not row(server, kernel))
    held = row(server, OWN)
    assert (held["reason"], held["due_at"]) == ("running-job", None)
    server.type(terminal, "\x03")

    server.wait_for("the notice of the app", lambda: announced(server, OWN))
    ended(server, space)
    (call,) = [c for c in studio.api.calls if c.operation == "DeleteApp"]
    assert call.request == space.app
    assert (space.lab.home / "kept.txt").read_text() == "mine"

    begun = datetime.now(timezone.utc)
    server.restart()
    fresh = server.wait_for("its app", lambda: row(server, OWN))
    assert stamp(fresh["idle_since"]) >= begun
    entries = history(server)
    assert [e["kind"] for e in entries] == ["kernel", "terminal", "app"]
    assert [e["outcome"] for e in entries] == ["removed"] * 3
    app = entries[-1]
    assert stamp(app["at"]) - stamp(app["idle_since"]) >= timedelta(minutes=0.1)
    assert stamp(app["at"]).timestamp() <= call.at
    assert "SageMaker has accepted to delete the app of space mine" in app["outcome_detail"]
    assert app["ends_server"]


def test_denied_delete_of_the_app_of_a_space_backs_off_and_recovers_on_request(
    studio: LocalStudio,
) -> None:
    text = denied("sagemaker:DeleteApp", "arn:x")
    studio.api.faults.append(Fault("DeleteApp", "AccessDeniedException", text))
    space = studio.add_space("team", shared=True)
    server = start(space)
    health = server.wait_for(
        "health turns red", lambda: (h := server.status()["health"])["state"] == "failing" and h
    )
    (fault,) = health["faults"]
    assert fault["code"] == "AccessDeniedException"
    assert f"app/{studio.domain_id}/team/JupyterLab/default" in fault["remedy"]
    own = row(server, OWN)
    assert own["reason"] == "backing-off"
    assert stamp(own["due_at"]) - datetime.now(timezone.utc) > timedelta(seconds=30)
    until = time.monotonic() + 3  # three passes
    while time.monotonic() < until:
        server.status()
    assert studio.api.count("DeleteApp") == 1
    # Who mends the policy need not wait for the next try.
    studio.api.faults[:] = [Fault("DeleteApp", "ThrottlingException", "Rate exceeded", times=2)]
    asked = {"kind": "app", "id": OWN}
    assert server.request("POST", "auto-shutdown/remove", asked)["outcome"] == "temporary"
    server.wait_for("health is yellow", lambda: server.status()["health"]["state"] == "degraded")
    assert server.request("POST", "auto-shutdown/remove", asked)["outcome"] == "removed"
    ended(server, space)
    requests = [c.request for c in studio.api.calls if c.operation == "DeleteApp"]
    assert all(request["SpaceName"] == "team" for request in requests)
    assert "recovered" in server.log
    assert "assumed-role" not in server.log


def test_history_of_a_space_names_an_interrupted_delete_and_an_app_that_was_gone(
    studio: LocalStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First SIGKILL ends the server between its request and the answer. Then SageMaker's own idle
    shutdown deletes the app a moment before the extension does."""
    studio.api.faults.append(Fault("DeleteApp", latency=4.0, times=1))
    space = studio.add_space("mine")
    server = start(space)
    server.wait_for("the request", lambda: studio.api.count("DeleteApp"))
    server.kill()
    server.restart()
    (entry,) = history(server)
    assert (entry["outcome"], entry["resource"]) == ("interrupted", OWN)
    assert "most likely this request ended it" in entry["outcome_detail"]

    studio.apps.delays.ending = HELD
    with held_transitions(monkeypatch):
        server.wait_for("the notice", lambda: announced(server, OWN))
        space.delete_app()
        server.wait_for("the server calls DeleteApp", lambda: studio.api.count("DeleteApp") == 3)
        own = server.wait_for(
            "the report shows it", lambda: (r := row(server, OWN))["state"] == "Deleting" and r
        )
        assert own["reason"] == "not-in-service"
        assert report(server)["health"]["state"] == "ok"
        with pytest.raises(HttpError) as caught:
            server.request("POST", "auto-shutdown/remove", {"kind": "app", "id": OWN})
        assert caught.value.status == 409
    studio.apps.delays.ending = 0.0
    ended(server, space)
    assert studio.api.count("DeleteApp") == 3
    server.restart()
    assert [e["outcome"] for e in history(server)] == ["interrupted", "gone"]


@pytest.mark.soak
def test_throttled_delete_of_the_app_of_a_space_is_tried_again(studio: LocalStudio) -> None:
    studio.api.faults.append(Fault("DeleteApp", "ThrottlingException", "Rate exceeded", times=2))
    space = studio.add_space("mine")
    server = start(space)
    server.wait_for("yellow", lambda: server.status()["health"]["state"] == "degraded")
    ended(server, space, 120)
    assert studio.api.count("DeleteApp") == 3  # two attempts of boto3's, and ours a minute later


@pytest.mark.soak
def test_app_of_code_editor_is_never_removed(studio: LocalStudio) -> None:
    """A user has started a Jupyter server beside the editor."""
    space = studio.add_space("code", app_type=CODE_EDITOR)
    server = start(space)
    with long_timeout(server):
        kernel = server.request("POST", "api/kernels", {"name": "python3"})["id"]
        server.execute(kernel, "1 + 1")
    server.wait_for("the kernel is removed", lambda: not row(server, kernel))
    app = row(server, "CodeEditor/default")
    assert app["reason"] == "not-covered"
    assert "the editor's own files, terminals and programs are not" in app["detail"]
    assert (report(server)["platform"]["kind"], space.status) == ("studio-space", "InService")
    assert studio.api.count("DeleteApp") == 0
