"""The policies for Cloud Custodian: valid by its own schema, and what they find in an account.

It pins exact versions of boto3 and others, so it gets an environment of its own: `make soak`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aws_account import REGION, Account

POLICIES = Path(__file__).resolve().parents[2] / "examples" / "custodian" / "policies.yml"
ROLE = "arn:aws:iam::123456789012:role/x"

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def custodian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("c7n")
    venv.create(folder, with_pip=True)
    install = [folder / "bin" / "pip", "install", "--quiet", "c7n>=0.9.53"]
    subprocess.run(install, check=True, stdout=sys.stderr)
    return folder / "bin" / "custodian"


def test_cloud_custodian_accepts_the_example_policies(custodian: Path, tmp_path: Path) -> None:
    argv = [custodian, "validate"]
    assert subprocess.run([*argv, POLICIES], check=False, cwd=tmp_path).returncode == 0
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(POLICIES.read_text().replace("op: ge", "op: older"))
    assert subprocess.run([*argv, wrong], check=False, cwd=tmp_path).returncode != 0


def test_example_policies_of_cloud_custodian_find_the_right_apps(
    account: Account, custodian: Path, tmp_path: Path
) -> None:
    account.start("JupyterLab", 90, SpaceName="lab")
    account.start("Canvas", 10)
    account.start("RSessionGateway", 80, "session-1", UserProfileName="cleo")
    account.sagemaker.create_notebook_instance(
        NotebookInstanceName="note", InstanceType="ml.t3.medium", RoleArn=ROLE
    )
    # The working day ends now, wherever this runs, and at weekends, too.
    here = datetime.now(ZoneInfo("Europe/Berlin"))
    hour = f"offhour: {here.hour}\n        weekends: false\n"
    text = re.sub(r"offhour: \d+\n", hour, POLICIES.read_text())
    # moto does not answer the platform of a notebook instance.
    text, count = re.subn(r".*PlatformIdentifier.*\n", "", text)
    assert count == 1
    path, output = tmp_path / "policies.yml", tmp_path / "out"
    path.write_text(text)
    argv = [custodian, "run", "--dryrun", "--cache-period", "0", "--region", REGION]
    subprocess.run([*argv, "-s", output, path], check=True, cwd=tmp_path)

    def found(policy: str, *members: str) -> list[Any]:
        resources = json.loads((output / policy / "resources.json").read_text())
        return sorted(resource[name] for resource in resources for name in members)

    assert found("notebook-instances-stop-off-hours", "NotebookInstanceName") == ["note"]
    assert found("studio-apps-old-notify", "AppType") == ["JupyterLab", "RSessionGateway"]
    assert found("studio-user-profiles-without-team", "UserProfileName") == ["bob", "cleo"]
