"""A query to another Jupyter server moves the time stamps of its kernels. That is no activity."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from auto_shutdown.world import other_servers, questions_to_servers
from auto_shutdown.world.other_servers import UnansweredError
from auto_shutdown.world.questions_to_servers import QuestionsToServers
from auto_shutdown.world.server_files import OtherServer

EARLY, LATE = (datetime(2026, 1, 1, hour, tzinfo=timezone.utc) for hour in (10, 11))


class TestStamps:
    async def test_stamp_moved_by_a_query_to_another_server_is_not_activity(
        self, monkeypatch: Any
    ) -> None:
        server = OtherServer(500, "http://x/")
        begun = datetime.now(timezone.utc)
        used, ours, used_again = (begun + timedelta(seconds=seconds) for seconds in (-60, 0.1, 60))
        kernel = other_servers.Tenant(server, "k", "R", "kernel", used, asking_moves_stamp=True)
        answers = [kernel, *[replace(kernel, active_at=ours)] * 2]

        async def tenants(_server: OtherServer) -> list[other_servers.Tenant]:
            return [answers.pop(0)]

        monkeypatch.setattr(other_servers, "tenants_of", tenants)
        monkeypatch.setattr(questions_to_servers, "REST_SECONDS", 0.0)
        questions = QuestionsToServers()
        await questions.asked([kernel], begun)
        assert answers == [], "it was looked at until the stamp was at rest"
        assert questions.without(replace(kernel, active_at=ours)) == kernel
        for other in (used_again, None):
            assert questions.without(replace(kernel, active_at=other)).active_at == other
        elsewhere = replace(kernel, id="l", active_at=ours)
        assert questions.without(elsewhere) == elsewhere

    async def test_server_that_no_longer_answers_does_not_affect_the_stamps_of_others(
        self, monkeypatch: Any
    ) -> None:
        begun = datetime.now(timezone.utc)
        used, ours = begun - timedelta(minutes=1), begun + timedelta(seconds=0.1)
        kernels = [
            other_servers.Tenant(
                OtherServer(500 + n, f"http://{n}/"),
                "k",
                "R",
                "kernel",
                used,
                asking_moves_stamp=True,
            )
            for n in range(4)
        ]

        async def tenants(server: OtherServer) -> list[other_servers.Tenant]:
            if server is kernels[0].server or server is kernels[1].server:
                raise UnansweredError("timed out")
            return [replace(k, active_at=ours) for k in kernels if k.server is server]

        monkeypatch.setattr(other_servers, "tenants_of", tenants)
        monkeypatch.setattr(questions_to_servers, "REST_SECONDS", 0.0)
        questions = QuestionsToServers()
        await questions.asked(kernels, begun)
        for kernel in kernels[2:]:
            assert questions.without(replace(kernel, active_at=ours)) == kernel

    @pytest.mark.parametrize("seconds", [-1.0, 1.0])
    async def test_stamp_moved_beside_a_query_is_activity(
        self, seconds: float, monkeypatch: Any
    ) -> None:
        server, begun = OtherServer(500, "http://x/"), datetime.now(timezone.utc)
        before, after = begun - timedelta(minutes=1), begun + timedelta(seconds=seconds)
        kernel = other_servers.Tenant(server, "k", "R", "kernel", before, asking_moves_stamp=True)

        async def tenants(_server: OtherServer) -> list[other_servers.Tenant]:
            return [replace(kernel, active_at=after)]

        monkeypatch.setattr(other_servers, "tenants_of", tenants)
        monkeypatch.setattr(questions_to_servers, "REST_SECONDS", 0.0)
        questions = QuestionsToServers()
        await questions.asked([kernel], begun)
        used = replace(kernel, active_at=after)
        assert questions.without(used) == used
