"""Compares ``domain report`` with boto3's default retries for 10,000 apps, in an account that
answers two list calls a second. Measures how the time grows with the number of apps.

The account is the local Studio's. It runs in a process of its own and limits calls as AWS does. The
growth is measured in simulated time, with random delays of wake-ups and answers. So it depends only
on how the command spaces its calls, and not on how busy this machine is.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .servers import ROOT
from .tables import Table

sys.path.insert(0, str(ROOT / "tests" / "domain"))

from test_pace import VirtualAccount  # type: ignore[import-not-found]

APPS = 10_000
LISTS_A_SECOND = 2.0

#: The program that most people would write: a paginator with boto3's default retries.
BOTO3 = """
import boto3
apps = 0
try:
    pages = boto3.client("sagemaker").get_paginator("list_apps")
    for page in pages.paginate(PaginationConfig={"PageSize": 100}):
        apps += len(page["Apps"])
    print(apps, "complete")
except Exception as error:
    print(apps, error.response["Error"]["Code"])
"""


@contextlib.contextmanager
def large_account() -> Iterator[dict[str, str]]:
    """Run a large account, and yield the environment variables for programs that use it."""
    command = [sys.executable, "-m", "auto_shutdown.local_studio", "account"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        variables = {}
        for line in process.stdout:
            name, equals, value = line.strip().removeprefix("export ").partition("=")
            if equals:
                variables[name] = value
            elif variables:
                break
        yield {**os.environ, **variables}
    finally:
        process.terminate()
        process.wait()


def calls(environment: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """The number of calls by operation so far, under the keys ``answered`` and ``refused``."""
    url = f"{environment['AWS_ENDPOINT_URL']}/local-studio/calls"
    with urllib.request.urlopen(url) as answer:
        counts: dict[str, dict[str, int]] = json.load(answer)
    return counts


def run(command: list[str], environment: Mapping[str, str], output: Path) -> tuple[float, int]:
    """Run a program. Returns its seconds and its peak memory in MB."""
    begin = time.monotonic()
    with output.open("w") as file:
        process = subprocess.Popen(command, env=dict(environment), stdout=file)
        _, _, usage = os.wait4(process.pid, 0)
    return time.monotonic() - begin, usage.ru_maxrss // 1024


def measure(root: Path) -> Table:
    table = Table(
        "A report on ten thousand apps",
        "A domain with 1,000 people, 1,000 spaces and 10,000 apps, in an account that answers two "
        "list calls a second. The third column divides the duration by the shortest possible one, "
        "which is half a second for each list call.",
        ("program", "seconds", "compared with the rate", "memory", "throttled calls", "result"),
    )
    with large_account() as environment:
        _measure_report(root, environment, table)
        _measure_boto3(root, environment, table)
    simulated = {apps: VirtualAccount(0.02, 0.06).seconds(int(1.2 * apps / 100)) for apps in SIZES}
    for apps, seconds in simulated.items():
        of_rate = seconds / (1.2 * apps / 100 / LISTS_A_SECOND)
        name = f"domain report, {apps:,} apps, simulated"
        table.rows.append((name, f"{seconds:.1f}", f"{of_rate:.2f}x", "-", "-", "-"))
    table.judge(
        "time for ten times as many apps, divided by ten",
        simulated[SIZES[-1]] / simulated[SIZES[-2]] / 10,
        1.1,
        "times",
    )
    return table


SIZES = (1_000, 10_000, 100_000)


def _measure_report(root: Path, environment: Mapping[str, str], table: Table) -> None:
    command = [sys.executable, "-m", "auto_shutdown", "domain", "report", "--json"]
    seconds, memory = run(command, environment, root / "report.json")
    counts = calls(environment)
    lists = sum(n for name, n in counts["answered"].items() if name.startswith("List"))
    of_rate = seconds / (lists / LISTS_A_SECOND)
    report: dict[str, Any] = json.loads((root / "report.json").read_text())
    complete = not report["unread"] and report["domains"][0]["user_profiles"] == 999
    table.rows.append(
        (
            "domain report",
            f"{seconds:.1f}",
            f"{of_rate:.2f}x",
            f"{memory} MB",
            str(sum(counts["refused"].values())),
            "complete" if complete else "INCOMPLETE",
        )
    )
    table.judge(f"time of {lists} list calls, compared with the rate", of_rate, 1.1, "times")
    table.judge("memory", memory, 200, "MB")
    table.judge("sources that could not be read", len(report["unread"]), 0, "sources")


def _measure_boto3(root: Path, environment: Mapping[str, str], table: Table) -> None:
    before = sum(calls(environment)["refused"].values())
    output = root / "boto3.txt"
    seconds, memory = run([sys.executable, "-c", BOTO3], environment, output)
    apps, result = output.read_text().split()
    refused = sum(calls(environment)["refused"].values()) - before
    if result != "complete":
        result = f"{result} after {int(apps):,} apps"
    table.rows.append(
        ("boto3, default retries", f"{seconds:.1f}", "-", f"{memory} MB", str(refused), result)
    )
