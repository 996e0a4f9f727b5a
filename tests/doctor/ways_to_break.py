"""Ways to break one thing of a healthy host."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from doctor_host import Host

from auto_shutdown.api.client import Client, Server
from auto_shutdown.doctor import configuration, situation
from auto_shutdown.local_studio import api
from auto_shutdown.local_studio.api import denied
from auto_shutdown.local_studio.ports import free_port
from auto_shutdown.local_studio.studio import CREDENTIALS

Break = Callable[[Host], object]


LIST, DELETE = "sagemaker:ListApps", "sagemaker:DeleteApp"
TAGS = "sagemaker:ListTags"
STOP_TAG = "auto-shutdown:stop"


def no_credentials(host: Host) -> None:
    for name in CREDENTIALS:
        host.patch.delenv(name)


def expired(host: Host) -> None:
    for operation in ("ListApps", "DeleteApp"):
        host.fault(operation, "ExpiredTokenException", "The security token is expired: SECRET")


def nobody_there(host: Host) -> None:
    host.patch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", f"http://127.0.0.1:{free_port()}")


def clock(seconds: float) -> Break:
    """AWS's clock, in its Date header."""

    def turn(host: Host) -> None:
        def date(_handler: object, _timestamp: object = None) -> str:
            return formatdate(time.time() - seconds, usegmt=True)

        host.patch.setattr(api._Quiet, "date_time_string", date)

    return turn


def without_boto3(host: Host) -> None:
    host.version("boto3", None)
    for name in ("boto3", "boto3.session"):
        host.patch.setitem(sys.modules, name, None)


def started_with(*options: str) -> Break:
    """A server that was started with these options."""

    def start(host: Host) -> None:
        client = Client(Server(f"http://127.0.0.1:{free_port()}/", pid=os.getpid()))
        host.patch.setattr(situation, "_ask", lambda *_: (client, None, None))
        host.patch.setattr(situation, "arguments_of", lambda _pid: ["jupyter-lab", *options])

    return start


def unimportable(host: Host) -> None:
    host.patch.setitem(sys.modules, "auto_shutdown.extension", None)


def old_panel(host: Host) -> None:
    package = json.loads((host.panel / "package.json").read_text())
    host.write(host.panel / "package.json", {**package, "version": "0.0.1"})


def overridden(host: Host) -> None:
    """A user's file against one that only the administrator can write."""
    host.configure(idle_timeout_minutes=60)
    host.person({"AutoShutdown": {"idle_timeout_minutes": 600}})
    host.patch.setattr(configuration, "_writable", lambda path: path.is_relative_to(host.user))


def stop_file(content: str) -> Break:
    def write(host: Host) -> None:
        path = host.root / "stop"
        path.write_text(content)
        host.configure(stop_file=str(path))

    return write


def overruled(host: Host) -> None:
    """A user's file, and an administrator's that is not in their home."""
    host.patch.setenv("HOME", str(host.root / "home"))
    host.configure(idle_timeout_minutes=60)
    host.person({"AutoShutdown": {"idle_timeout_minutes": 600}})


def torn_by_the_administrator(host: Host) -> None:
    host.patch.setenv("HOME", str(host.root / "home"))
    host.write(host.env / "jupyter_server_config.d" / "torn.json", "{")


def tags_denied(host: Host) -> None:
    host.fault("ListTags", "AccessDeniedException", denied(TAGS, "*"))


def stop_tag_set(host: Host) -> None:
    """An administrator has stopped all removals in the domain."""
    tags = [{"Key": STOP_TAG, "Value": "incident 7"}]
    host.patch.setitem(
        host.studio.api.operations.table, "ListTags", lambda _request: {"Tags": tags}
    )


def extensions(**switched: bool) -> dict[str, Any]:
    return {"ServerApp": {"jpserver_extensions": switched}}


def space(host: Host) -> None:
    """A JupyterLab space, instead of Studio Classic."""
    host.change_metadata(AppType="JupyterLab", SpaceName="lab", UserProfileName=None)


def instance(host: Host, platform: str = "notebook-al2023-v1") -> None:
    arn = "arn:aws:sagemaker:us-west-2:1:notebook-instance/nb"
    host.write(host.metadata, {"ResourceArn": arn, "ResourceName": "nb"})
    described = {
        "NotebookInstanceName": "nb",
        "NotebookInstanceStatus": "InService",
        "PlatformIdentifier": platform,
    }
    table = host.studio.api.operations.table
    host.patch.setitem(table, "DescribeNotebookInstance", lambda _request: described)
    host.patch.setitem(table, "ListTags", lambda _request: {"Tags": []})


def native(host: Host) -> None:
    space(host)
    host.module("jupyter_activity_monitor_extension")
    host.person(extensions(jupyter_activity_monitor_extension=True))


def incumbent(host: Host) -> None:
    host.module("sagemaker_studio_autoshutdown")
    host.person(extensions(sagemaker_studio_autoshutdown=True))


def proxy_down(host: Host) -> None:
    """Calls of AWS go through a proxy on which nobody listens. Its password must not be shown."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):  # the local endpoint speaks HTTP
        host.patch.setenv(name, f"http://me:SECRET@127.0.0.1:{free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        host.patch.delenv(name, raising=False)


def crontab(line: str) -> Break:
    """A line in root's crontab, in a file that this account may read."""

    def write(host: Host) -> None:
        host.write(host.root / "cron" / "root", line + "\n")

    return write


def hidden_crontab(host: Host) -> None:
    """Root's crontab can only be read through sudo, as in Studio."""
    sudo = host.root / "bin" / "sudo"
    host.write(
        sudo,
        "#!/bin/sh\necho '*/5 * * * * /usr/bin/python /home/ec2-user/autostop.py --time 3600'\n",
    )
    sudo.chmod(0o755)
    host.patch.setenv("PATH", f"{sudo.parent}:{os.environ['PATH']}")


AUTO_STOP = (
    "*/2 * * * * /bin/bash -ic '/opt/conda/bin/python /var/tmp/auto-stop-idle/"
    "sagemaker_studio_jlab_auto_stop_idle/auto_stop_idle.py --idle-time 3600'"
)


CULL_KERNELS = "c.MappingKernelManager.cull_idle_timeout = 60 * 60\n"
