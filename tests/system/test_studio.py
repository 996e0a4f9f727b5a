"""The complete system: a local Studio, the extension in its JupyterServer, and real kernels."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from leftovers import left_of, processes_of
from rich.console import Console

from auto_shutdown.local_studio import demo
from auto_shutdown.local_studio.api import Fault, denied
from auto_shutdown.local_studio.jupyter_names import image_terminal
from auto_shutdown.local_studio.server import JupyterServerApp
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

#: Short limits; a limit long enough that the set-up fits into it.
LIMITS = {
    "min_idle_timeout_minutes": 0.05,
    "idle_timeout_minutes": 0.15,
    "grace_minutes": 0.05,
    "warn_minutes": 0.02,
    "poll_interval_seconds": 1,
}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path) as found:
        yield found
        assert found.api.invalid_answers == []


def serve(studio: LocalStudio, **limits: Any) -> JupyterServerApp:
    given = {**LIMITS, "metadata_path": str(studio.metadata_path), **limits}
    return studio.start_server({"AutoShutdown": given})


def resource(server: JupyterServerApp, ref_id: str) -> dict[str, Any]:
    found = (r for r in server.status()["resources"] if r["id"] == ref_id)
    return next(found, {})


def test_demo_succeeds_and_its_table_fits_a_narrow_terminal(tmp_path: Path) -> None:
    """No line is longer than 60 columns, and the table shows the outcome of each resource."""
    out = io.StringIO()
    console = Console(file=out, width=60, height=24, force_terminal=True, color_system="standard")
    assert demo.run(tmp_path, console) == 0, out.getvalue()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert max(map(len, re.split(r"[\r\n]", text))) <= 60
    for shown in (
        "Notice: ",
        "stops in ",
        "removed ",
        "kept ",
        "Saved: $1.52",
        "with DeleteApp",
    ):
        assert shown in text, shown
    assert "\x1b[31mremoved" in out.getvalue()
    assert "\x1b[32mkept" in out.getvalue()


def test_demo_fails_when_no_idle_app_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code of the demo must report a failure: with dry_run nothing is removed."""
    monkeypatch.setitem(demo.CONFIG, "dry_run", True)
    monkeypatch.setattr(demo, "DEADLINE_SECONDS", 3)
    out = io.StringIO()
    assert demo.run(tmp_path, Console(file=out, width=200)) == 1
    assert "FAIL The two idle apps are gone." in out.getvalue()


def test_ctrl_c_ends_make_lab_without_an_error(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "auto_shutdown.local_studio", "lab"]
    env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    env.pop("DISPLAY", None)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "Ctrl-C ends everything.\n":
                break
        address = next(line.strip() for line in lines if "/lab/tree/left.ipynb?token=" in line)
        url = address.partition("/lab/")[0]
        with urllib.request.urlopen(f"{url}/api/sessions?{address.partition('?')[2]}") as answer:
            paths = {session["path"] for session in json.load(answer)}
        assert paths == {"left.ipynb", "training.ipynb", "kept.ipynb"}
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert "Ended" in process.stdout.read()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert left_of(tmp_path) == []


def test_failed_delete_of_one_app_is_in_health_and_the_other_app_is_removed(
    studio: LocalStudio,
) -> None:
    first = studio.create_app("tensorflow-2.3", "ml.m5.large")
    second = studio.create_app("pytorch-1.8", "ml.g5.xlarge")
    text = denied("sagemaker:DeleteApp", "arn:x")
    studio.api.faults.append(Fault("DeleteApp", "AccessDeniedException", text, app_name=first))
    server = serve(studio)
    server.wait_for("second goes", lambda: studio.status(second) == "Deleted")
    assert studio.status(first) == "InService"
    health = server.wait_for(
        "health", lambda: (h := server.status()["health"])["state"] == "failing" and h
    )
    (fault,) = health["faults"]
    assert fault["code"] == "AccessDeniedException"
    assert "sagemaker:DeleteApp" in fault["remedy"]
    assert f"app/{studio.domain_id}/ada/KernelGateway/{first}" in fault["remedy"]
    assert sum("AccessDeniedException" in line for line in server.log.splitlines()) == 1
    studio.api.faults.clear()
    server.request("POST", "auto-shutdown/remove", {"kind": "app", "id": f"KernelGateway/{first}"})
    server.wait_for("first goes", lambda: studio.status(first) == "Deleted")
    server.wait_for("recovery", lambda: server.status()["health"]["state"] == "ok")
    assert "recovered" in server.log
    assert "assumed-role" not in server.log  # AWS's text, and its identities, stay out of the log


def test_server_answers_requests_while_delete_app_hangs(studio: LocalStudio) -> None:
    app = studio.create_app()
    server = serve(studio)
    server.wait_for("the app is in the report", lambda: resource(server, f"KernelGateway/{app}"))
    studio.api.faults.append(Fault("DeleteApp", hang=60.0))
    server.wait_for("DeleteApp is called", lambda: studio.api.count("DeleteApp"))
    for _ in range(5):
        server.request("GET", "api/status")
    # boto3 calls a second time once the first call has timed out. It had not when these requests
    # were answered, so that no request waited for it.
    assert studio.api.count("DeleteApp") == 1
    assert server.status()["outcomes"] == []
    assert studio.status(app) == "InService"


def test_restart_keeps_settings_keep_alives_and_idle_clocks(studio: LocalStudio) -> None:
    """The JupyterServer restarts; kernels live on in their apps, and no removal comes sooner."""
    server = serve(studio, idle_timeout_minutes=6)
    kernel = server.open_notebook("kept.ipynb")
    server.execute(kernel, "1 + 1")
    hold = {"kind": "kernel", "id": kernel, "minutes": 30}
    server.request("PUT", "auto-shutdown/keep-alive", hold)
    server.request("PATCH", "auto-shutdown/settings", {"idle_timeout_minutes": 5})
    empty = studio.create_app("tensorflow-2.3", "ml.m5.large")
    ref = f"KernelGateway/{empty}"
    server.request("POST", "auto-shutdown/check")
    before = resource(server, ref)
    server.restart()
    server.wait_for("the kernel again", lambda: resource(server, kernel))
    after = server.wait_for("the app again", lambda: resource(server, ref))
    assert after["idle_since"] == before["idle_since"]
    assert after["due_at"] >= before["due_at"]
    assert server.request("GET", "auto-shutdown/settings")["user"] == {"idle_timeout_minutes": 5}
    server.request("PATCH", "auto-shutdown/settings", {"idle_timeout_minutes": 0.15})
    server.wait_for("the empty app goes", lambda: studio.status(empty) == "Deleted", 90)
    assert resource(server, kernel)["reason"] == "kept-alive"
    assert resource(server, kernel)["state"] == "idle"
    (entry,) = server.request("GET", "auto-shutdown/history")["history"]
    assert (entry["name"], entry["outcome"]) == (empty, "removed")


def stamp(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_app_is_removed_one_limit_after_its_last_use_however_long_it_was_used(
    studio: LocalStudio,
) -> None:
    """The incumbent deletes such an app as soon as its last notebook is closed."""
    server = serve(studio, warn_minutes=0)
    kernel = server.open_notebook("work.ipynb")
    until = time.monotonic() + 15  # the limit is 9 seconds
    while time.monotonic() < until:
        used_at = datetime.now(timezone.utc)
        server.execute(kernel, "import time; time.sleep(1)")
    report = server.request("POST", "auto-shutdown/check")
    app = next(r["app"] for r in report["resources"] if r["id"] == kernel)
    session = next(s for s in server.request("GET", "api/sessions") if s["path"] == "work.ipynb")
    server.request("DELETE", f"api/sessions/{session['id']}")
    name = app.partition("/")[2]
    server.wait_for("the app is removed", lambda: studio.status(name) != "InService")
    (entry,) = server.request("GET", "auto-shutdown/history")["history"]
    limit = timedelta(minutes=LIMITS["idle_timeout_minutes"])
    assert stamp(entry["at"]) - stamp(entry["idle_since"]) >= limit
    assert stamp(entry["at"]) - used_at >= limit


def test_app_created_again_under_the_same_name_has_a_new_idle_clock(studio: LocalStudio) -> None:
    """SageMaker keeps the CreationTime of the first app."""
    server = serve(studio, warn_minutes=0, idle_timeout_minutes=5)
    name = studio.create_app()
    ref = f"KernelGateway/{name}"
    server.request("POST", "auto-shutdown/check")
    first = stamp(resource(server, ref)["due_at"])
    owner = dict([studio.owner])
    studio.client().delete_app(
        DomainId=studio.domain_id, AppType="KernelGateway", AppName=name, **owner
    )
    server.request("POST", "auto-shutdown/check")
    # By now the app is being deleted, or already gone.
    assert resource(server, ref).get("reason", "not-in-service") == "not-in-service"
    server.wait_for("the app is deleted", lambda: studio.status(name) == "Deleted")
    again = datetime.now(timezone.utc)
    assert studio.create_app() == name
    server.request("POST", "auto-shutdown/check")
    due = stamp(resource(server, ref)["due_at"])
    assert due > first
    assert due - again >= timedelta(minutes=5)


def test_killed_server_starts_new_idle_clocks(studio: LocalStudio) -> None:
    """Nobody knows what the server observed between its last write and its end, so removals come
    later."""
    server = serve(studio, warn_minutes=0, idle_timeout_minutes=5)
    ref = f"KernelGateway/{studio.create_app()}"
    server.request("POST", "auto-shutdown/check")
    before = stamp(resource(server, ref)["due_at"])
    killed_at = datetime.now(timezone.utc)
    server.kill()
    server.restart()
    again = server.wait_for("the app is in the report again", lambda: resource(server, ref))
    assert stamp(again["due_at"]) > before
    assert stamp(again["due_at"]) - killed_at >= timedelta(minutes=5)


def test_local_studio_runs_each_kernel_and_image_terminal_in_its_app(studio: LocalStudio) -> None:
    server = serve(studio, idle_timeout_minutes=60)
    one = server.open_notebook("one.ipynb", "datascience-1.0", "ml.t3.medium")
    two = server.open_notebook("two.ipynb", "pytorch-1.8", "ml.g5.xlarge")
    for kernel in (one, two):
        server.execute(kernel, "import os; open('here', 'w').write(os.getcwd())")
    sessions = {s["path"]: s["kernel"] for s in server.request("GET", "api/sessions")}
    assert sessions["two.ipynb"]["instance_type"] == "ml.g5.xlarge"
    assert sessions["one.ipynb"]["app_name"] != sessions["two.ipynb"]["app_name"]
    apps = {a["app_name"]: a["instance_type"] for a in server.request("GET", "sagemaker/api/apps")}
    assert apps[sessions["two.ipynb"]["app_name"]] == "ml.g5.xlarge"
    homes = [studio.root / "apps" / s["app_name"] / "here" for s in sessions.values()]
    assert all(path.exists() for path in homes), "each kernel runs in its own app"
    inside = server.open_terminal(image_terminal("pytorch-1.8", "ml.g5.xlarge"))
    plain = server.open_terminal()
    listed = {t["name"]: t for t in server.request("GET", "api/terminals")}
    assert "last_activity" not in listed[inside]
    assert "last_activity" in listed[plain]
    server.request("POST", "auto-shutdown/check")
    terminal = resource(server, inside)
    assert terminal["app"] == f"KernelGateway/{sessions['two.ipynb']['app_name']}"
    assert terminal["reason"] == "in-use"
    assert resource(server, two)["app"] == terminal["app"]
    app = resource(server, terminal["app"])
    assert (app["billing"], app["instance_type"]) == (True, "ml.g5.xlarge")


def test_empty_app_of_a_shared_space_is_removed_by_space_name(tmp_path: Path) -> None:
    with LocalStudio(tmp_path, space_name="team") as studio:
        server = serve(studio)
        app = studio.create_app()
        server.wait_for("it goes", lambda: studio.status(app) == "Deleted", 90)
        request = next(c.request for c in studio.api.calls if c.operation == "DeleteApp")
        assert request["SpaceName"] == "team"
        assert server.status()["platform"]["space_name"] == "team"


OWNER = """
import sys, time
from pathlib import Path
from auto_shutdown.local_studio.studio import LocalStudio
with LocalStudio(Path(sys.argv[1])) as studio:
    server = studio.start_server()
    kernel = server.open_notebook("a.ipynb")
    server.execute(kernel, "1")
    server.open_terminal()
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_local_studio_leaves_no_process_however_it_ends(signum: int, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", OWNER, str(tmp_path)]
    owner = subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # Whoever started these tests in the background made them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert owner.stdout is not None
    try:
        assert owner.stdout.readline() == "ready\n"
        assert len(processes_of(tmp_path)) >= 5  # server, gateway, kernel, and their leashes
        owner.send_signal(signum)
        owner.wait(60)
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    assert left_of(tmp_path) == []
