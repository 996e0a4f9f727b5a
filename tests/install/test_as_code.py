"""The examples for Terraform, CloudFormation and CDK: valid, with the script of ``--output``."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.cli.main import main
from auto_shutdown.install.lifecycle import read_script

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("account")]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """As an administrator writes it."""
    path = tmp_path / "on-start.sh"
    argv = [
        "lifecycle-config",
        "--for",
        "jupyterlab",
        "--set",
        "dry_run=true",
        "--output",
        str(path),
    ]
    assert main(argv) == 0
    return path


def lint(*paths: Path) -> str:
    """The findings of the linter, one a line. One call checks all files, because its start takes
    seconds."""
    cfn_lint = Path(sys.executable).with_name("cfn-lint")
    argv = [cfn_lint, "--format", "parseable", *paths]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def assert_is_script(resource: Any, script: Path) -> None:
    """A lifecycle configuration with that script, and a name that changes with it."""
    properties = resource["Properties"]
    assert properties["StudioLifecycleConfigContent"] == {"Fn::Base64": script.read_text()}
    assert properties["StudioLifecycleConfigAppType"] == "JupyterLab"
    digest = hashlib.sha256(script.read_bytes()).hexdigest()[:12]
    name = properties["StudioLifecycleConfigName"]
    assert re.fullmatch(rf"auto-shutdown-jupyterlab-(.+-)?{digest}", name)
    assert len(name) <= 63


@pytest.mark.timeout(300)
def test_cloudformation_template_is_valid_and_holds_the_script(
    script: Path, tmp_path: Path
) -> None:
    pytest.importorskip("cfnlint")
    template = tmp_path / "auto-shutdown.json"
    argv = ["lifecycle-config", "--for", "jupyterlab", "--set", "dry_run=true"]
    assert main([*argv, "--output", str(template), "--format", "cloudformation"]) == 0
    example = EXAMPLES / "cloudformation" / "user-profile.yaml"
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(example.read_text().replace("BuiltInLifecycleConfigArn:", "BuiltInArn:"))
    found = lint(template, example, wrong).splitlines()
    assert [line.partition(":")[0] for line in found] == [str(wrong)], found
    assert "BuiltInArn" in found[0]
    content = json.loads(template.read_text())
    (resource,) = content["Resources"].values()
    assert_is_script(resource, script)
    (output,) = content["Outputs"].values()
    exported = output["Export"]["Name"]["Fn::Sub"].partition("-")[2]
    assert exported in (EXAMPLES / "cloudformation" / "user-profile.yaml").read_text()


def test_a_template_of_an_instance_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["lifecycle-config", "--for", "notebook-instance", "--format", "cloudformation"]
    assert main([*argv, "--output", str(tmp_path / "x")]) == 2
    assert "AWS::SageMaker::NotebookInstanceLifecycleConfig" in capsys.readouterr().err


@pytest.mark.timeout(600)  # node loads some 100 MB of JavaScript
def test_cdk_example_gives_the_template_of_cloudformation(script: Path, tmp_path: Path) -> None:
    """Synthesised for real, offline: its template is the one that CloudFormation gets."""
    pytest.importorskip("aws_cdk")
    if shutil.which("node") is None:
        pytest.skip("needs node")
    environment = {
        **os.environ,
        "CDK_OUTDIR": str(tmp_path / "out"),
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(tmp_path / "cache"),
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "true",
        "ON_START": str(script),
    }
    argv = [sys.executable, EXAMPLES / "cdk" / "app.py"]
    done = subprocess.run(
        argv, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    template = json.loads((tmp_path / "out" / "AutoShutdown.template.json").read_text())
    sorts = {resource["Type"]: resource for resource in template["Resources"].values()}
    config = sorts["AWS::SageMaker::StudioLifecycleConfig"]
    assert_is_script(config, script)
    (logical,) = (name for name, r in template["Resources"].items() if r is config)
    settings = sorts["AWS::SageMaker::UserProfile"]["Properties"]["UserSettings"]
    assert settings["JupyterLabAppSettings"]["BuiltInLifecycleConfigArn"] == {
        "Fn::GetAtt": [logical, "StudioLifecycleConfigArn"]
    }


def test_terraform_file_is_valid_and_holds_the_script(script: Path) -> None:
    """Parsed as HCL. The provider's schema is not available offline; the argument names are those
    of its documentation."""
    hcl2 = pytest.importorskip("hcl2")
    text = (EXAMPLES / "terraform" / "main.tf").read_text()
    parsed = json.loads(re.sub(r'\\"', "", json.dumps(hcl2.loads(text))))
    resources = {sort: block for each in parsed["resource"] for sort, block in each.items()}
    (config,) = resources["aws_sagemaker_studio_lifecycle_config"].values()
    assert {name for name in config if name.startswith("studio_")} == {
        f"studio_lifecycle_config_{part}" for part in ("name", "app_type", "content")
    }
    assert config["studio_lifecycle_config_app_type"].strip('"') == "JupyterLab"
    assert "substr(sha256(local.script), 0, 12)" in config["studio_lifecycle_config_name"]
    assert "base64encode(local.script)" in config["studio_lifecycle_config_content"]
    (lifecycle,) = config["lifecycle"]
    assert str(lifecycle["create_before_destroy"]).lower() == "true"
    (profile,) = resources["aws_sagemaker_user_profile"].values()
    (settings,) = profile["user_settings"]
    (block,) = settings["jupyter_lab_app_settings"]
    arn = "aws_sagemaker_studio_lifecycle_config.auto_shutdown.arn"
    assert arn in block["built_in_lifecycle_config_arn"]


def test_written_script_says_that_it_is_attached_as_code(script: Path) -> None:
    parsed = read_script(script.read_text())
    assert parsed is not None
    assert parsed.as_code
    assert len(base64.b64encode(script.read_bytes())) < 16_384
