"""The report line: when it is written, and its content."""

from __future__ import annotations

import json
import logging
import os
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from value_world import MINUTE, START, Bench

from auto_shutdown.config.settings import Limits
from auto_shutdown.core.model import Terminal
from auto_shutdown.cycle import report_line
from auto_shutdown.cycle.report_line import MOST_BYTES, encode
from auto_shutdown.domain.report_lines import parse, server_report

DEFAULTS = Limits().defaults
STREAM = re.compile(r"(?P<domain>[^/]+)/(?P<owner>[^/]+)/(?P<type>[^/]+)/(?P<name>[^/]+)")


class Lines(list[Any]):
    def write(self, text: bytes) -> None:
        assert text.count(b"\n") == 1
        self.append(json.loads(text))


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    found = Lines()
    monkeypatch.setattr(report_line, "_InBackground", lambda: found)
    return found


def reporting(bench: Bench, **more: Any) -> None:
    defaults = {**DEFAULTS, "dry_run": more.pop("dry_run", False)}
    bench.limits = Limits(report_to_log=True, defaults=defaults, **more)
    bench.controller = bench.make()


async def test_no_line_is_written_unless_report_to_log_is_on(bench: Bench, lines: Lines) -> None:
    bench.controller = bench.make()
    await bench.live(60 * MINUTE)
    assert lines == []


async def test_a_line_is_written_on_each_change_and_at_least_every_15_minutes(
    bench: Bench, lines: Lines
) -> None:
    reporting(bench)
    app = bench.world.app("one")
    bench.world.kernel("k", app)
    await bench.live(46 * MINUTE)
    assert len(lines) == 4
    assert {line["auto_shutdown_report"] for line in lines} == {1}
    bench.world.app("two")
    bench.controller.panel_asked()
    await bench.live(2 * MINUTE)
    assert len(lines) == 5
    assert [a["name"] for a in lines[-1]["apps"]] == ["one", "two"]


async def test_a_change_within_a_minute_of_the_last_line_is_written_after_that_minute(
    bench: Bench, lines: Lines
) -> None:
    reporting(bench)
    await bench.controller.check()
    bench.world.app("one")
    bench.clock.advance(timedelta(seconds=10))
    await bench.controller.check(list_apps=True)
    assert len(lines) == 1
    bench.clock.advance(timedelta(seconds=51))
    await bench.controller.check()
    assert len(lines) == 2
    assert lines[-1]["apps"][0]["name"] == "one"


async def test_the_line_has_names_only_if_report_to_log_names_is_on(
    bench: Bench, lines: Lines
) -> None:
    bench.world.kernel("k", None, paths=("secret/plan.ipynb",))
    job = Terminal("1", running_job="mysql -psecret", last_activity=START)
    bench.world.terminals["1"] = job
    reporting(bench)
    await bench.controller.check()
    assert "secret" not in json.dumps(lines)
    assert lines[0]["reasons"]["terminal"] == {"running-job": 1}
    reporting(bench, report_to_log_names=True)
    await bench.controller.check()
    assert "secret/plan.ipynb" in json.dumps(lines[-1])


async def test_the_line_has_the_removals_and_savings_of_a_rehearsal(
    bench: Bench, lines: Lines
) -> None:
    reporting(bench, dry_run=True)
    one, two = bench.world.app("one"), bench.world.app("two")
    bench.world.kernel("k", one)
    await bench.live(timedelta(hours=5))
    last = lines[-1]
    assert bench.world.removed == []
    assert last["would_remove"] == {"app": 2, "kernel": 1}
    assert [app["would_remove"] for app in last["apps"]] == [True, True]
    # Both apps share one instance. The dry run frees it two hours after the start.
    assert last["would_save"]["instance_hours"] == pytest.approx(3, abs=0.3)
    assert last["would_save"]["usd"] == pytest.approx(3 * 0.05, abs=0.02)
    # The apps are used again: the sums stay, and nothing is added.
    used = replace(bench.world.kernels["k"], last_activity=bench.clock.now)
    bench.world.kernels["k"] = used
    await bench.live(timedelta(hours=1))
    again = lines[-1]
    assert [app["would_remove"] for app in again["apps"]] == [False, True]
    await bench.live(timedelta(minutes=30))
    assert lines[-1]["would_save"] == again["would_save"]
    assert two.id


async def test_the_domain_report_understands_the_line(bench: Bench, lines: Lines) -> None:
    reporting(bench, dry_run=True)
    app = bench.world.app("one")
    await bench.live(timedelta(hours=4))
    place = STREAM.fullmatch("d-1/ada/JupyterServer/default")
    assert place is not None
    text = encode(lines[-1]).decode()
    first = encode(lines[0]).decode()
    report = server_report("us-west-2", place, f"2026-11-28 stdout {text}", first)
    assert report is not None
    assert (report.domain_id, report.owner, report.dry_run) == ("d-1", "ada", True)
    assert report.would_save.hours == pytest.approx(2, abs=0.3)
    assert report.would_remove == {"app": 1}
    (own,) = report.apps
    assert (own.type, own.name, own.would_remove) == ("KernelGateway", app.name, True)
    assert own.idle_since is not None
    assert parse(text.replace('report":1', 'report":2')) is None


def test_a_line_fits_a_pipe() -> None:
    app = {"type": "KernelGateway", "name": "x" * 60, "reason": "idle"}
    line = {"auto_shutdown_report": 1, "apps": [dict(app) for _ in range(200)]}
    text = encode(line)
    assert len(text) <= MOST_BYTES
    shown = json.loads(text)
    assert len(shown["apps"]) + shown["apps_left_out"] == 200


async def test_a_line_that_fails_ends_no_pass(
    bench: Bench, lines: Lines, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_text: bytes) -> None:
        raise ValueError("no")

    monkeypatch.setattr(lines, "write", fail)
    reporting(bench)
    with caplog.at_level(logging.ERROR):
        await bench.live(40 * MINUTE)
    assert caplog.text.count("no report line") == 1
    assert bench.controller.report()["health"]["state"] == "ok"


def test_the_line_goes_to_standard_output_without_waiting_for_a_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(report_line, "STANDARD_OUTPUT", writing)
    writer = report_line._InBackground()
    writer.write(b"one\n")
    assert writer._thread is not None
    writer._thread.join(10)
    assert os.read(reading, 100) == b"one\n"
    # Nobody reads the pipe any more: the writer's thread waits, and the server does not.
    huge = b"x" * 1_000_000
    writer.write(huge)
    writer.write(b"dropped\n")
    thread, size = writer._thread, 0
    while size < len(huge):
        size += len(os.read(reading, 65536))
    thread.join(10)
    assert not thread.is_alive()
    assert size == len(huge)
    os.close(reading)
    writer.write(b"nobody\n")  # the writer ignores EPIPE
    writer._thread.join(10)
    os.close(writing)
