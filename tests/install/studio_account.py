"""Domains, user profiles and lifecycle configurations in the local SageMaker API, and the command
``lifecycle-config`` on them."""

from __future__ import annotations

import base64
import urllib.request
from typing import Any

import pytest

from auto_shutdown.cli.main import main
from auto_shutdown.install.lifecycle import Script, read_script
from auto_shutdown.local_studio.api import Api
from auto_shutdown.local_studio.operations import Operations

Capture = pytest.CaptureFixture[str]

ROLE = "arn:aws:iam::123456789012:role/StudioRole"
AUTO_STOP = b"""#!/bin/bash
# Copyright
curl -LO https://github.com/aws-samples/x/jupyterlab-lccs.tar.gz
echo "*/2 * * * * /opt/conda/bin/python /var/tmp/auto-stop-idle/auto_stop_idle.py" | sudo crontab -
"""
PLAIN = b"#!/bin/bash\necho hello\n"


def emptied(server: Api, update_replaces: bool) -> Api:
    """``server`` without any resource. AWS does not document whether an update of settings replaces
    a block or only the given members; ``update_replaces`` chooses."""
    urllib.request.urlopen(urllib.request.Request(f"{server.url}/moto-api/reset", b"")).close()
    server.operations = Operations(server.apps, server.region, server._find_domain)
    server.operations.update_replaces = update_replaces
    server.faults.clear()
    server.calls.clear()
    return server


def make_config(client: Any, name: str, content: bytes, app_type: str = "JupyterLab") -> str:
    made = client.create_studio_lifecycle_config(
        StudioLifecycleConfigName=name,
        StudioLifecycleConfigAppType=app_type,
        StudioLifecycleConfigContent=base64.b64encode(content).decode(),
    )
    return str(made["StudioLifecycleConfigArn"])


def make_domain(client: Any, name: str = "local", **settings: Any) -> None:
    """A domain with the id ``d-NAME`` and these settings for user profiles."""
    beside = {"ExecutionRole": ROLE}
    client.create_domain(
        DomainName=name,
        AuthMode="IAM",
        DefaultUserSettings={**beside, **settings},
        DefaultSpaceSettings=beside,
        SubnetIds=["subnet-1"],
        VpcId="vpc-1",
    )


def make_profile(client: Any, name: str, domain: str = "d-local", **settings: Any) -> None:
    client.create_user_profile(
        DomainId=domain, UserProfileName=name, UserSettings={"ExecutionRole": ROLE, **settings}
    )


def lab(**block: Any) -> dict[str, Any]:
    return {"JupyterLabAppSettings": block}


def run(capsys: Capture, *argv: str, code: int = 0, platform: str = "jupyterlab") -> str:
    """Run ``lifecycle-config``, expect the exit code ``code``, and return what it printed."""
    capsys.readouterr()
    returned = main(["lifecycle-config", "--for", platform, *argv])
    out, err = capsys.readouterr()
    assert returned == code, out + err
    return out + err


DOMAIN = ("--domain", "d-local", "--region", "us-west-2")


def script_text(client: Any, arn: str) -> str:
    """The text of the lifecycle configuration ``arn``."""
    described = client.describe_studio_lifecycle_config(
        StudioLifecycleConfigName=arn.rsplit("/", 1)[-1]
    )
    return base64.b64decode(described["StudioLifecycleConfigContent"]).decode()


def attached(client: Any) -> Script:
    """The script of this package that the domain ``d-local`` runs for JupyterLab."""
    settings = client.describe_domain(DomainId="d-local")["DefaultUserSettings"]
    arn = settings["JupyterLabAppSettings"]["BuiltInLifecycleConfigArn"]
    script = read_script(script_text(client, arn))
    assert script is not None
    return script
