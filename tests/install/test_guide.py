"""The administrator's guide gives commands that exist, and files that are valid."""

from __future__ import annotations

import argparse
import base64
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown import __version__
from auto_shutdown.cli import iam_policy, lifecycle_config
from auto_shutdown.cli.main import main, make_parser
from auto_shutdown.install import bundle
from auto_shutdown.install.lifecycle import check_configuration
from auto_shutdown.local_studio.api import Api

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "administrators.md").read_text() + (DOCS / "as-code.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.M | re.S)
COMMANDS = [
    line
    for _, block in BLOCKS
    for line in block.splitlines()
    if line.startswith("jupyter auto-shutdown")
]


#: Options of the AWS command line.
AWS = {"--stack-name", "--template-file", "--parameter-overrides"}


@pytest.mark.parametrize("line", COMMANDS)
def test_commands(line: str) -> None:
    assert callable(make_parser().parse_args(shlex.split(line)[2:]).run)


(SETTINGS,) = (block for sort, block in BLOCKS if sort == "json")


def test_there_are_commands_of_each_sort() -> None:
    for words in ("--attach domain", "--detach domain", "--bundle", "iam-policy --for user"):
        assert any(words in line for line in COMMANDS)


def test_configuration() -> None:
    check_configuration(json.loads(SETTINGS)["AutoShutdown"])


def test_options_named_in_the_text() -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    lifecycle_config.add(commands)
    iam_policy.add(commands)
    known = {option for p in commands.choices.values() for option in p._option_string_actions}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", GUIDE)) - {"--no-deps"} - AWS
    assert named <= known


# -- followed word for word -----------------------------------------------------------------------

ROLE = "arn:aws:iam::123456789012:role/StudioRole"
AUTO_STOP = b"""#!/bin/bash
echo "*/2 * * * * python /var/tmp/auto-stop-idle/auto_stop_idle.py" | sudo crontab -
"""


def make_config(client: Any, name: str, content: bytes) -> str:
    made = client.create_studio_lifecycle_config(
        StudioLifecycleConfigName=name,
        StudioLifecycleConfigAppType="JupyterLab",
        StudioLifecycleConfigContent=base64.b64encode(content).decode(),
    )
    return str(made["StudioLifecycleConfigArn"])


def make_studio(client: Any) -> None:
    """A domain with three profiles: one plain, one with settings of its own, and one with another
    auto-stop script."""
    client.create_domain(
        DomainName="local",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": ROLE},
        DefaultSpaceSettings={"ExecutionRole": ROLE},
        SubnetIds=["subnet-1"],
        VpcId="vpc-1",
    )
    own = make_config(client, "own-setup", b"#!/bin/bash\necho hello\n")
    stop = make_config(client, "auto-stop-idle", AUTO_STOP)
    blocks = {
        "ada": {"BuiltInLifecycleConfigArn": own},
        "team-b": {
            "DefaultResourceSpec": {"LifecycleConfigArn": stop},
            "LifecycleConfigArns": [stop],
        },
        "plain": {},
    }
    for name, block in blocks.items():
        settings = {"ExecutionRole": ROLE, **({"JupyterLabAppSettings": block} if block else {})}
        client.create_user_profile(DomainId="d-local", UserProfileName=name, UserSettings=settings)


def made(wheel: Path) -> Path:
    wheel.write_bytes(b"a wheel")
    return wheel


def state(client: Any) -> dict[str, Any]:
    """All settings, and the names of all lifecycle configurations."""
    domain = client.describe_domain(DomainId="d-local")
    listed = client.list_studio_lifecycle_configs(MaxResults=100)["StudioLifecycleConfigs"]
    return {
        "configs": sorted(each["StudioLifecycleConfigName"] for each in listed),
        **{key: domain.get(key) for key in ("DefaultUserSettings", "DefaultSpaceSettings")},
        **{
            name: client.describe_user_profile(DomainId="d-local", UserProfileName=name)[
                "UserSettings"
            ]
            for name in ("ada", "team-b", "plain")
        },
    }


def test_followed_word_for_word_it_leaves_no_question_and_nothing_behind(
    account: Api,
    sagemaker: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_studio(sagemaker)
    before = state(sagemaker)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.json").write_text(SETTINGS)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _question: "y")
    wheel = f"jupyterlab_auto_shutdown-{__version__}-py3-none-any.whl"
    # A checkout has no wheel to make again; test_bundle does that.
    monkeypatch.setattr(bundle, "rebuild", lambda place: made(place / wheel))
    names = {
        "REGION": "us-west-2",
        "ACCOUNT": "123456789012",
        "DOMAIN": "d-local",
        "BUCKET": "bucket",
    }
    told: dict[str, str] = {}
    for line in COMMANDS:
        words = shlex.split(re.sub("|".join(names), lambda found: names[found[0]], line))
        assert main(words[2:]) == 0, line
        captured = capsys.readouterr()
        told[line] = captured.out + captured.err
    plan = next(
        text for line, text in told.items() if "dry_run" in line and "--attach domain" in line
    )
    assert "user profile ada runs own-setup in its place" in plan
    assert "auto-stop-idle (user profile team-b) starts auto_stop_idle.py" in plan
    assert "(SHA-256 " in plan
    assert state(sagemaker) == before
