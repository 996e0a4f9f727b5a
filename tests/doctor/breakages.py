"""The failures that the doctor must name: each breaks one thing of a healthy host."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from doctor_host import PANEL, Host

from auto_shutdown.api.client import Client, Server
from auto_shutdown.doctor import configuration, installation, situation
from auto_shutdown.local_studio import api
from auto_shutdown.local_studio.api import Fault, denied
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


#: For each failure: how to cause it, the check that must report it, and a part of the message.
FAILURES: list[tuple[str, Break, tuple[str, str], str]] = [
    ("no credentials", no_credentials, ("failure", "credentials"), "NoCredentialsError"),
    ("expired credentials", expired, ("failure", "credentials"), "ExpiredTokenException"),
    ("ListApps is denied",
     lambda h: h.fault("ListApps", "AccessDeniedException", denied(LIST, "*")),
     ("failure", LIST), "Allow sagemaker:ListApps"),
    ("DeleteApp is denied",
     lambda h: h.fault("DeleteApp", "AccessDeniedException", denied(DELETE, "*")),
     ("failure", DELETE), "/ada/KernelGateway/*"),
    ("ListTags is denied", tags_denied, ("warning", TAGS),
     "this server does not see it and goes on removing Allow sagemaker:ListTags on arn:aws:"),
    ("ListTags is denied, and the stop tag is configured",
     lambda h: (h.configure(stop_tag=STOP_TAG), tags_denied(h)), ("failure", TAGS),
     "so it removes nothing by itself Allow sagemaker:ListTags on arn:aws:"),
    ("ListTags fails", lambda h: h.fault("ListTags", "InternalFailure"), ("failure", TAGS),
     "so it removes nothing by itself"),
    ("ListTags is throttled", lambda h: h.fault("ListTags", "ThrottlingException"),
     ("warning", TAGS), "later"),
    ("the stop tag is set", stop_tag_set, ("warning", "stop switch"), "incident 7"),
    ("a space: ListTags is denied", lambda h: (space(h), tags_denied(h)), ("warning", TAGS),
     f"the tag {STOP_TAG}, this server does not see it"),
    ("an instance: ListTags is denied", lambda h: (instance(h), tags_denied(h)),
     ("warning", TAGS), "notebook-instance/nb"),
    ("an endpoint policy denies",
     lambda h: h.fault("DeleteApp", "AccessDeniedException", "no VPC endpoint policy allows"),
     ("failure", DELETE), "policy of the VPC endpoint"),
    ("ListApps is throttled", lambda h: h.fault("ListApps", "ThrottlingException"),
     ("warning", LIST), "later"),
    ("a new error", lambda h: h.fault("DeleteApp", "NeverHeardOfException"),
     ("warning", DELETE), "NeverHeardOfException"),
    ("the endpoint is not reached", nobody_there, ("failure", "endpoint"),
     "com.amazonaws.us-west-2.sagemaker.api"),
    ("the proxy is down", proxy_down, ("failure", "endpoint"),
     "The proxy of the variable HTTPS_PROXY (127.0.0.1:"),
    ("auto_stop_idle.py in cron", crontab(AUTO_STOP), ("warning", "other cullers"),
     "cron runs auto_stop_idle.py"),
    ("autostop.py in cron", crontab("*/5 * * * * /usr/bin/python /home/x/autostop.py --time 3600"),
     ("warning", "other cullers"), "lifecycle-config --attach … --replace"),
    ("another script in cron", crontab("@hourly root aws sagemaker delete-app --app-name default"),
     ("warning", "other cullers"), "a script that deletes apps"),
    ("root's hidden crontab", hidden_crontab, ("warning", "other cullers"), "root's crontab"),
    ("a section in lower case",
     lambda h: h.person({"auto_shutdown": {"dry_run": True}}, "jupyter_server_config.d/x.json"),
     ("failure", "configuration"), "has a section auto_shutdown, which Jupyter ignores"),
    ("a proxy answers", lambda h: h.studio.api.faults.append(Fault("ListApps", garbage=True)),
     ("failure", "endpoint"), "NO_PROXY"),
    ("the clock is fast", clock(600), ("failure", "clock"), "ahead of"),
    ("the clock is slow", clock(-600), ("failure", "clock"), "behind"),
    ("the clock is a bit off", clock(120), ("warning", "clock"), "ahead of"),
    ("the state directory cannot be made",
     lambda h: h.configure(state_dir=str(h.metadata / "state")), ("failure", "state"),
     "cannot be created"),
    ("the state directory is not for writing",
     lambda h: h.configure(state_dir="/proc/self"), ("failure", "state"), "cannot be written"),
    ("the front end is missing", lambda h: shutil.rmtree(h.panel), ("warning", "panel"),
     "none of Jupyter's data directories"),
    ("the front end is incomplete", lambda h: shutil.rmtree(h.panel / "static"),
     ("warning", "panel"), "incomplete"),
    ("the front end is another's", old_panel, ("warning", "panel"), "0.0.1"),
    ("the front end is disabled",
     lambda h: h.write(h.user / "labconfig/page_config.json",
                       {"disabledExtensions": {PANEL: True}}),
     ("warning", "panel"), "page_config.json"),
    ("JupyterLab is too old", lambda h: h.version("jupyterlab", "3.0.9"),
     ("warning", "jupyterlab"), "3.1"),
    ("the extension is disabled", lambda h: h.person(extensions(auto_shutdown=False)),
     ("failure", "extension"), "user/jupyter_server_config.json"),
    ("the extension is enabled nowhere",
     lambda h: (h.env / "jupyter_server_config.d" / "auto_shutdown.json").unlink(),
     ("failure", "extension"), "jupyter server extension enable"),
    ("the extension cannot be loaded", unimportable, ("failure", "extension"), "Reinstall"),
    ("boto3 is missing", without_boto3, ("failure", "boto3"), "pip install boto3"),
    ("boto3 is old", lambda h: h.version("boto3", "1.25.9"), ("failure", "boto3"), "1.25.9"),
    ("the server is too new", lambda h: h.version("jupyter_server", "3.0.0"),
     ("failure", "jupyter_server"), "below 3"),
    ("Python is too old", lambda h: h.patch.setattr(installation, "OLDEST_PYTHON", (9, 9)),
     ("failure", "python"), "3.9"),
    ("a value makes no sense", lambda h: h.configure(idle_timeout_minutes=-1),
     ("failure", "configuration"), "AutoShutdown.idle_timeout_minutes"),
    ("a value has another type", lambda h: h.configure(grace_minutes="soon"),
     ("failure", "configuration"), "grace_minutes"),
    ("the stop file is missing", lambda h: h.configure(stop_file=str(h.root / "share" / "stop")),
     ("failure", "configuration"), "with the content run"),
    ("the stop file stops", stop_file("incident 7"), ("warning", "configuration"), "incident 7"),
    ("a name is misspelt", lambda h: h.configure(idle_timout_minutes=30),
     ("failure", "configuration"), "Did you mean idle_timeout_minutes? It is set by "),
    ("an option is given twice",
     started_with("--AutoShutdown.enabled=false", "--AutoShutdown.enabled=true"),
     ("failure", "configuration"), "Give --AutoShutdown.enabled once"),
    ("an option does not exist", started_with("--AutoShutdown.idle_timout_minutes=30"),
     ("failure", "configuration"), "It is set by the server's command line"),
    ("a drop-in is torn", lambda h: h.person("{", "jupyter_server_config.d/torn.json"),
     ("failure", "configuration"), "torn.json is skipped"),
    ("a directory is in the place of a file",
     lambda h: (h.user / "jupyter_server_config.py").mkdir(parents=True),
     ("failure", "configuration"), "or put a regular file in its place"),
    ("a Python file is none", lambda h: h.person("c.(", "jupyter_server_config.py"),
     ("failure", "configuration"), "jupyter_server_config.py is skipped"),
    ("a Python file raises", lambda h: h.person("1 / 0", "jupyter_server_config.py"),
     ("failure", "configuration"),
     "user/jupyter_server_config.py cannot be loaded: it raises ZeroDivisionError"),
    ("JupyterLab's Python file raises", lambda h: h.person("1 / 0", "jupyter_lab_config.py"),
     ("failure", "configuration"),
     "user/jupyter_lab_config.py cannot be loaded: it raises ZeroDivisionError"),
    ("JupyterLab's file is torn", lambda h: h.person("{", "jupyter_lab_config.json"),
     ("failure", "configuration"), "jupyter_lab_config.json is skipped"),
    ("JupyterLab's file has an unknown name",
     lambda h: h.person("c.AutoShutdown.dryrun = True", "jupyter_lab_config.py"),
     ("failure", "configuration"), "Did you mean dry_run?"),
    ("JupyterLab's file is not read by each server",
     lambda h: (h.enable_lab(False),
                h.person("c.AutoShutdown.dry_run = True", "jupyter_lab_config.py")),
     ("warning", "configuration"),
     "`jupyter server` does not read it, because jupyterlab is not enabled Move AutoShutdown to "),
    ("the user overrides the administrator", overridden, ("warning", "configuration"),
     "env/etc/jupyter/jupyter_server_config.d/admin.json"),
    ("the section is within another section",
     lambda h: h.person({"ServerApp": {"AutoShutdown": {"dry_run": True}}}),
     ("failure", "configuration"), "server_config.json has the section AutoShutdown within"),
    ("a Python file sets the section within another section",
     lambda h: h.person("c.ServerApp.AutoShutdown.dry_run = True", "jupyter_server_config.py"),
     ("failure", "configuration"), "within ServerApp"),
    ("the administrator overrules the user", overruled, ("warning", "configuration"),
     "user/jupyter_server_config.json does not apply"),
    ("the administrator's drop-in is torn", torn_by_the_administrator,
     ("failure", "configuration"), "keeps the extension from starting"),
    ("Jupyter culls kernels", lambda h: h.person(CULL_KERNELS, "jupyter_server_config.py"),
     ("warning", "other cullers"), "so Jupyter acts first"),
    ("Jupyter culls terminals",
     lambda h: h.person({"TerminalManager": {"cull_inactive_timeout": 86400}}),
     ("warning", "other cullers"), "so auto_shutdown acts first"),
    ("Jupyter ends the server",
     lambda h: h.person({"ServerApp": {"shutdown_no_activity_timeout": 600}}),
     ("warning", "other cullers"), "ServerApp.shutdown_no_activity_timeout"),
    ("SageMaker's own agent", native, ("warning", "other cullers"), "Idle shutdown"),
    ("the incumbent", incumbent, ("warning", "other cullers"), "sagemaker_studio_autoshutdown"),
    ("the metadata is torn", lambda h: h.write(h.metadata, "{"), ("failure", "platform"),
     "metadata.json"),
    ("the owner is not known",
     lambda h: h.change_metadata(UserProfileName=None),
     ("failure", "platform"), "AutoShutdown.user_profile_name"),
    ("the region is not known",
     lambda h: h.change_metadata(ResourceArn=None), ("failure", "identity"),
     "AWS_REGION"),
    ("a space: DeleteApp is denied",
     lambda h: (space(h), h.fault("DeleteApp", "AccessDeniedException", denied(DELETE, "*"))),
     ("failure", DELETE), "/lab/JupyterLab/*"),
    ("an instance: Describe is denied",
     lambda h: (instance(h), h.fault("DescribeNotebookInstance", "AccessDeniedException")),
     ("failure", "sagemaker:DescribeNotebookInstance"), "notebook-instance/nb"),
    ("an instance: Stop is denied",
     lambda h: (instance(h), h.fault("StopNotebookInstance", "AccessDeniedException")),
     ("warning", "sagemaker:StopNotebookInstance"), "notebook-instance/nb"),
    ("an instance that could not be started again",
     lambda h: instance(h, "notebook-al2-v3"), ("warning", "irreversible stop"),
     "notebook-al2-v3"),
]  # fmt: skip
