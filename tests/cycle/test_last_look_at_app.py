"""The last look at an app: work and changes between the plan of a pass and DeleteApp."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from value_world import MINUTE, START, Bench, before_each_audit_line

from auto_shutdown.core.model import App, Departure, Kind, Ref, Resource, Terminal
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.core.signals import Signal
from auto_shutdown.cycle import one_pass
from auto_shutdown.cycle.refused import RefusedError

DENIED = Outcome(Result.PERMANENT, "Deleting app a failed.", "AccessDeniedException")


def app_of(bench: Bench, own: bool) -> App:
    """The app of this server's space, or an app that another server uses, too."""
    if not own:
        return bench.world.app("a", shared=True)
    bench.world.has_apps = False
    app = App("JupyterLab", "default", "InService", "ml.t3.medium", own=True)
    bench.world.app_list.apps = (app,)
    bench.world.apps[app.id] = app
    return app


@pytest.mark.parametrize("own", [False, True])
async def test_work_that_begins_while_the_pass_removes_a_kernel_keeps_the_app(
    bench: Bench, own: bool
) -> None:
    """A cell in another server, papermill or a job in tmux: only a query shows it."""
    app = app_of(bench, own)
    bench.world.kernel("k", app)

    def work_begins(resource: Resource) -> None:
        if resource.ref.id == "k":
            bench.world.at_work.add(app.id)

    bench.world.before_remove = work_begins
    await bench.live(126 * MINUTE)
    assert bench.world.removed == ["k"]
    assert bench.resource(app.id)["reason"] == "background-work"
    bench.world.at_work.clear()
    await bench.live(130 * MINUTE)
    assert bench.world.removed == ["k", app.id]


async def test_app_whose_work_can_no_longer_be_read_is_kept(bench: Bench) -> None:
    app = app_of(bench, own=True)
    bench.world.kernel("k", app)
    ask = bench.world.ask
    bench.world.before_remove = lambda _resource: setattr(bench.world, "ask", unread)

    async def unread(questions: dict[Ref, timedelta]) -> tuple[object, ...]:
        answers = await ask(questions)
        return tuple(replace(answer, unread=True, detail="no /proc") for answer in answers)

    await bench.live(300 * MINUTE)
    assert bench.world.removed == ["k"]


# -- image terminals -----------------------------------------------------------------------------


def with_image_terminal(bench: Bench) -> App:
    app = bench.world.app("a")
    bench.world.terminals["t"] = Terminal("t", START, environment="arn:x", app=app.id)
    return app


@pytest.mark.parametrize("requested", [False, True])
async def test_image_terminal_stays_if_its_app_cannot_be_deleted(
    bench: Bench, requested: bool
) -> None:
    app = with_image_terminal(bench)
    bench.world.answers[app.id] = [DENIED] * 9
    if requested:
        await bench.live(MINUTE)
        assert (await bench.controller.requests.remove(app.ref))["outcome"] == "permanent"
    else:
        await bench.live(126 * MINUTE)
    assert set(bench.world.removed) == {app.id}
    assert "t" in bench.world.terminals


async def entries_after_removal(
    bench: Bench, app: App, requested: bool, span: timedelta
) -> list[dict[str, Any]]:
    """The audit log after a user has requested the removal of ``app``, or else after ``span``, in
    which the passes remove it."""
    if requested:
        await bench.live(MINUTE)
        await bench.controller.requests.remove(app.ref)
    else:
        await bench.live(span)
    return await bench.controller.requests.read_history(9)


@pytest.mark.parametrize("requested", [False, True])
async def test_audit_line_of_an_app_names_the_terminals_that_end_with_it(
    bench: Bench, requested: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """They have no line of their own, and their users look for them in the log."""
    caplog.set_level(logging.INFO)
    app, other = with_image_terminal(bench), bench.world.app("b")
    bench.world.kernel("k", app)
    bench.world.terminals["u"] = Terminal(
        "u", START, environment="arn:x", may_be_in=(app.id, other.id)
    )
    entries = await entries_after_removal(bench, app, requested, 122 * MINUTE)
    lines = {entry["resource"]: entry.get("tenants", []) for entry in entries}
    assert [(t["kind"], t["resource"], t["certain"]) for t in lines[app.id]] == [
        ("terminal", "t", True),
        ("terminal", "u", False),
    ], "and not the kernel, which has a line of its own"
    assert lines["k"] == []
    assert "In it: terminal t, terminal u." in caplog.text


@pytest.mark.parametrize("requested", [False, True])
async def test_audit_line_of_an_app_names_a_kernel_that_could_not_be_shut_down(
    bench: Bench, requested: bool
) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app, paths=("train.ipynb",))
    bench.world.answers["k"] = [Outcome(Result.TEMPORARY, "It failed.", "Error")] * 9
    entries = await entries_after_removal(bench, app, requested, 180 * MINUTE)
    (line,) = (entry for entry in entries if entry["resource"] == app.id)
    (named,) = line["tenants"]
    assert (named["kind"], named["resource"], named["paths"]) == ("kernel", "k", ["train.ipynb"])


@pytest.mark.parametrize("requested", [False, True])
async def test_keep_alive_on_what_runs_in_a_deleted_app_is_refused(
    bench: Bench, requested: bool
) -> None:
    """DeleteApp has been called. If a keep-alive were accepted now, it would have no effect."""
    app = with_image_terminal(bench)
    refusals: list[str] = []
    remove = bench.world.remove

    async def asked_meanwhile(resource: Resource, *arguments: object) -> Outcome:
        outcome = await remove(resource, *arguments)  # type: ignore[arg-type]
        with pytest.raises(RefusedError) as refused:
            await bench.controller.requests.keep_alive(Ref(Kind.TERMINAL, "t"), 600)
        refusals.append(f"{refused.value.status} {refused.value}")
        return outcome

    bench.world.remove = asked_meanwhile  # type: ignore[assignment]
    await bench.live(MINUTE)
    if requested:
        await bench.controller.requests.remove(app.ref)
    else:
        await bench.live(126 * MINUTE)
    (refusal,) = refusals
    which = "terminal t" if requested else f"app {app.id}"
    assert refusal == f"409 The {which} is being shut down already."


async def test_keep_alive_on_a_terminal_that_may_be_in_another_app_is_accepted(
    bench: Bench,
) -> None:
    app, other = bench.world.app("a"), bench.world.app("b")
    bench.world.terminals["t"] = Terminal(
        "t", START, environment="arn:x", may_be_in=(app.id, other.id)
    )
    await bench.live(MINUTE)
    under_way = bench.controller.situation.removals_under_way
    under_way[app.ref] = START
    await bench.controller.requests.keep_alive(Ref(Kind.TERMINAL, "t"), 600)
    under_way[other.ref] = START
    with pytest.raises(RefusedError):
        await bench.controller.requests.keep_alive(Ref(Kind.TERMINAL, "t"), 600)


# -- the wall clock ------------------------------------------------------------------------------


class SlowAuditLine:
    """The removal of an app that waits for its audit line while passes run."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(one_pass, "REMOVAL_SECONDS", 0.01)
        self.bench, self.may_write = bench, asyncio.Event()
        before_each_audit_line(bench, self.may_write.wait)

    async def end(self, app: App) -> None:
        """Write the line, and wait until the removal has ended."""
        task = self.bench.controller._one_pass._remover._tasks.running(app.ref)
        assert task is not None
        self.may_write.set()
        await asyncio.wait_for(asyncio.shield(task), 30)


@pytest.mark.parametrize("step", [timedelta(minutes=110), timedelta(minutes=-110)])
async def test_step_of_the_wall_clock_during_the_last_look_counts_for_all_marks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: timedelta
) -> None:
    """The host is suspended, or its clock is set back."""
    line = SlowAuditLine(bench, monkeypatch)
    app, other = bench.world.app("a"), bench.world.app("b")
    await bench.live(115 * MINUTE)
    bench.world.kernel("k", other, last_activity=bench.clock.now)
    await bench.live(6 * MINUTE)
    assert bench.world.removed == []
    before = bench.controller.situation.ledger.marks[other.ref].active_at
    steps = [step]
    bench.world.before_look = lambda _ref: bench.clock.step(steps.pop() if steps else timedelta(0))
    await line.end(app)
    ledger = bench.controller.situation.ledger
    assert ledger.marks[other.ref].active_at == before + step
    assert ledger.quiet_until == bench.clock.now + 10 * MINUTE


async def test_use_since_the_last_look_counts_although_the_wall_clock_was_set_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock of the pass, the use would have been two and a half hours ago."""
    await bench.controller.load()
    await bench.controller.requests.patch_settings({"warn_minutes": 0})
    line = SlowAuditLine(bench, monkeypatch)
    app = bench.world.app("a")
    await bench.live(121 * MINUTE)
    bench.clock.step(timedelta(minutes=-150))
    used = Departure(app.id, bench.clock.now, Signal.REQUEST)
    bench.world.since_look = lambda snapshot: replace(snapshot, departures=(used,))
    # The grace period after a step must not be the reason why the app is kept.
    bench.world.before_look = lambda _ref: quiet_time_is_over(bench)
    await line.end(app)
    assert bench.world.removed == []


def quiet_time_is_over(bench: Bench) -> None:
    bench.controller.ledger_time()
    situation = bench.controller.situation
    situation.change_ledger(lambda ledger: replace(ledger, quiet_until=START - 300 * MINUTE))
