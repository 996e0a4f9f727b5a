"""What the models of kernels show while this extension asks them something, and after that."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from one_kernel import MODEL, FakeShells, Manager, decided

from auto_shutdown.core.advance import advance
from auto_shutdown.core.answers import record_answers
from auto_shutdown.core.ledger import Ledger
from auto_shutdown.core.model import App, Kernel, Snapshot
from auto_shutdown.core.outcome import Result
from auto_shutdown.core.signals import Signal
from auto_shutdown.world import kernel_shutdown
from auto_shutdown.world.kernel_usage import Usage
from auto_shutdown.world.own_questions import OwnQuestions
from auto_shutdown.world.shell_probe import ShellAnswer
from auto_shutdown.world.world import World

BEFORE = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
AFTER = BEFORE + timedelta(minutes=30)
IDLE = Kernel("k", state="idle", last_activity=BEFORE, connections=1)
ASKED = {
    "last_activity": AFTER.isoformat().replace("+00:00", "Z"),
    "execution_state": "busy",
    "connections": 1,
}


@pytest.mark.parametrize(
    ("before", "now", "shown"),
    [
        (IDLE, {"last_activity": AFTER}, IDLE),
        (IDLE, {"state": "busy"}, IDLE),
        (IDLE, {"connections": 2}, IDLE),
        (IDLE, {"last_activity": AFTER, "state": "busy", "connections": 5}, IDLE),
        (IDLE, {"connections": 0}, replace(IDLE, connections=0)),  # a client has left
        (IDLE, {"state": "dead"}, replace(IDLE, state="dead")),
        (replace(IDLE, state="busy"), {"state": "busy"}, replace(IDLE, state="busy")),
        (replace(IDLE, state="busy"), {"state": "idle"}, IDLE),
        (replace(IDLE, state="starting"), {"state": "busy"}, replace(IDLE, state="starting")),
        (IDLE, {"unreadable": "no model"}, replace(IDLE, unreadable="no model")),
    ],
)
def test_model_during_a_question_and_after_it(
    before: Kernel, now: dict[str, Any], shown: Kernel
) -> None:
    questions = OwnQuestions()
    described, another = replace(before, **now), replace(IDLE, id="another", state="busy")
    with questions.to([before]):
        assert questions.without(described) == shown
        assert questions.without(another) == another
    assert questions.without(described) == described


def test_second_question_shows_the_kernel_as_before_the_first_until_both_have_ended() -> None:
    questions = OwnQuestions()
    described = replace(IDLE, last_activity=AFTER, state="busy")
    with questions.to([IDLE]):
        with questions.to([described]):
            assert questions.without(described) == IDLE
        assert questions.without(described) == IDLE
    assert questions.without(described) == described


def test_question_ends_with_an_error() -> None:
    questions = OwnQuestions()
    with pytest.raises(ZeroDivisionError), questions.to([IDLE]):
        raise ZeroDivisionError
    used = replace(IDLE, last_activity=AFTER)
    assert questions.without(used) == used


async def test_pass_beside_a_removal_sees_the_kernel_as_before_the_question(
    world: World, manager: Manager, shells: FakeShells
) -> None:
    kernel = await decided(world)
    seen: list[Kernel] = []
    real = shells.ask

    async def ask(kernel_id: str) -> Usage:
        manager.model = {**MODEL, **ASKED}
        seen.extend((await world.observe(False)).kernels)
        manager.model["execution_state"] = "idle"
        return await real(kernel_id)

    shells.ask = ask  # type: ignore[method-assign]
    shells.answer = Usage(shell=ShellAnswer(True), stamps={"last-activity": AFTER})
    outcome = await world.remove(kernel, only_unmoved=True, still_removable=lambda: False)
    assert seen == [kernel]
    assert outcome.result is Result.STALE
    # The question is no activity afterwards, either.
    (later,) = (await world.observe(False)).kernels
    assert later.last_activity == kernel.last_activity


@pytest.mark.parametrize(
    "shown", [{"execution_state": "busy"}, {"last_activity": ASKED["last_activity"]}]
)
async def test_removal_sees_the_cell_of_another_client_while_a_query_is_in_progress(
    shown: dict[str, Any],
    world: World,
    manager: Manager,
    shells: FakeShells,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cell begins after the shell has answered the removal."""
    monkeypatch.setattr(kernel_shutdown, "SETTLE_SECONDS", 0.0)
    kernel = await decided(world)
    shells.meanwhile = lambda: manager.model.update(shown)
    with world.asking([kernel.ref]):
        outcome = await world.remove(kernel, only_unmoved=True)
    assert (outcome.result, manager.shut_down) == (Result.STALE, [])


@pytest.mark.parametrize("kernel_url", [None, "http://gateway/api/kernels/k"])
async def test_queries_after_a_removal_that_was_not_carried_out_are_no_activity(
    kernel_url: str | None,
    world: World,
    manager: Manager,
    shells: FakeShells,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The question for the cells moves the stamp of every kernel. Later queries need not move it:
    from jupyter_server 2.15 on, kernel_info_request does not."""
    its_manager = SimpleNamespace(kernel_url=kernel_url)
    monkeypatch.setattr(manager, "get_kernel", lambda _id: its_manager)
    kernel = await decided(world)
    at = AFTER

    async def ask_history(kernel_id: str) -> Usage:
        manager.model.update(last_activity=ASKED["last_activity"])
        return Usage(shell=ShellAnswer(True), stamps={Signal.LAST_ACTIVITY: AFTER})

    shells.ask_history = ask_history
    shells.answer = Usage(shell=ShellAnswer(True), stamps={Signal.LAST_ACTIVITY: AFTER})
    ledger = advance(Ledger(at), await world.observe(False), at)
    await world.session_of(kernel)
    for _ in range(2):
        at += timedelta(minutes=1)
        ledger = advance(ledger, await world.observe(False), at)
        with world.asking([kernel.ref]):
            answers = await world.ask({kernel.ref: timedelta(minutes=1)})
            ledger = record_answers(ledger, answers, at)
    ledger = advance(ledger, await world.observe(False), at)
    assert shells.asked == ["k", "k"]
    assert ledger.marks[kernel.ref].active_at == BEFORE


@pytest.mark.parametrize("through", ["kernel", "app"])
async def test_nobody_sees_what_the_query_of_a_pass_changes_until_its_answer_is_recorded(
    world: World, manager: Manager, through: str
) -> None:
    app = App("KernelGateway", "a", "InService")
    kernel = replace(await decided(world), app=app.id)
    world._last = Snapshot((kernel,), (), (app,))
    with world.asking([app.ref if through == "app" else kernel.ref]):
        manager.model = {**MODEL, **ASKED}
        (during,) = (await world.look_again(kernel.ref)).kernels
    (after,) = (await world.observe(False)).kernels
    assert replace(during, app=app.id) == kernel
    assert (after.last_activity, after.state) == (AFTER, "busy")
