"""The doctor names what is broken: each failure injected alone, into what is otherwise well."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("moto", reason="the local Studio is not installed")

from botocore.loaders import JSONFileLoader

import auto_shutdown
from auto_shutdown import doctor
from auto_shutdown.doctor import configuration, cron, cullers, installation, situation
from auto_shutdown.local_studio import api
from auto_shutdown.local_studio.api import Fault, denied
from auto_shutdown.local_studio.studio import CREDENTIALS, LocalStudio

BUNDLE = Path(auto_shutdown.__file__).parent / "labextension"
PANEL = installation.PANEL


@pytest.fixture(scope="module", autouse=True)
def service_models() -> Iterator[None]:
    """Botocore's service models, read once and not for each of the clients here: megabytes."""
    with pytest.MonkeyPatch.context() as patch:
        load = functools.lru_cache(maxsize=None)(JSONFileLoader().load_file)
        patch.setattr(JSONFileLoader, "load_file", lambda _self, path: load(path))
        yield


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStudio]:
    """The SageMaker API of a domain with a user profile; no server and no app runs."""
    with LocalStudio(tmp_path_factory.mktemp("studio")) as found:
        yield found


class Host:
    """One host with everything right, and the ways in which it can be broken."""

    def __init__(self, studio: LocalStudio, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.studio, self.root, self.patch = studio, root, monkeypatch
        self.user, self.env = root / "user", root / "env" / "etc" / "jupyter"
        self.metadata = root / "metadata.json"
        shutil.copy(studio.metadata_path, self.metadata)
        self._lay_out_jupyter()
        shutil.copytree(BUNDLE, self.panel, symlinks=True)
        self.write(
            self.env / "jupyter_server_config.d" / "auto_shutdown.json",
            {"ServerApp": {"jpserver_extensions": {"auto_shutdown": True}}},
        )
        self.configure()
        studio.api.faults.clear()
        studio.api.calls.clear()

    def _lay_out_jupyter(self) -> None:
        for name in list(os.environ):
            if name.startswith(("JUPYTER", "AWS")):
                self.patch.delenv(name)
        environ = {
            **CREDENTIALS,
            "HOME": str(self.root),
            "JUPYTER_CONFIG_DIR": str(self.user),
            "JUPYTER_DATA_DIR": str(self.root / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.root / "runtime"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "PATH": os.pathsep.join(  # without sudo, which would show this machine's crontab
                p for p in os.environ["PATH"].split(os.pathsep) if not Path(p, "sudo").exists()
            ),
            "AWS_ENDPOINT_URL_SAGEMAKER": self.studio.endpoint_url,
        }
        for name, value in environ.items():
            self.patch.setenv(name, value)
        self.patch.setattr(cron, "CRONTABS", (self.root / "cron",))
        share = str(self.root / "env" / "share" / "jupyter")
        for name, value in (
            ("ENV_JUPYTER_PATH", [share]),
            ("SYSTEM_JUPYTER_PATH", []),
            ("ENV_CONFIG_PATH", [str(self.env)]),
            ("SYSTEM_CONFIG_PATH", []),
        ):
            self.patch.setattr(f"jupyter_core.paths.{name}", value)

    @property
    def panel(self) -> Path:
        return self.root / "env" / "share" / "jupyter" / "labextensions" / PANEL

    def write(self, path: Path, content: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    def configure(self, **traits: Any) -> None:
        """What the administrator's file says."""
        given = {"metadata_path": str(self.metadata), "state_dir": str(self.root / "state")}
        admin = self.env / "jupyter_server_config.d" / "admin.json"
        self.write(admin, {"AutoShutdown": {**given, **traits}})

    def person(self, content: Any, name: str = "jupyter_server_config.json") -> None:
        """A configuration file in the user's own directory."""
        self.write(self.user / name, content)

    def fault(self, operation: str, code: str, message: str = "injected", **more: Any) -> None:
        self.studio.api.faults.append(Fault(operation, code, message, **more))

    def is_told(self, **changes: Any) -> None:
        """Change what the metadata file says."""
        told = {**json.loads(self.metadata.read_text()), **changes}
        self.write(self.metadata, {k: v for k, v in told.items() if v is not None})

    def module(self, name: str) -> None:
        """A package that is installed."""
        self.write(self.root / "packages" / f"{name}.py", "")
        self.patch.syspath_prepend(str(self.root / "packages"))

    def version(self, distribution: str, version: str | None) -> None:
        real = importlib.metadata.version

        def told(name: str) -> str:
            if name != distribution:
                return real(name)
            if version is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return version

        self.patch.setattr(importlib.metadata, "version", told)


@pytest.fixture
def host(studio: LocalStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(studio, tmp_path, monkeypatch)


def troubles(findings: list[doctor.Finding]) -> list[tuple[str, str]]:
    """What is not well, but for the server that does not run in any of these."""
    return [
        (f.level.value, f.check)
        for f in findings
        if f.level is not doctor.Level.OK and f.check != "server"
    ]


# -- the ways in which it can be broken ------------------------------------------------------

Break = Callable[[Host], object]
LIST, DELETE = "sagemaker:ListApps", "sagemaker:DeleteApp"


def no_credentials(host: Host) -> None:
    for name in CREDENTIALS:
        host.patch.delenv(name)


def expired(host: Host) -> None:
    for operation in ("ListApps", "DeleteApp"):
        host.fault(operation, "ExpiredTokenException", "The security token is expired: SECRET")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def overruled(host: Host) -> None:
    """A user's file, and an administrator's that is not in their home."""
    host.patch.setenv("HOME", str(host.root / "home"))
    host.configure(idle_timeout_minutes=60)
    host.person({"AutoShutdown": {"idle_timeout_minutes": 600}})


def torn_by_the_administrator(host: Host) -> None:
    host.patch.setenv("HOME", str(host.root / "home"))
    host.write(host.env / "jupyter_server_config.d" / "torn.json", "{")


def extensions(**switched: bool) -> dict[str, Any]:
    return {"ServerApp": {"jpserver_extensions": switched}}


def space(host: Host) -> None:
    """A JupyterLab space, instead of Studio Classic."""
    host.is_told(AppType="JupyterLab", SpaceName="lab", UserProfileName=None)


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
        sudo, "#!/bin/sh\necho '*/5 * * * * /usr/bin/python /root/autostop.py --time 3600'\n"
    )
    sudo.chmod(0o755)
    host.patch.setenv("PATH", f"{sudo.parent}:{os.environ['PATH']}")


AUTO_STOP = (
    "*/2 * * * * /bin/bash -ic '/opt/conda/bin/python /var/tmp/auto-stop-idle/"
    "sagemaker_studio_jlab_auto_stop_idle/auto_stop_idle.py --idle-time 3600'"
)
PLATFORMS = ("classic", "space", "instance")
CULL_KERNELS = "c.MappingKernelManager.cull_idle_timeout = 60 * 60\n"

#: What is broken, how, what must be named, and a word that tells it from its neighbours.
FAILURES: list[tuple[str, Break, tuple[str, str], str]] = [
    ("no credentials", no_credentials, ("failure", "credentials"), "NoCredentialsError"),
    ("expired credentials", expired, ("failure", "credentials"), "ExpiredTokenException"),
    ("ListApps is denied",
     lambda h: h.fault("ListApps", "AccessDeniedException", denied(LIST, "*")),
     ("failure", LIST), "Allow sagemaker:ListApps"),
    ("DeleteApp is denied",
     lambda h: h.fault("DeleteApp", "AccessDeniedException", denied(DELETE, "*")),
     ("failure", DELETE), "/ada/KernelGateway/*"),
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
     "auto_stop_idle.py runs from cron"),
    ("autostop.py in cron", crontab("*/5 * * * * /usr/bin/python /home/x/autostop.py --time 3600"),
     ("warning", "other cullers"), "lifecycle-config --attach … --replace"),
    ("another script in cron", crontab("@hourly root aws sagemaker delete-app --app-name default"),
     ("warning", "other cullers"), "a script that deletes apps"),
    ("root's hidden crontab", hidden_crontab, ("warning", "other cullers"), "root's crontab"),
    ("a section in lower case",
     lambda h: h.person({"auto_shutdown": {"dry_run": True}}, "jupyter_server_config.d/x.json"),
     ("warning", "configuration"), "has a section 'auto_shutdown'"),
    ("a proxy answers", lambda h: h.studio.api.faults.append(Fault("ListApps", garbage=True)),
     ("failure", "endpoint"), "NO_PROXY"),
    ("the clock is fast", clock(600), ("failure", "clock"), "ahead of"),
    ("the clock is slow", clock(-600), ("failure", "clock"), "behind"),
    ("the clock is a bit off", clock(120), ("warning", "clock"), "ahead of"),
    ("the state directory cannot be made",
     lambda h: h.configure(state_dir=str(h.metadata / "state")), ("failure", "state"), "be made"),
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
    ("a name is misspelt", lambda h: h.configure(idle_timout_minutes=30),
     ("warning", "configuration"), "AutoShutdown.idle_timout_minutes"),
    ("a drop-in is torn", lambda h: h.person("{", "jupyter_server_config.d/torn.json"),
     ("failure", "configuration"), "torn.json is skipped"),
    ("a Python file is none", lambda h: h.person("c.(", "jupyter_server_config.py"),
     ("failure", "configuration"), "jupyter_server_config.py is skipped"),
    ("a Python file raises", lambda h: h.person("1 / 0", "jupyter_server_config.py"),
     ("failure", "configuration"), "ZeroDivisionError"),
    ("the user overrides the administrator", overridden, ("warning", "configuration"),
     "env/etc/jupyter/jupyter_server_config.d/admin.json"),
    ("the administrator overrules the user", overruled, ("warning", "configuration"),
     "user/jupyter_server_config.json counts for nothing"),
    ("the administrator's drop-in is torn", torn_by_the_administrator,
     ("failure", "configuration"), "keeps the extension from starting"),
    ("Jupyter culls kernels", lambda h: h.person(CULL_KERNELS, "jupyter_server_config.py"),
     ("warning", "other cullers"), "so Jupyter comes first"),
    ("Jupyter culls terminals",
     lambda h: h.person({"TerminalManager": {"cull_inactive_timeout": 86400}}),
     ("warning", "other cullers"), "so auto_shutdown comes first"),
    ("Jupyter ends the server",
     lambda h: h.person({"ServerApp": {"shutdown_no_activity_timeout": 600}}),
     ("warning", "other cullers"), "ServerApp.shutdown_no_activity_timeout"),
    ("SageMaker's own agent", native, ("warning", "other cullers"), "Idle shutdown"),
    ("the incumbent", incumbent, ("warning", "other cullers"), "sagemaker_studio_autoshutdown"),
    ("the metadata is torn", lambda h: h.write(h.metadata, "{"), ("failure", "platform"),
     "metadata.json"),
    ("the owner is not known", lambda h: h.is_told(UserProfileName=None),
     ("failure", "platform"), "AutoShutdown.user_profile_name"),
    ("the region is not known", lambda h: h.is_told(ResourceArn=None), ("failure", "identity"),
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


@pytest.mark.parametrize(
    ("broken", "expected", "word"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_it_names_what_is_broken_and_nothing_else(
    broken: Break, expected: tuple[str, str], word: str, host: Host
) -> None:
    broken(host)
    findings = doctor.examine()
    assert troubles(findings) == [expected]
    (named,) = (f for f in findings if (f.level.value, f.check) == expected)
    assert word in f"{named.message} {named.remedy}"
    assert named.remedy
    assert "SECRET" not in str(findings)


@pytest.mark.parametrize("where", [lambda _host: None, space, instance], ids=PLATFORMS)
def test_all_is_well(where: Break, host: Host) -> None:
    where(host)
    findings = doctor.examine()
    assert troubles(findings) == []
    said = {f.check: f.message for f in findings}
    assert {"credentials", "endpoint", "clock", "state", "panel", "extension"} <= set(said)
    assert said["configuration"].endswith("admin.json")


@pytest.mark.parametrize(
    ("minutes", "first"), [(60, "so SageMaker comes first"), (600, "so auto_shutdown comes first")]
)
def test_sagemakers_own_limit_where_the_server_could_read_it(
    minutes: float, first: str, host: Host
) -> None:
    """Also where its agent was not found, and whatever of the two limits is the shorter."""
    space(host)
    report = {"platform": {"native_idle_timeout_minutes": minutes}}
    (found,) = cullers.examine(replace(situation.look(), report=report))
    assert found.level.value == "warning"
    assert first in found.message
    assert "2 h" in found.message
    assert "protect_from_native" in found.remedy


def test_the_state_of_a_notebook_instance_is_where_a_stop_leaves_it(host: Host) -> None:
    instance(host)
    volume = host.root / "home" / "SageMaker"
    volume.mkdir(parents=True)
    host.patch.setenv("HOME", str(host.root / "home"))
    host.configure(state_dir=str(host.root / "told"))
    assert situation.look().state_directory == host.root / "told"
    admin = host.env / "jupyter_server_config.d" / "admin.json"
    host.write(admin, {"AutoShutdown": {"metadata_path": str(host.metadata)}})
    assert situation.look().state_directory == volume / ".auto-shutdown"


def test_it_shows_the_value_that_is_in_force(host: Host) -> None:
    overruled(host)
    host.person("c.AutoShutdown.grace_minutes = 999", "jupyter_server_config.py")
    said = [f.message for f in doctor.examine() if f.check == "configuration"]
    (limit,) = (message for message in said if message.startswith("idle_timeout_minutes"))
    assert limit.startswith("idle_timeout_minutes = 60.0, set by ")
    assert limit.endswith("admin.json")
    assert not [message for message in said if message.startswith("grace_minutes")]


@pytest.mark.parametrize(
    "line", ["# */5 * * * * python autostop.py", "*/5 * * * * /usr/bin/backup", ""]
)
def test_other_crontabs_are_no_concern_of_ours(line: str, host: Host) -> None:
    crontab(line)(host)
    assert troubles(doctor.examine()) == []


def test_off_sagemaker_nothing_is_asked(host: Host) -> None:
    host.metadata.unlink()
    findings = doctor.examine()
    assert troubles(findings) == []
    assert host.studio.api.calls == []


def test_nothing_can_be_deleted_by_it(host: Host, studio: LocalStudio) -> None:
    """The names that it asks to delete are nobody's, and never the same."""
    for _ in range(2):
        doctor.examine()
    space(host)
    doctor.examine()
    asked = [c.request for c in studio.api.calls if c.operation == "DeleteApp"]
    names = {request["AppName"] for request in asked}
    assert len(names) == len(asked) == 3
    assert all(name.startswith("auto-shutdown-doctor-") and len(name) == 53 for name in names)
    changing = {c.operation for c in studio.api.calls} - {"ListApps", "DeleteApp"}
    assert changing == set()


def test_it_writes_nothing(host: Host) -> None:
    (host.root / "state").mkdir()
    before = {p: p.stat().st_mtime_ns for p in host.root.rglob("*") if "runtime" not in str(p)}
    doctor.examine()
    after = {p: p.stat().st_mtime_ns for p in host.root.rglob("*") if "runtime" not in str(p)}
    assert {k: v for k, v in after.items() if k.is_file()} == {
        k: v for k, v in before.items() if k.is_file()
    }
    assert list((host.root / "state").iterdir()) == []


def test_a_user_may_override_what_the_same_user_wrote(host: Host) -> None:
    host.person({"AutoShutdown": {"idle_timeout_minutes": 600}})
    host.person("c.AutoShutdown.idle_timeout_minutes = 60", "jupyter_server_config.py")
    assert troubles(doctor.examine()) == []


def test_the_source_of_each_setting_is_shown(host: Host) -> None:
    host.configure(idle_timeout_minutes=60)
    host.person("c.AutoShutdown.dry_run = True", "jupyter_server_config.py")
    said = [f.message for f in doctor.examine() if f.check == "configuration"]
    admin = host.env / "jupyter_server_config.d" / "admin.json"
    assert f"idle_timeout_minutes = 60.0, set by {admin}" in said
    assert f"dry_run = true, set by {host.user / 'jupyter_server_config.py'}" in said
