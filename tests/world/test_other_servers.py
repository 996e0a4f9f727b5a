"""The queries to other Jupyter servers of this host, and their effect on the own app."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from process_table import SERVER, process

from auto_shutdown.core.model import App
from auto_shutdown.core.signals import Signal
from auto_shutdown.world import other_servers
from auto_shutdown.world.attribution import Attribution
from auto_shutdown.world.foreign_kernels import ForeignKernel
from auto_shutdown.world.local_work import LocalWork, Others, Question
from auto_shutdown.world.other_servers import Tenant, UnansweredError
from auto_shutdown.world.outside_programs import ProgramWatch
from auto_shutdown.world.process_survey import Survey
from auto_shutdown.world.server_files import OtherServer
from auto_shutdown.world.shell_probe import ShellAnswer

EARLY, LATE = (datetime(2026, 1, 1, hour, tzinfo=timezone.utc) for hour in (10, 11))


def answer_with(monkeypatch: Any, answers: dict[str, Any]) -> None:
    """Let each other server answer with these values, by path. If a value is an exception, the
    server raises it. A path without a value gets 404."""

    async def get(_server: OtherServer, path: str) -> Any:
        if path not in answers:
            raise UnansweredError("HTTP 404", 404)
        if isinstance(answers[path], Exception):
            raise answers[path]
        return answers[path]

    monkeypatch.setattr(other_servers, "_get", get)


class TestOtherServers:
    async def test_other_server_is_asked_for_its_report_and_then_for_its_models(
        self, monkeypatch: Any
    ) -> None:
        at = datetime(2026, 1, 1, tzinfo=timezone.utc)
        stamp = "2026-01-01T00:00:00Z"
        row = {"kind": "kernel", "id": "k", "name": "python3", "app": "KernelGateway/a"}
        answers: dict[str, Any] = {
            "auto-shutdown/status?panel=false": {
                "now": stamp,
                "health": {"last_pass": stamp, "last_ok_pass": stamp, "next_pass": stamp},
                "resources": [
                    {**row, "idle_since": stamp, "kept_until": None},
                    {**row, "idle_since": None, "kept_until": None},
                    {**row, "idle_since": stamp, "kept_until": stamp},
                    {"kind": "app", "id": "x"},
                ],
            },
            "api/kernels?no_track_activity=1": [
                {"id": "k", "name": "R", "last_activity": stamp, "execution_state": "idle"},
                {"id": "l", "name": "R", "last_activity": stamp, "execution_state": "busy"},
            ],
            "api/terminals?no_track_activity=1": [{"name": "1", "last_activity": stamp}],
            "api": {"version": "2.14.2"},
        }

        answer_with(monkeypatch, answers)
        server = OtherServer(500, "http://x/")
        judged = await other_servers.tenants_of(server)
        assert [t.active_at for t in judged] == [at, None, None]
        assert {(t.app, t.is_judged) for t in judged} == {("a", True)}
        del answers["auto-shutdown/status?panel=false"]
        plain = await other_servers.tenants_of(server)
        assert [(t.id, t.active_at, t.asking_moves_stamp) for t in plain] == [
            ("k", at, True),
            ("l", None, True),
            ("1", at, False),
        ]
        for version, older in (("2.15.0", False), ("3.0.1", False), ("6.5.7", True)):
            answers["api"]["version"] = version
            assert (await other_servers.tenants_of(server))[0].asking_moves_stamp is older
        terminals = answers.pop("api/terminals?no_track_activity=1")
        assert [t.id for t in await other_servers.tenants_of(server)] == ["k", "l"]
        for failure in (UnansweredError("HTTP 500", 500), UnansweredError("timed out")):
            answers["api/terminals?no_track_activity=1"] = failure
            with pytest.raises(UnansweredError):
                await other_servers.tenants_of(server)
        answers["api/terminals?no_track_activity=1"] = terminals
        for wrong in ([{"id": "k", "last_activity": "yesterday"}], {"message": "no"}, [7]):
            answers["api/kernels?no_track_activity=1"] = wrong
            with pytest.raises(UnansweredError):
                await other_servers.tenants_of(server)

    @pytest.mark.parametrize(
        ("health", "judged"),
        [
            ({}, True),
            ({"next_pass": "2026-01-01T12:58:30Z"}, True),  # a pass of 90 seconds is under way
            ({"next_pass": "2026-01-01T12:58:00Z"}, False),  # it hangs
            ({"last_ok_pass": "2026-01-01T12:59:00Z"}, False),  # the last one failed
            ({"last_ok_pass": None}, False),
            ({"last_pass": None}, False),
            ({"next_pass": None}, False),
        ],
        ids=str,
    )
    async def test_an_old_report_of_another_server_is_ignored(
        self, monkeypatch: Any, health: dict[str, Any], judged: bool
    ) -> None:
        """The passes of the other server hang or fail. One kernel has run a cell since the report
        was made. A keep-alive keeps its other kernel for some time."""
        now, until = "2026-01-01T13:00:00Z", "2026-01-01T14:00:00Z"
        usual = {"last_pass": now, "last_ok_pass": now, "next_pass": now}
        row = {"kind": "kernel", "name": "R", "idle_since": "2026-01-01T10:00:00Z"}
        rows = [
            {**row, "id": "busy", "app": "KernelGateway/a"},
            {**row, "id": "kept", "kept_until": until, "app": "JupyterServer/default"},
            {**row, "id": "no longer kept", "kept_until": now},
            {**row, "id": "gone", "idle_since": None},
        ]
        model = {"name": "R", "execution_state": "idle", "last_activity": "2026-01-01T11:00:00Z"}
        answers: dict[str, Any] = {
            "auto-shutdown/status?panel=false": {
                "now": now,
                "health": {**usual, **health},
                "resources": rows,
            },
            "api/kernels?no_track_activity=1": [
                {**model, "id": "busy", "execution_state": "busy"},
                {**model, "id": "kept"},
                {**model, "id": "no longer kept"},
                {**model, "id": "new"},
            ],
            "api/terminals?no_track_activity=1": [],
            "api": {"version": "2.17.0"},
        }

        answer_with(monkeypatch, answers)
        tenants = await other_servers.tenants_of(OtherServer(500, "http://x/"))
        ids = "busy", "kept", "no longer kept", "gone" if judged else "new"
        assert tuple(tenant.id for tenant in tenants) == ids
        assert {tenant.is_judged for tenant in tenants} == {judged}
        if not judged:
            at = datetime(2026, 1, 1, 11, tzinfo=timezone.utc)
            assert [tenant.active_at for tenant in tenants] == [None, None, at, at]
            assert [(t.app, t.is_here) for t in tenants[:2]] == [("a", False), (None, True)]

    @pytest.mark.parametrize(
        ("row", "model", "in_app_a"),
        [
            ({}, {}, "unread"),
            ({"app": None}, {}, "unread"),  # its app is unknown
            ({}, {"last_activity": "2026-01-01T12:59:59Z"}, "unread"),  # perhaps by usage_request
            ({"kept_until": "2026-01-01T12:59:00Z"}, {}, "unread"),  # no longer kept
            ({}, {"execution_state": "busy"}, "working"),
            ({"kept_until": "2026-01-01T14:00:00Z"}, {}, "working"),
            ({"idle_since": "2026-01-01T11:00:00Z"}, {}, "unread"),  # a cell may have begun since
            ({}, {"execution_state": "dead"}, "idle"),
            ({"app": "KernelGateway/b"}, {}, "idle"),
            ({"app": "JupyterServer/default"}, {}, "idle"),  # on this host: its shell is asked
        ],
        ids=str,
    )
    async def test_an_old_report_does_not_show_that_a_kernel_is_idle(
        self, monkeypatch: Any, row: dict[str, Any], model: dict[str, Any], in_app_a: str
    ) -> None:
        """The kernel may run a silent cell beside an answered request. Jupyter's state is then
        idle."""
        now, last = "2026-01-01T13:00:00Z", "2026-01-01T12:50:00Z"
        usual = {"kind": "kernel", "id": "k", "name": "R", "app": "KernelGateway/a"}
        state = {"execution_state": "idle", "last_activity": "2026-01-01T11:00:00Z"}
        answers: dict[str, Any] = {
            "auto-shutdown/status?panel=false": {
                "now": now,
                "health": {"last_pass": last, "last_ok_pass": last, "next_pass": last},
                "resources": [{**usual, "idle_since": None, **row}],
            },
            "api/kernels?no_track_activity=1": [{"id": "k", "name": "R", **state, **model}],
            "api/terminals?no_track_activity=1": [],
            "api": {"version": "2.17.0"},
        }

        answer_with(monkeypatch, answers)
        tenants = await other_servers.tenants_of(OtherServer(500, "http://x/"))
        app = App("KernelGateway", "a", "InService", shared=True)
        own = App("JupyterServer", "default", "InService", own=True)
        work = LocalWork(lambda: 0.0, SERVER, ProgramWatch())
        kernel = ForeignKernel(process(500, 1), Path("/r/kernel-k.json"), "", None)
        survey, others = Survey({}, Attribution()), Others({kernel: ShellAnswer(True)}, tenants)
        answer = work.judge(Question(app.ref, app, 60.0, None), survey, others)
        assert answer.working is (in_app_a == "working")
        assert answer.unread is (in_app_a == "unread")
        if answer.unread:
            assert "may run a cell, and the report of that server is old" in answer.detail
        assert not work.judge(Question(own.ref, own, 60.0, None), survey, others).unread

    @pytest.mark.parametrize(
        ("state", "app", "expected"),
        [
            ("busy", "a", "working"),
            # Jupyter's state is that of the kernel's last message: a cell may run.
            ("idle", "a", "unread"),
            ("starting", "a", "unread"),
            ("unknown", "a", "unread"),
            (None, "a", "unread"),
            ("idle", None, "unread"),  # its app is unknown
            ("dead", "a", "idle"),
            ("idle", "b", "idle"),
        ],
    )
    @pytest.mark.parametrize("is_here", [False, True])
    async def test_state_in_a_server_without_the_extension_does_not_show_that_a_kernel_is_idle(
        self, monkeypatch: Any, state: str | None, app: str | None, expected: str, is_here: bool
    ) -> None:
        """If the kernel runs on this host, its app is the own one, and its shell is asked."""
        model = {"name": "R", "execution_state": state, "last_activity": "2026-01-01T11:00:00Z"}
        ids = {"asked": {"id": "k"}, "in a container": {"id": "l", "app_name": app}}
        answers: dict[str, Any] = {
            "api/kernels?no_track_activity=1": [
                {**model, **ids["asked" if is_here else "in a container"]}
            ],
            "api/terminals?no_track_activity=1": [{"name": "1", "last_activity": None}],
            "api": {"version": "2.17.0"},
        }
        answer_with(monkeypatch, answers)
        (tenant, _) = await other_servers.tenants_of(OtherServer(500, "http://x/"))
        kernel = ForeignKernel(process(500, 1), Path("/r/kernel-k.json"), "", None)
        work = LocalWork(lambda: 0.0, SERVER, ProgramWatch())
        gateway = App("KernelGateway", "a", "InService", shared=True)
        own = App("JupyterLab", "default", "InService", own=True)
        survey = Survey({}, Attribution(), kernels=(kernel,))
        others = Others({kernel: ShellAnswer(True)}, [tenant])
        found = {
            each: work.judge(Question(each.ref, each, 60.0, None), survey, others)
            for each in (gateway, own)
        }
        if is_here:
            assert found[own].working is (state == "busy")
            assert not any(answer.unread for answer in found.values())
            return
        assert found[gateway].working is (expected == "working")
        assert found[gateway].unread is (expected == "unread")
        assert found[own].unread is (expected == "unread" and app is None)
        if expected == "unread":
            assert "lacks this extension" in found[gateway].detail
            assert "shut the kernel down" in found[gateway].detail

    @pytest.mark.parametrize(
        ("tenant", "inside"),
        [
            ({"app": "a"}, True),
            ({"app": "b"}, False),
            ({}, True),  # its app is unknown
            ({"is_here": True}, False),
            ({"id": "on this host"}, False),
            ({"kind": "terminal"}, False),
            ({"kind": "terminal", "id": "arn:aws:sagemaker:x__y__ml.t3.medium"}, True),
        ],
        ids=str,
    )
    def test_a_busy_kernel_whose_app_is_unknown_keeps_each_app(
        self, tenant: dict[str, Any], inside: bool
    ) -> None:
        server = OtherServer(500, "http://x/")
        busy = Tenant(server, id="k", name="R", kind="kernel", active_at=None)
        kernel = ForeignKernel(process(500, 1), Path("/r/kernel-on this host.json"), "", None)
        app = App("KernelGateway", "a", "InService", shared=True)
        answer = LocalWork(lambda: 0.0, SERVER, ProgramWatch()).judge(
            Question(app.ref, app, 60.0, None),
            Survey({}, Attribution(), kernels=(kernel,)),
            Others({}, [replace(busy, **tenant)]),
        )
        assert answer.working is inside

    @pytest.mark.parametrize(
        ("tenants", "failure", "expected"),
        [
            ([], "", (False, False, None)),
            ([{"active_at": None}], "", (True, False, None)),
            ([{"active_at": None, "kind": "terminal"}], "", (True, False, None)),
            ([{"active_at": None, "is_here": True}], "", (True, False, None)),
            ([{"active_at": None, "app": "a"}], "", (False, False, None)),  # not on this host
            ([{"active_at": EARLY}, {"active_at": LATE}], "", (False, False, LATE)),
            ([{"active_at": LATE}, {"active_at": EARLY}], "", (False, False, LATE)),
            ([{"active_at": EARLY}, {"active_at": None}], "", (True, False, None)),
            ([{"active_at": LATE, "is_judged": False}], "", (False, True, LATE)),
            ([], "it does not answer", (False, True, None)),
            ([{"active_at": None}], "it does not answer", (False, True, None)),
        ],
        ids=str,
    )
    def test_kernels_and_terminals_of_another_server_count_for_the_own_app(
        self,
        tenants: list[dict[str, Any]],
        failure: str,
        expected: tuple[bool, bool, datetime | None],
    ) -> None:
        server = OtherServer(500, "http://x/")
        usual: dict[str, Any] = {"id": "k", "name": "R", "kind": "kernel", "is_judged": True}
        found = [Tenant(server, **{**usual, **changes}) for changes in tenants]
        own = App("JupyterLab", "default", "InService", own=True)
        answer = LocalWork(lambda: 0.0, SERVER, ProgramWatch()).judge(
            Question(own.ref, own, 60.0, None),
            Survey({}, Attribution()),
            Others({}, found, failure),
        )
        used_at = answer.activity.get(Signal.OTHER_SERVER)
        assert (answer.working, answer.unread, used_at) == expected
