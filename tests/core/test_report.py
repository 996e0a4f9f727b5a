"""The report: its fields in one scene, and ``armed``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from planner_tables import IDLE_SCENE, WORKING, with_mark
from scene import APP, IMAGE_TERMINAL, KERNEL, NOW, POLICY, TERMINAL, Scene, ago, other

from auto_shutdown.core.faults import Fault
from auto_shutdown.core.model import Program, Unread
from auto_shutdown.core.report import Passes, build
from auto_shutdown.core.translatable import joined, sentence

HOUR = timedelta(hours=1)


def report(scene: Scene, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "now": NOW,
        "platform": {"kind": "local"},
        "passes": Passes(True, NOW, ago(minutes=1), NOW + HOUR),
        "faults": [Fault("apps", "Throttled", "It failed.", "Wait.", ago(hours=1))],
        "policy": replace(POLICY, settings={"enabled": True}),
        "bounds": {"locked": []},
        "snapshot": scene.snapshot,
        "ledger": scene.ledger,
        "plan": scene.plan(),
        "outcomes": [{"id": "x"}],
        "savings": {"removed": 1},
    }
    return build(**{**given, **changes})


def test_whole_report_of_one_scene() -> None:
    times = {"started_at": ago(hours=1), "quiet_since": ago(minutes=30)}
    found = report(Scene(programs=(Program("pts/3", "terminal", "less", **times),)))
    resources = found.pop("resources")
    assert found == {
        "version": 1,
        "now": "2026-03-29T00:59:30.000Z",
        "platform": {"kind": "local"},
        "health": {
            "state": "degraded",
            "armed": True,
            "last_pass": "2026-03-29T00:59:30.000Z",
            "last_ok_pass": "2026-03-29T00:58:30.000Z",
            "next_pass": "2026-03-29T01:59:30.000Z",
            "unsignalled_changes": 0,
            "faults": [
                {
                    "source": "apps",
                    "code": "Throttled",
                    "message": "It failed.",
                    "message_parts": [{"text": "%1", "arguments": ["It failed."]}],
                    "remedy": "Wait.",
                    "remedy_parts": [{"text": "%1", "arguments": ["Wait."]}],
                    "since": "2026-03-28T23:59:30.000Z",
                }
            ],
        },
        "policy": {"enabled": True, "locked": []},
        "unread": {},
        "programs": [
            {
                "kind": "terminal",
                "id": "pts/3",
                "name": "less",
                "started_by": "",
                "state": "running",
                "started_at": "2026-03-28T23:59:30.000Z",
                "quiet_since": "2026-03-29T00:29:30.000Z",
                "keeps_app": True,
                "reason": "background-work",
                "detail": "It runs in a terminal.",
                "detail_parts": [{"text": "It runs in a terminal.", "arguments": []}],
            }
        ],
        "keep_alive": [],
        "outcomes": [{"id": "x"}],
        "savings": {"removed": 1},
    }
    assert [row["id"] for row in resources] == [
        KERNEL.id,
        TERMINAL.id,
        IMAGE_TERMINAL.id,
        APP.id,
    ]
    assert resources[0] == {
        "kind": "kernel",
        "id": "k1",
        "name": "python3",
        "app": APP.id,
        "app_known": True,
        "paths": ["train.ipynb"],
        "state": "idle",
        "state_since": "2026-03-28T21:59:30.000Z",
        "instance_type": "ml.g5.xlarge",
        "action": "remove",
        "reason": "idle",
        "detail": "Idle 3 h of 2 h (idle_timeout_minutes). Last activity: the time that Jupyter reports.",  # noqa: E501
        "parameters": {},
        "parameter_parts": {},
        "signal": "last-activity",
        "limit_minutes": 120.0,
        "rule": "idle_timeout_minutes",
        "idle_since": "2026-03-28T21:59:30.000Z",
        "warn_at": "2026-03-28T23:59:30.000Z",
        "due_at": "2026-03-29T00:59:30.000Z",
        "kept_until": None,
        "billing": False,
    }
    terminal, app = resources[1], resources[3]
    assert (terminal["app"], terminal["paths"], terminal["state"]) == (None, [], "prompt")
    assert (app["app"], app["state"], app["billing"]) == (None, "InService", True)


@pytest.mark.parametrize(
    ("unread", "shown"),
    [
        ({"apps": Unread("apps", "NotListedYet", "", "")}, {"apps": "NotListedYet"}),
        ({"kernels": Unread("kernels", "TimedOut", "", "")}, {"kernels": "TimedOut"}),
        # The kernels were listed; only the heartbeats are not known.
        ({"kernels": Unread("heartbeats", "PermissionError", "", "")}, {}),
    ],
)
def test_unread_names_the_lists_that_are_not_current(
    unread: dict[str, Unread], shown: dict[str, str]
) -> None:
    scene = Scene()
    assert report(scene, snapshot=replace(scene.snapshot, unread=unread))["unread"] == shown


@pytest.mark.parametrize(
    ("scene", "known"),
    [
        (Scene(), True),
        (Scene(kernel=replace(KERNEL, app=None)), True),  # on the server's own host
        (Scene(kernel=replace(KERNEL, app=None, may_be_in=(APP.id,))), False),
        (Scene(kernel=replace(KERNEL, app=None, is_place_unknown=True)), False),
        (Scene(kernel=replace(KERNEL, app=None, unreadable="no model")), False),
    ],
)
def test_app_known_is_false_if_a_kernel_may_run_in_any_app(scene: Scene, known: bool) -> None:
    assert report(scene)["resources"][0]["app_known"] is known


@pytest.mark.parametrize(("app", "known"), [(APP.id, True), (None, False)])
def test_app_known_is_false_for_an_image_terminal_without_app(app: str | None, known: bool) -> None:
    rows = report(Scene(image_terminal=replace(IMAGE_TERMINAL, app=app)))["resources"]
    assert [row["app_known"] for row in rows] == [True, True, known, True]


@pytest.mark.parametrize(
    ("armed", "policy"),
    [(False, {}), (True, {"enabled": False}), (True, {"dry_run": True})],
)
def test_a_disabled_or_dry_run_server_is_not_armed(armed: bool, policy: dict[str, bool]) -> None:
    found = report(Scene(), passes=Passes(armed), policy=replace(POLICY, **policy))
    assert found["health"]["armed"] is False


@pytest.mark.parametrize(
    ("source", "blocking", "armed"),
    [
        ("stop-switch", True, False),
        ("settings", True, False),
        ("cycle", True, False),
        ("settings", False, True),
        ("app KernelGateway/x", True, True),
    ],
)
def test_a_server_is_armed_unless_a_fault_prevents_every_removal(
    source: str, blocking: bool, armed: bool
) -> None:
    fault = Fault(source, "Code", "It fails.", "Mend it.", NOW, blocking)
    found = report(Scene(), faults=(fault,))
    assert found["health"]["armed"] is armed


def test_a_resource_without_a_decision_is_not_reported() -> None:
    scene = Scene()
    assert (
        report(scene, snapshot=replace(scene.snapshot, kernels=(other(),)))["resources"][0]["kind"]
        == "terminal"
    )


def test_a_parameter_made_of_sentences_carries_them() -> None:
    used = sentence("used %1 of a core", "99%")
    mark = replace(WORKING, detail=joined(sentence("its processes"), used))
    (kernel,) = report(with_mark(IDLE_SCENE, KERNEL.ref, work=mark, quiet_since=NOW))["resources"][
        :1
    ]
    assert kernel["parameters"] == {"work": "its processes used 99% of a core"}
    assert kernel["parameter_parts"] == {
        "work": [
            {"text": "its processes", "arguments": []},
            {"text": "used %1 of a core", "arguments": ["99%"]},
        ]
    }
