"""The recorded session of a removed kernel or terminal. Recording it delays no removal."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from value_world import START, Bench

from auto_shutdown.config.settings import FIELDS, Limits
from auto_shutdown.core.model import Terminal
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.cycle import session_recorder
from auto_shutdown.cycle.refused import RefusedError
from auto_shutdown.world.session_facts import Session

SECRET = "token = 'hunter2'"
IMAGE = "arn:aws:sagemaker:us-west-2:1:image/pytorch"


async def idle_kernel_goes(bench: Bench, **more: Any) -> None:
    app = bench.world.app("a")
    more = {"paths": ("b/train.ipynb",), "image": IMAGE, "instance_type": "ml.t3.medium", **more}
    bench.world.kernel("k", app, **more)
    bench.world.sessions.setdefault("k", Session(("x = 1", SECRET), "/home/ada/b"))
    await bench.live(timedelta(minutes=121))
    assert "k" in bench.world.removed


async def stopped(bench: Bench) -> list[dict[str, Any]]:
    answer = await bench.controller.requests.stopped()
    return list(answer["stopped"])


async def test_a_removed_kernel_can_be_brought_back(bench: Bench) -> None:
    await idle_kernel_goes(bench)
    (entry,) = await stopped(bench)
    assert (entry["kind"], entry["resource"], entry["paths"]) == ("kernel", "k", ["b/train.ipynb"])
    assert entry["kernel_name"] == f"python3__SAGEMAKER_INTERNAL__{IMAGE}"
    assert (entry["app"], entry["instance_type"]) == ("KernelGateway/a", "ml.t3.medium")
    assert (entry["directory"], entry["cells"], entry["complete"]) == ("/home/ada/b", 2, True)
    whole = await bench.controller.requests.stopped_session(entry["id"])
    assert whole["cells"] == ["x = 1", SECRET]
    await bench.controller.requests.forget_stopped(entry["id"])
    assert await stopped(bench) == []
    for call in (
        bench.controller.requests.stopped_session,
        bench.controller.requests.forget_stopped,
    ):
        with pytest.raises(RefusedError) as caught:
            await call(entry["id"])
        assert caught.value.status == 404


async def test_the_entry_of_a_terminal_has_only_its_directory(bench: Bench) -> None:
    bench.world.terminals["1"] = Terminal("1", START)
    bench.world.terminals["i"] = Terminal("i", START, environment=IMAGE)
    bench.world.sessions["1"] = Session(None, "/home/ada")
    await bench.live(timedelta(minutes=125))
    (entry,) = await stopped(bench)
    assert (entry["resource"], entry["directory"], entry["cells"]) == ("1", "/home/ada", None)


async def test_the_entry_is_written_before_the_removal(bench: Bench) -> None:
    seen: list[int] = []
    where = bench.path / "stopped-k"
    bench.world.before_remove = lambda _r: seen.append(len(list(where.glob("*.json"))))
    await idle_kernel_goes(bench)
    assert seen[0] == 1


async def test_no_code_reaches_a_log_the_report_or_the_audit_log(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await idle_kernel_goes(bench)
    assert "hunter2" not in caplog.text
    assert "hunter2" not in json.dumps(bench.controller.report())
    assert "hunter2" not in json.dumps(await bench.controller.requests.read_history(9))
    assert "hunter2" not in json.dumps(await bench.controller.requests.stopped())


async def test_a_kernel_that_was_not_removed_leaves_no_entry(bench: Bench) -> None:
    bench.world.answers["k"] = [Outcome(Result.TEMPORARY, "It failed.", "Busy", "Wait.")]
    await idle_kernel_goes(bench)
    failed = [o for o in bench.controller.report()["outcomes"] if o["outcome"] == "temporary"]
    assert failed
    assert len(await stopped(bench)) == bench.world.removed.count("k") - 1


@pytest.mark.parametrize(
    "setting", [{"remember_stopped": False}, {"dry_run": True}], ids=["off", "dry run"]
)
async def test_no_entry_is_written(setting: dict[str, Any], bench: Bench) -> None:
    defaults = {**{name: field.default for name, field in FIELDS.items()}, **setting}
    bench.limits = Limits(defaults=defaults)
    bench.controller = bench.make()
    bench.world.kernel("k", bench.world.app("a"))
    await bench.live(timedelta(minutes=125))
    assert await stopped(bench) == []


def full_disk(path: Path) -> None:
    (path / "stopped-k").write_text("a file where a directory has to be")


TROUBLE: dict[str, Any] = {
    "asking raises": lambda bench: bench.world.sessions.update(k=RuntimeError("dead")),
    "the disk refuses": lambda bench: full_disk(bench.path),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
async def test_a_failure_delays_no_removal_and_costs_no_audit_line(
    trouble: Any, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    trouble(bench)
    await idle_kernel_goes(bench)
    assert "cannot be brought back later" in caplog.text
    assert (str(bench.path / "stopped-k") in caplog.text) == (
        trouble is TROUBLE["the disk refuses"]
    )
    assert "hunter2" not in caplog.text
    newest = await bench.controller.requests.read_history(9)
    assert {e["outcome"] for e in newest} == {"removed"}
    assert not (bench.path / "stopped-k").is_dir()


async def test_stopped_sessions_that_cannot_be_read_are_an_error_and_no_empty_list(
    bench: Bench,
) -> None:
    full_disk(bench.path)
    with pytest.raises(RefusedError) as refused:
        await bench.controller.requests.stopped()
    assert refused.value.status == 507
    path = bench.path / "stopped-k"
    assert f"Cannot read {path}/*.json: Not a directory." in str(refused.value)
    assert f"Move away the file that is in the place of the directory {path}." in str(refused.value)


async def test_a_kernel_that_does_not_answer_delays_no_removal(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = asyncio.Event()

    async def hang(_resource: Any) -> Any:
        await never.wait()

    monkeypatch.setattr(session_recorder, "ASK_SECONDS", 0.01)
    monkeypatch.setattr(bench.world, "session_of", hang)
    await idle_kernel_goes(bench)
    assert await stopped(bench) == []


async def test_a_directory_that_cannot_be_read_is_reported(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(bench.controller._recorder._sessions, "entries", refuse)
    with pytest.raises(RefusedError, match="Permission denied") as caught:
        await bench.controller.requests.stopped()
    assert caught.value.status == 507


async def test_the_removal_of_the_own_app_is_distinguished_from_that_of_a_kernel(
    bench: Bench,
) -> None:
    app = bench.world.app("a", own=True)
    bench.world.kernel("k", app)
    await bench.live(timedelta(minutes=121))
    (entry,) = await stopped(bench)
    assert entry["ends_server"]
    assert app.id in bench.world.removed
