"""The administrator's guide gives commands that exist, and files that are valid. An administrator
who types its commands as printed gets no error and leaves nothing behind."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pages
import pytest
from iam import Guard
from pages import Command
from studio_account import ROLE, make_config

from auto_shutdown import __version__
from auto_shutdown.cli import iam_policy, lifecycle_config
from auto_shutdown.cli.main import main, make_parser
from auto_shutdown.install import bundle, options
from auto_shutdown.install.lifecycle import check_configuration
from auto_shutdown.local_studio.api import Api

ADMINISTRATORS = (pages.DOCS / "administrators.md").read_text()
GUIDE = ADMINISTRATORS + (pages.DOCS / "as-code.md").read_text()
COMMANDS = [command for command in pages.commands(GUIDE) if command.is_ours]

#: Options of the AWS command line.
AWS = {
    *("--stack-name", "--template-file", "--parameter-overrides", "--role-name"),
    *("--policy-name", "--policy-document", "--recursive", "--exclude", "--include"),
    *("--domain-id", "--notebook-instance-lifecycle-config-name", "--on-start"),
    *("--notebook-instance-name", "--lifecycle-config-name", "--disassociate-lifecycle-config"),
    *("--resource-arn", "--tags"),
}
#: Options of pip.
PIP = {"--no-deps", "--force-reinstall"}

(SETTINGS,) = pages.blocks(GUIDE, "json")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.line)
def test_commands_of_the_guide_are_valid(command: Command) -> None:
    assert callable(make_parser().parse_args(command.words[2:]).run)


def test_guide_has_commands_of_each_kind() -> None:
    for words in ("--attach domain", "--detach domain", "--bundle", "iam-policy --for user"):
        assert any(words in command.line for command in COMMANDS)


def test_configuration_of_the_guide_is_valid() -> None:
    check_configuration(json.loads(SETTINGS)["AutoShutdown"])


def test_options_named_in_the_guide_exist() -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    lifecycle_config.add(commands)
    iam_policy.add(commands)
    known = {option for p in commands.choices.values() for option in p._option_string_actions}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", GUIDE)) - PIP - AWS
    assert named <= known


# -- followed word for word -----------------------------------------------------------------------

#: AWS's sample starts the other tool at once, or from cron.
AUTO_STOP = b"""#!/bin/bash
curl -LO https://github.com/aws-samples/x/jupyterlab-lccs.tar.gz
python /var/tmp/auto-stop-idle/auto_stop_idle.py --time 3600
"""
IN_CRON = b"""#!/bin/bash
echo "*/2 * * * * python /var/tmp/auto-stop-idle/auto_stop_idle.py" | sudo crontab -
"""
VALUES = {
    "REGION": "us-west-2",
    "ACCOUNT": "123456789012",
    "DOMAIN": "d-local",
    "ROLE": "StudioRole",
    "BUCKET": "bucket",
    "PREFIX": "wheels",
    "NAME": "trainer",
}
PROFILES = ("ada", "team-a", "team-b", "plain")
NEW_VERSION = "9.9.9"
SPACES = ("ada-lab", "shared")


def make_studio(client: Any) -> None:
    """A domain with four user profiles and two spaces. ``ada`` has another script in the slot that
    ``--attach`` uses, and one that the user chooses; ``team-a`` has an auto-stop script in the
    slot, ``team-b`` has one for cron as the user's default, and ``plain`` has no settings. The
    private space of ``ada`` has a script of its own, the shared space has none."""
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
    in_cron = make_config(client, "auto-stop-in-cron", IN_CRON)
    chosen = make_config(client, "chosen", b"#!/bin/bash\necho chosen\n")
    lab_settings: dict[str, dict[str, Any]] = {
        "ada": {
            "BuiltInLifecycleConfigArn": own,
            "DefaultResourceSpec": {"LifecycleConfigArn": chosen},
            "LifecycleConfigArns": [chosen],
        },
        "team-a": {"BuiltInLifecycleConfigArn": stop},
        "team-b": {
            "DefaultResourceSpec": {"LifecycleConfigArn": in_cron},
            "LifecycleConfigArns": [in_cron],
        },
        "plain": {},
    }
    assert tuple(lab_settings) == PROFILES
    for name, block in lab_settings.items():
        settings = {"ExecutionRole": ROLE, **({"JupyterLabAppSettings": block} if block else {})}
        client.create_user_profile(DomainId="d-local", UserProfileName=name, UserSettings=settings)
    spec = {"InstanceType": "ml.t3.medium", "LifecycleConfigArn": chosen}
    for space, owner, sharing, lab in (
        ("ada-lab", "ada", "Private", {"JupyterLabAppSettings": {"DefaultResourceSpec": spec}}),
        ("shared", "plain", "Shared", {}),
    ):
        client.create_space(
            DomainId="d-local",
            SpaceName=space,
            OwnershipSettings={"OwnerUserProfileName": owner},
            SpaceSharingSettings={"SharingType": sharing},
            SpaceSettings={"AppType": "JupyterLab", **lab},
        )


WHEEL = f"s3://bucket/wheels/jupyterlab_auto_shutdown-{__version__}-py3-none-any.whl"
NEW_WHEEL = WHEEL.replace(__version__, NEW_VERSION)


def write_wheel(wheel: Path) -> Path:
    wheel.write_bytes(b"a wheel")
    return wheel


def state(client: Any) -> dict[str, Any]:
    """All settings, and the names of all lifecycle configurations."""
    domain = client.describe_domain(DomainId="d-local")
    listed = client.list_studio_lifecycle_configs(MaxResults=100)["StudioLifecycleConfigs"]
    profiles = {
        name: client.describe_user_profile(DomainId="d-local", UserProfileName=name)["UserSettings"]
        for name in PROFILES
    }
    spaces = {
        name: client.describe_space(DomainId="d-local", SpaceName=name)["SpaceSettings"]
        for name in SPACES
    }
    return {
        "configs": sorted(each["StudioLifecycleConfigName"] for each in listed),
        **{key: domain.get(key) for key in ("DefaultUserSettings", "DefaultSpaceSettings")},
        **profiles,
        **spaces,
    }


class Administrator:
    """Types the commands of a page as printed, with the permissions that the page's own policy
    for administrators grants."""

    def __init__(
        self,
        guard: Guard,
        capsys: pytest.CaptureFixture[str],
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.guard = guard
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._folder = folder
        self.answers: dict[str, str] = {}

    def type(self, command: Command) -> str:
        """Run ``command``, expect that it succeeds, and return what it printed."""
        self._capsys.readouterr()
        self._install_version(command)
        code = main(command.words[2:])
        out, err = self._capsys.readouterr()
        assert code == 0, f"{command.line}\n{out}{err}"
        assert self.guard.refused == [], command.line
        if command.output:
            (self._folder / command.output).write_text(out)
        if "administrator" in command.words:
            self.guard.policy = json.loads(out)
        self.answers[command.line] = out + err
        return out + err

    def _install_version(self, command: Command) -> None:
        """Before an update the administrator installs a new version, and before a later
        ``--attach`` the earlier one again."""
        if "--update" in command.words:
            self._monkeypatch.setattr(options, "__version__", NEW_VERSION)
        elif "--attach" in command.words:
            self._monkeypatch.setattr(options, "__version__", __version__)

    def answer(self, *parts: str) -> str:
        """What the first command with all ``parts`` in its line printed."""
        return next(a for line, a in self.answers.items() if all(part in line for part in parts))


@pytest.fixture
def administrator(
    account: Api,
    sagemaker: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Administrator:
    """An administrator of the domain of ``make_studio`` at a terminal, in an empty folder with
    ``settings.json``, who answers each question with yes."""
    make_studio(sagemaker)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.json").write_text(SETTINGS)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _question: "y")
    wheel = f"jupyterlab_auto_shutdown-{__version__}-py3-none-any.whl"
    # A checkout has no installed files to rebuild the wheel from; test_bundle tests that.
    monkeypatch.setattr(bundle, "rebuild", lambda place: write_wheel(place / wheel))
    return Administrator(Guard(monkeypatch), capsys, tmp_path, monkeypatch)


def test_guide_works_word_for_word_and_leaves_nothing_behind(
    administrator: Administrator, sagemaker: Any, tmp_path: Path
) -> None:
    before = state(sagemaker)
    for command in pages.commands(ADMINISTRATORS, VALUES):
        if command.is_ours:
            administrator.type(command)

    plan = administrator.answer("dry_run", "--attach domain")
    assert plan.count("Create the lifecycle configuration") == 1
    assert "user profile ada runs own-setup instead of the domain's lifecycle" in plan
    assert "--attach user-profile --user-profile ada,team-a with the same settings." in plan
    assert "--attach user-profile --user-profile team-b with the same settings as well." in plan
    assert "space ada-lab runs chosen after the lifecycle configuration of the domain or" in plan
    assert "space shared" not in plan
    assert "auto-stop-idle (user profile team-a) starts auto_stop_idle.py" in plan
    assert "both will run: use --replace to leave it out." in plan
    assert "auto-stop-in-cron (user profile team-b) starts auto_stop_idle.py" in plan
    assert "both will run: take it out of UserSettings.JupyterLabAppSettings there." in plan
    assert f"installs {WHEEL} (SHA-256 " in plan
    # Once left out, the other tool stays out when the real settings follow.
    real = administrator.answer("--config settings.json", "--attach user-profile")
    assert "auto-stop-idle does not run (--replace)" in real
    assert "auto-stop-idle (user profile team-a)" not in real
    shown = administrator.answer("--show domain")
    assert "domain d-local (DefaultUserSettings, DefaultSpaceSettings): auto-shutdown-" in shown
    for name in ("ada", "team-a", "team-b"):
        assert f"user profile {name} (UserSettings): auto-shutdown-jupyterlab-" in shown
    assert "To attach the script to these as well" not in shown
    for action, source in (("update", NEW_WHEEL), ("rollback", WHEEL)):
        plan = administrator.answer(f"--{action} domain")
        assert f"installs {source} (SHA-256 " in plan
        assert f"use --{action} user-profile --user-profile ada,team-a,team-b." in plan
        assert plan.count("--attach") == 0
        for_profiles = administrator.answer(f"--{action} user-profile")
        assert for_profiles.count(f"installs {source} (SHA-256 ") == 3
    plan = administrator.answer("--detach domain")
    assert "use --detach user-profile --user-profile ada,team-a,team-b." in plan
    assert json.loads((tmp_path / "user-policy.json").read_text())["Statement"]
    assert (tmp_path / "on-start.sh").exists()
    administrator.guard.policy = None
    assert state(sagemaker) == before


def test_the_commands_in_the_bundles_readme_attach_the_scripts(
    administrator: Administrator,
    sagemaker: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (make_bundle,) = (
        each for each in pages.commands(ADMINISTRATORS, VALUES) if "--bundle" in each.words
    )
    administrator.type(make_bundle)
    folder = tmp_path / "bundle"
    administrator.guard.policy = json.loads((folder / bundle.ADMINISTRATOR).read_text())
    monkeypatch.chdir(folder)
    lines = [each for each in pages.commands((folder / "README.md").read_text()) if each.is_ours]
    assert len(lines) == 2
    for command in lines:
        assert "Done." in administrator.type(command)
    administrator.guard.policy = None
    settings = sagemaker.describe_domain(DomainId="d-local")["DefaultUserSettings"]
    assert {"JupyterLabAppSettings", "JupyterServerAppSettings"} <= set(settings)
