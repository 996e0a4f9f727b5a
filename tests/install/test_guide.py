"""The administrator's guide gives commands that exist, and files that are valid."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path

import pytest

from auto_shutdown.cli import iam_policy, lifecycle_config
from auto_shutdown.cli.main import make_parser
from auto_shutdown.install.lifecycle import check_configuration

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "administrators.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.M | re.S)
COMMANDS = [
    line
    for _, block in BLOCKS
    for line in block.splitlines()
    if line.startswith("jupyter auto-shutdown")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands(line: str) -> None:
    assert callable(make_parser().parse_args(shlex.split(line)[2:]).run)


def test_there_are_commands_of_each_sort() -> None:
    for words in ("--attach domain", "--detach domain", "--bundle", "iam-policy --for user"):
        assert any(words in line for line in COMMANDS)


def test_configuration() -> None:
    (text,) = (block for sort, block in BLOCKS if sort == "json")
    check_configuration(json.loads(text)["AutoShutdown"])


def test_options_named_in_the_text() -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    lifecycle_config.add(commands)
    iam_policy.add(commands)
    known = {option for p in commands.choices.values() for option in p._option_string_actions}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", GUIDE)) - {"--no-deps"}
    assert named <= known
