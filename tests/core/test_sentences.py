"""The texts of the decisions: one sentence for each, and the signal that the decision is based
on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from planner_tables import IDLE_SCENE, KERNEL_ROWS, REMOVED_KERNEL_ROWS, WORKING
from scene import (
    APP,
    IMAGE_TERMINAL,
    KERNEL,
    NOW,
    TERMINAL,
    Scene,
    with_kernel,
    with_ledger,
    with_mark,
)
from sentence_tables import SENTENCES
from terminal_tables import REMOVED_TERMINAL_ROWS, TERMINAL_ROWS

from auto_shutdown.core.decision import Action, Decision, Reason
from auto_shutdown.core.ledger import Hold

OF = {
    id(KERNEL_ROWS): KERNEL.ref,
    id(REMOVED_KERNEL_ROWS): KERNEL.ref,
    id(TERMINAL_ROWS): TERMINAL.ref,
    id(REMOVED_TERMINAL_ROWS): TERMINAL.ref,
}


@pytest.mark.parametrize(
    ("rows", "name", "signal", "detail"), SENTENCES, ids=[f"{row[3][:40]}" for row in SENTENCES]
)
def test_sentence_and_signal_of_each_verdict(
    rows: dict[str, Any], name: str, signal: str | None, detail: str
) -> None:
    decision = rows[name][0].of(OF.get(id(rows), APP.ref))
    assert (decision.detail, decision.signal) == (detail, signal)


def test_a_kernel_removed_with_its_app_has_the_reason_of_the_app() -> None:
    assert IDLE_SCENE.of(IMAGE_TERMINAL.ref) == Decision(
        IMAGE_TERMINAL.ref,
        Action.REMOVE,
        Reason.APP_REMOVED,
        "Its app is removed: Idle 3 h of 2 h (idle_timeout_minutes). Last activity: the time that Jupyter reports.",  # noqa: E501
        None,
        IDLE_SCENE.of(APP.ref).idle_since,
        IDLE_SCENE.of(APP.ref).warn_at,
        IDLE_SCENE.of(APP.ref).due_at,
    )


def test_sentence_of_an_image_terminal_whose_app_is_kept_or_unknown() -> None:
    stays = with_kernel(IDLE_SCENE, state="busy").of(IMAGE_TERMINAL.ref)
    assert (stays.reason, stays.detail) == (
        Reason.IN_USE,
        "This server cannot see what runs in this terminal, so it stays as long as its app.",
    )
    lost = replace(IDLE_SCENE, image_terminal=replace(IMAGE_TERMINAL, app=None)).of(
        IMAGE_TERMINAL.ref
    )
    assert (lost.reason, lost.detail) == (
        Reason.UNKNOWN,
        "It is not known in which app it runs, so it is kept.",
    )


def test_sentence_of_an_app_with_background_work() -> None:
    working = with_mark(IDLE_SCENE, APP.ref, work=WORKING).of(APP.ref)
    assert (working.reason, working.detail, working.signal) == (
        Reason.BACKGROUND_WORK,
        "Something works in it: 99 % of a core.",
        "background-work",
    )


def test_sentence_of_an_image_terminal_with_a_keep_alive() -> None:
    until = NOW + timedelta(hours=1)
    kept = with_ledger(IDLE_SCENE, holds={IMAGE_TERMINAL.ref: Hold(until)}).of(IMAGE_TERMINAL.ref)
    assert kept == Decision(
        IMAGE_TERMINAL.ref,
        Action.KEEP,
        Reason.KEPT_ALIVE,
        "Kept alive on request, together with the app in which it runs.",
        kept_until=until,
    )


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"paths": ()}, "Kernel python3"),
        ({"paths": (), "name": ""}, "Kernel k1"),
        ({}, "train.ipynb"),
    ],
)
def test_a_kernel_without_a_notebook_has_a_name(changes: dict[str, Any], title: str) -> None:
    scene: Scene = with_kernel(IDLE_SCENE, state="busy", **changes)
    assert scene.of(APP.ref).detail == f"{title} is kept (busy)."
