"""The first lines in the log: whether the extension is armed, what it shuts down, and after how
long."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from auto_shutdown import __version__
from auto_shutdown.core.model import Unread
from auto_shutdown.core.policy import Policy, Rule
from auto_shutdown.cycle.start_lines import start_lines
from auto_shutdown.world.platform import (
    NOTEBOOK_INSTANCE,
    STUDIO_CLASSIC,
    STUDIO_SPACE,
    Platform,
)

CLASSIC = Platform(STUDIO_CLASSIC, "d-1", "ada")
SPACE = Platform(STUDIO_SPACE, "d-1", space_name="s", app_type="JupyterLab")
HOUR = timedelta(hours=1)
UNREAD = Unread("settings", "StateFile", "x.json is not JSON.", "Repair x.json.")


@pytest.mark.parametrize(
    ("policy", "platform", "line"),
    [
        (
            Policy(),
            Platform(),
            (
                "outside of SageMaker: armed. It shuts down kernels and terminals after 2 h "
                "without activity. Users see a notice 5 m before."
            ),
        ),
        (
            Policy(kernel_idle_timeout=HOUR, app_idle_timeout=3 * HOUR),
            CLASSIC,
            (
                "on Studio Classic: armed. It shuts down kernels after 1 h without activity; "
                "terminals after 2 h without activity; KernelGateway apps after 3 h without "
                "activity. Users see a notice 5 m before."
            ),
        ),
        (
            Policy(keep_terminals=True, warn=timedelta(0), rules=(Rule(HOUR),)),
            SPACE,
            (
                "on a Studio space: armed. It shuts down kernels and this app after 2 h without "
                "activity (1 rule gives other limits). Users see no notice before."
            ),
        ),
        (
            Policy(dry_run=True, only_when_it_saves=True),
            Platform(NOTEBOOK_INSTANCE, app_name="n"),
            (
                "on a notebook instance: NOT armed, shuts nothing down, because the setting "
                "dry_run is on. It only records what it would shut down: kernels, terminals and "
                "this notebook instance after 2 h without activity (only where that saves the "
                "cost of an instance)."
            ),
        ),
        (
            Policy(enabled=False),
            replace(SPACE, app_type="CodeEditor"),
            (
                "on a Studio space: NOT armed, shuts nothing down, because the setting enabled is "
                "off. When it is on: kernels and terminals after 2 h without activity."
            ),
        ),
        (
            Policy(unread=UNREAD),
            replace(CLASSIC, domain_id=None),
            (
                "on Studio Classic: NOT armed, shuts nothing down, because the settings cannot be "
                "read. x.json is not JSON. Repair x.json."
            ),
        ),
    ],
)
def test_first_line_of_the_log(policy: Policy, platform: Platform, line: str) -> None:
    first, second = start_lines(policy, platform)
    assert first == f"auto_shutdown {__version__} {line}"
    assert "`jupyter auto-shutdown status`" in second
