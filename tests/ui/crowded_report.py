"""Reports that no quick test could produce on a real server: many apps, odd names, every state.

A page gets them in place of the server's own (``show``); everything else in the page is real."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from lab_page import enter, open_panel

from auto_shutdown.core.translatable import Text, joined, parts_of, sentence
from auto_shutdown.local_studio.server import JupyterServerApp

#: Long, right to left, East Asian, with markup, and two of one name.
NAMES = (
    "train.ipynb",
    "exploration_of_customer_churn_with_gradient_boosting_final_v7_really_final.ipynb",
    "דוח שנתי 2026.ipynb",
    "季度报告与客户流失预测模型最终版本.ipynb",
    "تقرير المبيعات السنوي.ipynb",
    "a.ipynb",
    "b>&amp;.ipynb",
    "emoji 🚀 naïve.ipynb",
)
TYPES = (
    "ml.t3.medium",
    "ml.m5.large",
    "ml.g5.xlarge",
    "ml.c5.4xlarge",
    "ml.p4d.24xlarge",
    "ml.odd",
)


def at(now: datetime, minutes: float) -> str:
    moment = now + timedelta(minutes=minutes)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def resource(now: datetime, idle: float | None, **more: Any) -> dict[str, Any]:
    """A resource that has been idle for ``idle`` minutes of two hours. None: it runs a cell."""
    clock = {
        "idle_since": at(now, -idle) if idle is not None else None,
        "warn_at": at(now, 115 - idle) if idle is not None else None,
        "due_at": at(now, 120 - idle) if idle is not None else None,
    }
    return {
        "name": "python3",
        "app": None,
        "app_known": True,
        "paths": [],
        "state": "idle" if idle is not None else "busy",
        "state_since": at(now, -(idle or 184)),
        "instance_type": None,
        "action": "keep",
        "reason": "recent-activity" if idle is not None else "busy",
        "detail": "",
        "parameters": {} if idle is not None else {"case": "cell"},
        "signal": "request",
        "limit_minutes": 120,
        "rule": "idle_timeout_minutes",
        "kept_until": None,
        "billing": False,
        **clock,
        **more,
    }


def app(now: datetime, number: int, idle: float | None) -> dict[str, Any]:
    kind = TYPES[number % len(TYPES)]
    image = ("datascience-1-0", "pytorch-1-8-gpu-py36-cu111-ubuntu18-04", "my-company-image")[
        number % 3
    ]
    name = f"{image}-{kind.replace('.', '-')}-{number:028x}"
    found = resource(now, idle, kind="app", id=f"KernelGateway/{name}", name=name)
    return {**found, "state": "InService", "instance_type": kind, "billing": True}


def crowd(now: datetime, kernels: int = 41, apps: int = 12) -> list[dict[str, Any]]:
    """``count`` kernels in several apps, each idle for a different time."""
    found = []
    for number in range(apps):
        inside = [
            resource(
                now,
                None if n % 7 == 0 else 5 + (n * 13) % 108,
                kind="kernel",
                id=f"{n:08x}-0000-4000-8000-000000000000",
                paths=[f"{'projects/b/' if n % 2 else ''}{NAMES[n % len(NAMES)]}"],
            )
            for n in range(number, kernels, apps)
        ]
        home = app(now, number, None if any(k["idle_since"] is None for k in inside) else 30)
        if home["idle_since"] is None:
            home["reason"] = "in-use"
            home["parameters"] = {"holder_kind": "kernel", "holder_id": inside[0]["id"]}
        found += [{**k, "app": home["id"]} for k in inside] + [home]
    return found


def states(now: datetime) -> list[dict[str, Any]]:
    """One resource for each state that a user can see."""
    gpu = app(now, 2, None)
    cpu = app(now, 0, 116.5)
    gpu.update(reason="in-use", parameters={"holder_kind": "kernel", "holder_id": "busy"})

    def kernel(name: str, idle: float | None, **more: Any) -> dict[str, Any]:
        return resource(now, idle, **{"kind": "kernel", "id": name, "app": gpu["id"], **more})

    def worded(name: str, reason: str, texts: dict[str, Text], **more: str) -> dict[str, Any]:
        """A kernel with parameters that are texts of the server."""
        parts = {key: parts_of(text) for key, text in texts.items()}
        return kernel(
            name,
            None,
            paths=[f"{name}.ipynb"],
            reason=reason,
            parameters={**texts, **more},
            parameter_parts=parts,
        )

    none = {"idle_since": None, "warn_at": None, "due_at": None}
    gone = app(now, 1, None)
    gone.update(state="Deleting", reason="not-in-service", parameters={"status": "Deleting"})
    return [
        kernel("busy", None, paths=["train.ipynb"]),
        kernel("idle", 100, paths=["a/eval.ipynb"]),
        kernel(
            "vetoed",
            130,
            paths=["b/eval.ipynb"],
            reason="vetoed",
            parameters={"hook": "backup", "text": "the nightly copy runs"},
        ),
        kernel("kept", 30, paths=["hold.ipynb"], reason="kept-alive", kept_until=at(now, 200)),
        kernel("odd", None, paths=["odd.ipynb"], reason="unknown", parameters={"case": "frozen"}),
        kernel("stuck", None, paths=["stuck.ipynb"], reason="suspect-busy",
               parameters={"case": "cell", "silent_since": at(now, -500)}),
        kernel("ending", 121, paths=["ending.ipynb"], reason="shutting-down",
               parameters={"since": at(now, -1)}),
        worded("working", "background-work", {"work": joined(
            sentence("its processes"), sentence("used %1 of a core", "11%"))}),
        worded("refused", "unknown", {"error": sentence("it cannot be reached (%1)", "HTTP 404")},
               case="refused"),
        kernel("input", None, paths=["ask.ipynb"], parameters={"case": "input"}),
        resource(
            now,
            None,
            kind="terminal",
            id="arn:aws:sagemaker:us-west-2:1:image/pytorch-1.8__1__ml.g5.xlarge",
            app=gpu["id"],
            reason="in-use",
            parameters={},
        ),
        gpu,
        kernel("soon", 116.5, paths=["report.ipynb"], app=cpu["id"]),
        cpu,
        gone,
        resource(now, None, kind="terminal", id="1", name="1", reason="running-job",
                 parameters={"command": "python3 train.py --epochs 100"}),
        resource(now, 30, kind="terminal", id="2", name="2"),
        {**resource(now, 1, kind="terminal", id="3", name="3"), **none, "reason": "disabled"},
    ]  # fmt: skip


def fault(now: datetime) -> dict[str, Any]:
    """A fault as a server reports it."""
    message = joined(
        sentence("Cannot write %1: %2.", "/home/sagemaker-user/.auto", "No space left on device"),
        sentence("The previous settings still apply."),
    )
    remedy = sentence("The next pass tries again.")
    return {
        "source": "settings",
        "code": "StateFile",
        "message": message,
        "message_parts": parts_of(message),
        "remedy": remedy,
        "remedy_parts": parts_of(remedy),
        "since": at(now, -3),
    }


def outcomes(now: datetime) -> list[dict[str, Any]]:
    def outcome(minutes: float, **more: Any) -> dict[str, Any]:
        given = {
            "at": at(now, -minutes), "kind": "kernel", "outcome": "removed", "reason": "idle",
            "detail": "Idle 2 h of 2 h.", "name": "python3", "paths": [], "app": None,
            "rule": "idle_timeout_minutes", "idle_since": at(now, -minutes - 120),
        }  # fmt: skip
        return {**given, **more}

    failure = sentence("Deleting app %1 failed: %2.", "tensorflow-2-3", "AccessDenied")
    logged = sentence("The server closed the terminal, but its manager still lists it.")
    return [
        outcome(3, id="o1", paths=["busy.ipynb"], reason="requested", idle_since=None),
        outcome(20, id="o2", paths=["a/eval-old.ipynb"]),
        outcome(40, id="o3", paths=["b/eval-old.ipynb"]),
        outcome(60, kind="app", id="o4", name="tensorflow-2-3-ml-m5-large-" + "0" * 28,
                outcome="permanent", detail=failure, detail_parts=parts_of(failure)),
        outcome(90, kind="terminal", id="t9", name="t9", outcome="still-there",
                outcome_detail=logged, outcome_detail_parts=parts_of(logged)),
        outcome(600, kind="terminal", id="3", name="3"),
        outcome(1500, id="o5", paths=["report-old.ipynb"]),
        outcome(7000, id="o6", paths=["explore.ipynb"]),
    ]  # fmt: skip


def programs(now: datetime) -> list[dict[str, Any]]:
    """A program of another server in the app, as a server reports it."""
    detail = joined(
        sentence("It runs a cell, but has shown no sign of work for %1.", timedelta(hours=9)),
        sentence("It keeps the app; the administrator's max_busy_minutes could end that."),
    )
    return [
        {
            "kind": "kernel", "id": "p1", "name": "python3", "started_by": "papermill",
            "state": "busy", "started_at": at(now, -600), "quiet_since": at(now, -540),
            "keeps_app": True, "reason": "suspect-busy",
            "detail": detail, "detail_parts": parts_of(detail),
        }
    ]  # fmt: skip


def brought_back(now: datetime) -> dict[str, Any]:
    """The stored entries with which the panel can bring back these outcomes."""
    entries = [
        {
            "id": f"e-{of['id']}", "stop": f"s-{of['id']}", "at": of["at"], "kind": "kernel",
            "resource": of["id"], "name": "python3", "kernel_name": "python3", "paths": of["paths"],
            "instance_type": None, "directory": None, "ends_server": False, "cells": 3,
            "complete": True,
        }
        for of in outcomes(now)
        if of["id"] in ("o2", "o5")
    ]  # fmt: skip
    return {"stopped": entries, "server_started": at(now, -600)}


def report_with(base: dict[str, Any], now: datetime, **changes: Any) -> dict[str, Any]:
    """``base``, a report of a real server, as of Studio Classic and with ``changes``."""
    today = now.date()
    days = [
        {"day": (today - timedelta(days=back)).isoformat(), "instance_hours": hours,
         "usd": round(hours * 1.41, 2), "unpriced_hours": 0}
        for back, hours in enumerate((3, 8, 0.5, 0, 12, 6, 4.2))
    ]  # fmt: skip
    prices = {"ml.t3.medium": 0.05, "ml.m5.large": 0.115, "ml.g5.xlarge": 1.41}
    prices["ml.p4d.24xlarge"] = 25.251
    return {
        **base,
        "now": at(now, 0),
        "platform": {**base["platform"], "kind": "studio-classic"},
        "savings": {
            **base["savings"],
            "since": at(now, -60 * 24 * 40),
            "days": days,
            "usd_per_hour": prices,
        },
        **changes,
    }


def show(page: Any, base: dict[str, Any], **changes: Any) -> None:
    """Answer the requests of ``page`` with these reports from the next request on. Each report is
    made for the moment of the request. A change may be a function of that moment."""

    def answer(route: Any) -> None:
        now = datetime.now(timezone.utc)
        made = {name: value(now) if callable(value) else value for name, value in changes.items()}
        route.fulfill(json=json.loads(json.dumps(report_with(base, now, **made))))

    page.route("**/auto-shutdown/status*", answer)
    page.route("**/auto-shutdown/check*", answer)
    stopped = brought_back(datetime.now(timezone.utc))
    page.route("**/auto-shutdown/stopped*", lambda route: route.fulfill(json=stopped))


def shown(pages: Any, server: JupyterServerApp, resources: Any, **how: Any) -> Any:
    """A page whose open panel shows a report with these resources."""
    page = pages.new_page(**how)
    show(page, server.status(), resources=resources, outcomes=outcomes)
    enter(page, server)
    open_panel(page)
    return page
