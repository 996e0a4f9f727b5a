"""What people are told before SageMaker has sent the first list of apps: never that none runs."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from test_report_line import Lines, lines, reporting  # noqa: F401  (a fixture)
from test_slow_list import block_lists, let_list_arrive, no_patience  # noqa: F401  (a fixture)
from value_world import Bench

from auto_shutdown.api.metrics import Metrics
from auto_shutdown.cli.status import show
from auto_shutdown.cli.text import Page
from auto_shutdown.core.model import App, Kind, Ref
from auto_shutdown.cycle.refused import RefusedError
from auto_shutdown.world.app_list import NOT_LISTED_YET

WAITING = "SageMaker has not sent the list of apps yet, so apps may be running and billed."


def status_of(report: Any) -> str:
    """What ``jupyter auto-shutdown status`` prints below the lines about the server."""
    page = io.StringIO()
    show(report, Page(page), as_json=False)
    return page.getvalue().split("\n\n", 1)[1]


def unread_gauge(report: Any) -> dict[str, float]:
    """The samples of the gauge ``auto_shutdown_unread``, by source."""
    metrics = Metrics(lambda: report, lambda: 0, CollectorRegistry())
    (gauge,) = (each for each in metrics.collect() if each.name == "auto_shutdown_unread")
    return {sample.labels["source"]: sample.value for sample in gauge.samples}


@pytest.mark.parametrize("with_kernel", [False, True], ids=["nothing else", "a kernel"])
async def test_report_status_and_metrics_say_that_the_list_has_not_arrived(
    bench: Bench, with_kernel: bool
) -> None:
    bench.world.app("a")
    if with_kernel:
        bench.world.kernel("k")
    block_lists(bench)
    await bench.controller.run_pass()
    report = bench.controller.report()
    assert report["unread"] == {"apps": "NotListedYet"}
    assert unread_gauge(report) == {"apps": 1}
    shown = status_of(report)
    assert WAITING in shown
    assert "Nothing is running" not in shown
    assert ("No kernel or terminal is running." in shown) is not with_kernel
    await let_list_arrive(bench)
    await bench.controller.run_pass()
    report = bench.controller.report()
    assert (report["unread"], unread_gauge(report)) == ({}, {})
    assert WAITING not in status_of(report)


@pytest.mark.parametrize(
    "request_for",
    [
        lambda requests, app: requests.remove(app),
        lambda requests, app: requests.keep_alive(app, 60, ""),
    ],
    ids=["remove", "keep-alive"],
)
async def test_nobody_is_told_that_an_app_does_not_exist(
    bench: Bench, request_for: Callable[..., Any]
) -> None:
    app: App = bench.world.app("a")
    block_lists(bench)
    await bench.controller.run_pass()
    with pytest.raises(RefusedError) as refused:
        await request_for(bench.controller.requests, app.ref)
    assert (refused.value.status, str(refused.value)) == (503, NOT_LISTED_YET.message)
    assert refused.value.remedy == NOT_LISTED_YET.remedy
    await let_list_arrive(bench)
    await bench.controller.run_pass()
    with pytest.raises(RefusedError) as refused:
        await request_for(bench.controller.requests, Ref(Kind.APP, "KernelGateway/other"))
    assert refused.value.status == 404


async def test_no_report_line_is_written_without_the_apps(
    bench: Bench,
    lines: Lines,  # noqa: F811
) -> None:
    reporting(bench)
    bench.world.app("a")
    block_lists(bench)
    await bench.controller.run_pass()
    assert lines == []
    await let_list_arrive(bench)
    await bench.controller.run_pass()
    assert [len(line["apps"]) for line in lines] == [1]


async def test_before_the_first_pass_no_list_is_known(bench: Bench) -> None:
    report = bench.controller.report()
    assert report["unread"] == dict.fromkeys(("kernels", "terminals", "apps"), "NotListedYet")
    assert status_of(report) == "It is not known yet what is running.\n"
