"""A notebook instance: stopped by its own server, unless it could not be started again."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from held_transitions import HELD, held_transitions
from leftovers import left_of, processes_of
from own_apps import LIMITS, announced, history, long_timeout, needs_containers, row, stamp
from programs import silent_cell

from auto_shutdown.local_studio.api import Fault
from auto_shutdown.local_studio.instances import Instance
from auto_shutdown.local_studio.server import JupyterServerApp
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), needs_containers]

OWN = "NotebookInstance/mine"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path) as found:
        yield found
        assert found.api.invalid_answers == []
        assert found.api.count("ListApps") == 0
    assert processes_of(tmp_path) == []


def start(instance: Instance, **more: object) -> JupyterServerApp:
    return instance.start({"AutoShutdown": {**LIMITS, **more}})


def test_notebook_instance_is_stopped_after_use_and_its_history_survives(
    studio: LocalStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = studio.add_instance("mine")
    server = start(instance)
    kept = instance.lab.volume / "kept.txt"
    flag = instance.lab.volume / "cell-runs"
    with long_timeout(server):
        kernel = server.request("POST", "api/kernels", {"name": "python3"})["id"]
        server.execute(kernel, f"open({str(kept)!r}, 'w').write('mine')")
        server.execute(kernel, f"open('lost.txt', 'w')\n{silent_cell(flag)}", wait=False)
    server.wait_for("the kernel is in use", lambda: row(server, OWN).get("reason") == "in-use")
    assert row(server, OWN)["due_at"] is None
    flag.unlink()
    assert server.status()["platform"]["kind"] == "notebook-instance"
    server.wait_for("the notice", lambda: announced(server, OWN))
    server.wait_for("it stops", lambda: instance.status == "Stopped")
    assert not server.process.running
    assert [c.request for c in studio.api.calls if c.operation == "StopNotebookInstance"] == [
        {"NotebookInstanceName": "mine"}
    ]

    begun = datetime.now(timezone.utc)
    server.restart()
    # The audit log lies where a stop leaves it; of the rest of the home nothing is left.
    assert kept.read_text() == "mine"
    assert [path.name for path in instance.lab.home.glob("*.txt")] == []
    entries = history(server)
    assert [(e["kind"], e["outcome"]) for e in entries] == [
        ("kernel", "removed"),
        ("app", "removed"),
    ]
    assert "stop notebook instance mine" in entries[-1]["outcome_detail"]
    fresh = server.wait_for("the instance", lambda: row(server, OWN))
    assert stamp(fresh["idle_since"]) >= begun

    # Somebody stops it in the console at the same time.
    studio.apps.delays.ending = HELD
    with held_transitions(monkeypatch):
        server.wait_for("the notice", lambda: announced(server, OWN))
        studio.client().stop_notebook_instance(NotebookInstanceName="mine")
        server.wait_for("the report shows it", lambda: row(server, OWN)["state"] == "Stopping")
        assert server.status()["health"]["state"] == "ok"
        assert history(server)[-1]["outcome"] == "gone"


def test_notebook_instance_that_could_not_be_started_again_is_not_stopped(
    studio: LocalStudio,
) -> None:
    instance = studio.add_instance("mine", platform="notebook-al2-v2")
    server = start(instance)
    health = server.wait_for(
        "refused", lambda: (h := server.status()["health"])["state"] == "failing" and h
    )
    (fault,) = health["faults"]
    assert fault["code"] == "IrreversibleStop"
    assert "notebook-al2-v2" in fault["message"]
    assert "update-notebook-instance" in fault["remedy"]
    assert row(server, OWN)["reason"] == "backing-off"
    assert studio.api.count("StopNotebookInstance") == 0
    assert instance.status == "InService"


@pytest.mark.soak
def test_notebook_instance_that_cannot_be_started_again_is_stopped_if_the_administrator_allows_it(
    studio: LocalStudio,
) -> None:
    studio.api.faults.append(Fault("StopNotebookInstance", "AccessDeniedException", "no", times=1))
    instance = studio.add_instance("mine", platform="notebook-al2-v2")
    server = start(instance, allow_irreversible_stop=True)
    server.wait_for("red", lambda: server.status()["health"]["state"] == "failing")
    server.wait_for("it stops", lambda: instance.status == "Stopped", 120)


OWNER = """
import sys, time
from pathlib import Path
from auto_shutdown.local_studio.studio import LocalStudio
with LocalStudio(Path(sys.argv[1])) as studio:
    for place in (studio.add_space("mine"), studio.add_instance("mine")):
        server = place.start()
        kernel = server.request("POST", "api/kernels", {"name": "python3"})["id"]
        server.execute(kernel, "import subprocess; subprocess.Popen(['setsid', 'sleep', '600'])")
    print("ready", flush=True)
    time.sleep(600)
"""


def test_killed_local_studio_leaves_no_process_of_a_space_or_an_instance(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", OWNER, str(tmp_path)]
    said = tmp_path / "owner.log"
    with said.open("w") as log:
        owner = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert owner.stdout is not None
        with owner.stdout as told:
            assert told.readline() == "ready\n", said.read_text()[-6000:]
        assert len(processes_of(tmp_path)) >= 8  # server, kernel, its child, init, leash; twice
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait(60)
    assert left_of(tmp_path) == []
