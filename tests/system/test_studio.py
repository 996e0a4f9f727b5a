"""The whole: a local Studio, the extension installed in its JupyterServer, and real kernels."""

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


def test_the_demo_tells_the_truth(tmp_path: Path) -> None:
    """On a narrow terminal: no line is too long, and the table shows what became of each thing."""
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
        "Saved: $1.52 an hour",
        "with DeleteApp",
    ):
        assert shown in text, shown
    assert "\x1b[31mremoved" in out.getvalue()
    assert "\x1b[32mkept" in out.getvalue()


def test_the_demo_fails_when_the_wrong_thing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its exit code is a check, and can fail: here nothing is removed at all."""
    monkeypatch.setitem(demo.CONFIG, "dry_run", True)
    monkeypatch.setattr(demo, "DEADLINE_SECONDS", 3)
    out = io.StringIO()
    assert demo.run(tmp_path, Console(file=out, width=200)) == 1
    assert "FAIL The two idle apps are gone." in out.getvalue()


def test_ctrl_c_ends_the_lab_without_an_error(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "auto_shutdown.local_studio", "lab"]
    env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    env.pop("DISPLAY", None)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    lines = list(iter(process.stdout.readline, "Ctrl-C ends everything.\n"))
    address = next(line.strip() for line in lines if "/lab/tree/left.ipynb?token=" in line)
    url = address.partition("/lab/")[0]
    with urllib.request.urlopen(f"{url}/api/sessions?{address.partition('?')[2]}") as answer:
        paths = {session["path"] for session in json.load(answer)}
    assert paths == {"left.ipynb", "training.ipynb", "kept.ipynb"}
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert "Ended" in process.stdout.read()
    process.stdout.close()
    assert left_of(tmp_path) == []


def test_when_one_delete_fails_the_other_app_is_removed_and_health_says_so(
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


def test_a_hanging_api_hangs_nobody_else(studio: LocalStudio) -> None:
    app = studio.create_app()
    server = serve(studio)
    server.wait_for("seen", lambda: resource(server, f"KernelGateway/{app}"))
    studio.api.faults.append(Fault("DeleteApp", hang=12.0, times=1))
    server.wait_for("asked", lambda: studio.api.count("DeleteApp"), 30)
    begin = time.monotonic()
    for _ in range(20):
        server.request("GET", "api/status")
    assert time.monotonic() - begin < 10  # it hangs for 12: nobody waited for it
    assert studio.status(app) == "InService"


def test_restart_settings_keep_alives_and_marks(studio: LocalStudio) -> None:
    """A restart of the JupyterServer: kernels live on in their apps, nothing goes sooner."""
    server = serve(studio, idle_timeout_minutes=0.6)
    kernel = server.open_notebook("kept.ipynb")
    server.execute(kernel, "1 + 1")
    hold = {"kind": "kernel", "id": kernel, "minutes": 30}
    server.request("PUT", "auto-shutdown/keep-alive", hold)
    server.request("PATCH", "auto-shutdown/settings", {"idle_timeout_minutes": 0.5})
    empty = studio.create_app("tensorflow-2.3", "ml.m5.large")
    ref = f"KernelGateway/{empty}"
    server.request("POST", "auto-shutdown/check")
    before = resource(server, ref)
    server.restart()
    server.wait_for("the kernel again", lambda: resource(server, kernel))
    after = server.wait_for("the app again", lambda: resource(server, ref))
    assert after["idle_since"] == before["idle_since"]
    assert after["due_at"] >= before["due_at"]
    assert server.request("GET", "auto-shutdown/settings")["user"] == {"idle_timeout_minutes": 0.5}
    server.wait_for("the empty app goes", lambda: studio.status(empty) == "Deleted", 90)
    assert resource(server, kernel)["reason"] == "kept-alive"
    assert resource(server, kernel)["state"] == "idle"
    (entry,) = server.request("GET", "auto-shutdown/history")["history"]
    assert (entry["name"], entry["outcome"]) == (empty, "removed")


def stamp(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_used_for_longer_than_a_limit_then_closed_a_whole_limit_more(studio: LocalStudio) -> None:
    """The incumbent deletes such an app at once."""
    server = serve(studio, warn_minutes=0)
    kernel = server.open_notebook("work.ipynb")
    until = time.monotonic() + 15  # the limit is 9 seconds
    while time.monotonic() < until:
        server.execute(kernel, "import time; time.sleep(1)")
    report = server.request("POST", "auto-shutdown/check")
    app = next(r["app"] for r in report["resources"] if r["id"] == kernel)
    session = next(s for s in server.request("GET", "api/sessions") if s["path"] == "work.ipynb")
    server.request("DELETE", f"api/sessions/{session['id']}")
    name = app.partition("/")[2]
    server.wait_for("it goes", lambda: studio.status(name) != "InService")
    (entry,) = server.request("GET", "auto-shutdown/history")["history"]
    idle = stamp(entry["at"]) - stamp(entry["idle_since"])
    assert idle >= timedelta(minutes=LIMITS["idle_timeout_minutes"])
    used_until = stamp(report["now"])
    assert stamp(entry["at"]) - used_until >= timedelta(minutes=0.15) - timedelta(seconds=3)


def test_created_again_under_the_same_name_a_whole_new_clock(studio: LocalStudio) -> None:
    """Though SageMaker keeps its CreationTime."""
    studio.apps.delays.deleting = 1.0
    server = serve(studio, warn_minutes=0, idle_timeout_minutes=0.4)
    name = studio.create_app()
    ref = f"KernelGateway/{name}"
    server.request("POST", "auto-shutdown/check")
    first = stamp(resource(server, ref)["due_at"])
    time.sleep(3)
    owner = dict([studio.owner])
    studio.client().delete_app(
        DomainId=studio.domain_id, AppType="KernelGateway", AppName=name, **owner
    )
    server.request("POST", "auto-shutdown/check")
    assert resource(server, ref)["reason"] == "not-in-service"
    server.wait_for("it is gone", lambda: studio.status(name) == "Deleted")
    assert studio.create_app() == name
    again = datetime.now(timezone.utc)
    server.request("POST", "auto-shutdown/check")
    due = stamp(resource(server, ref)["due_at"])
    assert due > first
    assert due - again >= timedelta(minutes=0.4) - timedelta(seconds=0.1)


def test_a_killed_server_starts_new_clocks(studio: LocalStudio) -> None:
    """What it saw between its last write and its end is not known: only ever a delay."""
    server = serve(studio, warn_minutes=0, idle_timeout_minutes=0.4)
    ref = f"KernelGateway/{studio.create_app()}"
    server.request("POST", "auto-shutdown/check")
    before = stamp(resource(server, ref)["due_at"])
    time.sleep(2)
    server.kill()
    server.restart()
    again = server.wait_for("the app again", lambda: resource(server, ref))
    assert stamp(again["due_at"]) - before >= timedelta(seconds=2)


def test_routing_terminals_and_what_the_server_lists(studio: LocalStudio) -> None:
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


def test_an_empty_shared_space(tmp_path: Path) -> None:
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
def test_no_process_is_left_however_it_ends(signum: int, tmp_path: Path) -> None:
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
    assert owner.stdout.readline() == "ready\n"
    assert len(processes_of(tmp_path)) >= 5  # server, gateway, kernel, and their leashes
    owner.send_signal(signum)
    owner.wait(60)
    owner.stdout.close()
    assert left_of(tmp_path) == []
