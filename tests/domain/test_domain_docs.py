"""docs/domain.md says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from account import account

from auto_shutdown.cycle.report_line import compose
from auto_shutdown.domain import findings
from auto_shutdown.domain.policy import RULES, parse

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "domain.md").read_text()


def rows(heading: str) -> set[str]:
    """The first cells of the first table below ``heading``."""
    section = PAGE.split(f"\n{heading}\n")[1].split("\n#")[0]
    names = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {name for cell in names for name in re.findall(r"`([\w-]+)`", cell)}


def test_example_policy_of_the_page_is_valid() -> None:
    (text,) = re.findall(r"```json\n(\{\n  \"version\".*?)```", PAGE, re.DOTALL)
    content = json.loads(text)
    policy = parse(content)
    assert policy.dry_run
    assert set(content) == {
        *("version", "dry_run", "domains", "team_tag", "notice_minutes", "max_deletions"),
        *("notify", *RULES, "exceptions", "check", "prices"),
    }


def test_page_lists_each_rule_and_each_check() -> None:
    assert set(RULES) == rows("## Delete apps that the extension cannot reach: `tidy`")
    found = {finding.check for finding in findings.examine(account(), parse({"version": 1}))}
    asked = {"overriding-profiles", "other-auto-stop", "quotas", "budget", "extension"}
    assert found | asked == rows("### Every day: run the check")


def test_page_lists_each_member_of_the_report_line() -> None:
    from auto_shutdown.core.rehearsal import Rehearsal

    report = {
        "now": "",
        "resources": [],
        "savings": {},
        "platform": {"kind": ""},
        "health": {"state": ""},
        "policy": {"enabled": True, "dry_run": False, "idle_timeout_minutes": 1},
    }
    line = compose(report, Rehearsal(), Rehearsal(), with_names=True)
    assert {*line, "apps_left_out"} == rows("## The report line")
