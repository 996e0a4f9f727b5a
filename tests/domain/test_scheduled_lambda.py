"""The real zip in the real runtime client of AWS Lambda, as processes of their own."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from aws_account import REGION, Account
from scheduled_function import BUCKET, POLICY, Function

from auto_shutdown.domain.memory import Memory, from_json, to_json
from auto_shutdown.domain.scheduled import handler, package, template
from auto_shutdown.local_studio.api import Api, Fault

pytest.importorskip("awslambdaric")

from lambda_runtime import Runtime

pytestmark = pytest.mark.slow

Start = Callable[[], Runtime]


@pytest.fixture
def function(account: Account, tmp_path: Path) -> Function:
    """The function's bucket and topic. It runs in a process of its own."""
    topic = account.make_topic()
    account.session.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return Function(account, topic, tmp_path / "unused.json")


@pytest.fixture
def start(function: Function, server: Api, tmp_path: Path) -> Iterator[Start]:
    """Starts an execution environment of the function."""
    running: list[Runtime] = []
    code = package.build(POLICY)

    def begin() -> Runtime:
        environ = {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": REGION,
            handler.BUCKET: BUCKET,
            handler.TOPIC: function.topic,
        }
        running.append(Runtime(tmp_path, code, template.HANDLER, environ))
        return running[-1]

    yield begin
    for runtime in running:
        runtime.close()


def test_lambda_runs_cold_and_warm_and_is_killed_at_its_timeout(
    account: Account, function: Function, start: Start
) -> None:
    account.start("RSessionGateway", 50, "session-1", UserProfileName="cleo")
    runtime = start()
    cold = runtime.invoke({"command": "tidy"})
    assert (cold.kind, cold.body["noticed"]) == ("response", 1)
    assert "cleo: RSessionGateway session-1" in function.mails[0][1]
    function.age_notices()
    # Too little for the paced lists. On a busy machine none of it may be left at the start.
    late = runtime.invoke({"command": "tidy"}, seconds=handler.RESERVE_SECONDS + 1.2)
    assert (late.kind, late.body["errorType"]) == ("error", "RunFailedError")
    assert re.search("time of the run was over|time-out must be", late.body["errorMessage"])
    assert function.deletions() == 0
    assert function.memory().run_until is None
    warm = runtime.invoke({"command": "tidy"})
    assert (warm.kind, warm.body["attempts"]) == ("response", 1)
    assert [e["event"] for e in function.audit()] == ["notice", "delete", "outcome"]
    assert function.deletions() == 1
    report = runtime.invoke({"command": "report"})
    assert report.kind == "response"
    assert report.body["memory_mb"] < template.MEMORY / 2
    assert b"<title>" in function.read("reports/latest.html")


def test_second_lambda_run_gives_way_and_a_later_run_follows_a_killed_one(
    account: Account, function: Function, start: Start
) -> None:
    account.start("RSessionGateway", 50, "session-1", UserProfileName="cleo")
    first, second = start(), start()
    gate = threading.Event()
    original = account.api.operations.table["ListApps"]

    def wait_at_gate(request: dict[str, Any]) -> dict[str, Any]:
        gate.wait(60)
        return original(request)

    account.api.operations.table["ListApps"] = wait_at_gate
    running = first.start({"command": "tidy"})
    wait_for(lambda: account.api.count("ListApps") == 1)
    assert second.invoke({"command": "tidy"}).body["outcome"] == "gave-way"
    gate.set()
    assert running.result().body["outcome"] == "done"
    assert len(function.mails) == 1
    # The machine is lost after the audit line of a deletion and before SageMaker has the call.
    function.age_notices()
    account.api.faults.append(Fault("DeleteApp", hang=10, times=1))
    first.start({"command": "tidy"})
    wait_for(lambda: account.api.count("DeleteApp") == 1)
    first.kill()
    assert [e["event"] for e in function.audit()] == ["notice", "delete"]
    assert second.invoke({"command": "tidy"}).body["outcome"] == "gave-way"
    end_lease(function)
    # SageMaker may have got the call: the app gets a new notice first.
    assert second.invoke({"command": "tidy"}).body["noticed"] == 1
    function.age_notices()
    assert second.invoke({"command": "tidy"}).body["attempts"] == 1
    events = [(e["event"], e.get("outcome")) for e in function.audit()]
    assert events[2:] == [("notice", None), ("delete", None), ("outcome", "removed")]
    account.wait_for(lambda: account.statuses() == {"cleo/RSessionGateway": "Deleted"})
    end_lease(function)
    assert second.invoke({"command": "tidy"}).body["attempts"] == 0
    assert len(function.mails) == 2


def end_lease(function: Function) -> None:
    """The time after which a crashed run must be over has passed."""
    memory = from_json(json.loads(function.read("state.json")))
    past = datetime.now(timezone.utc) - timedelta(seconds=1)
    ended = Memory(memory.notices, memory.run, past)
    content = json.dumps(to_json(ended)).encode()
    function.s3.put_object(Bucket=BUCKET, Key="state.json", Body=content)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
