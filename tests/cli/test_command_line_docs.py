"""docs/command-line.md says what the parser does."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from auto_shutdown import doctor
from auto_shutdown.api.server_error import ExitCode
from auto_shutdown.cli.main import EXIT_CODES, make_parser

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "command-line.md").read_text()
SCHEDULED = (ROOT / "docs" / "scheduled.md").read_text()
README = (ROOT / "README.md").read_text()


def commands() -> dict[str, argparse.ArgumentParser]:
    (action,) = (a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


def section(name: str) -> str:
    return re.split(r"\n## ", PAGE.split(f"\n## {name}\n")[1])[0]


def options(parser: argparse.ArgumentParser) -> set[str]:
    """The options of a command, and of the commands below it."""
    below = [
        child
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for child in action.choices.values()
    ]
    own = {option for action in parser._actions for option in action.option_strings}
    return own.union(*map(options, below))


HERE = sorted(commands())


def test_page_has_a_section_for_every_command() -> None:
    assert set(re.findall(r"\n## (\S+)\n", PAGE)) == set(HERE)


@pytest.mark.parametrize("name", HERE)
def test_section_of_a_command_names_every_option(name: str) -> None:
    parser = commands()[name]
    text = " ".join(section(name).split())
    if name == "domain":  # the section refers to the page for the options of `template`
        text += SCHEDULED
    assert str(parser.description).rstrip(".") in text
    common = {"--help", "--json", "--url", "--port"}
    for option in options(parser) - common - {"-h"}:
        assert option in text
    if name not in ("demo",):
        assert "--json" in options(parser)


def test_page_lists_every_exit_code() -> None:
    rows = re.findall(r"\| `(\d)` \| (.*) \|", section("Exit codes"))
    assert EXIT_CODES.split("\n", 1)[1].rstrip() == "\n".join(f"  {n}  {text}" for n, text in rows)
    assert {int(n) for n, _ in rows} | {130} == {code.value for code in ExitCode}


def test_page_lists_every_check_of_the_doctor() -> None:
    """The table has every name that a finding can have."""
    named = set(re.findall(r"`([^`]+)`", "".join(re.findall(r"\n\| (.*?) \|", section("doctor")))))
    source = "".join(p.read_text() for p in Path(doctor.__file__).parent.glob("*.py"))
    words = r'\b(?:ok|warning|failure|what|verdict)\(\s*(?:platform, )?"([\w: ]+)"'
    used = set(re.findall(words, source)) | set(re.findall(r'\nCHECK = "(.*)"', source))
    assert used <= named | {"sagemaker"}
    assert named <= used


def test_the_readme_names_every_command() -> None:
    listed = set(re.findall(r"^jupyter auto-shutdown ([\w-]+)", README, re.MULTILINE))
    assert set(HERE) <= listed
