"""The doctor names the broken part of a host in which one thing is broken, and nothing else."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("moto", reason="the local Studio is not installed")

from botocore.loaders import JSONFileLoader
from breakages import FAILURES
from doctor_host import Host, troubles
from ways_to_break import Break, crontab, instance, overruled, space, started_with

from auto_shutdown import doctor
from auto_shutdown.doctor import cullers, situation
from auto_shutdown.local_studio.studio import LocalStudio


@pytest.fixture(scope="module", autouse=True)
def service_models() -> Iterator[None]:
    """Botocore's service models. They have megabytes, so they are read once for all clients
    here."""
    with pytest.MonkeyPatch.context() as patch:
        load = functools.lru_cache(maxsize=None)(JSONFileLoader().load_file)
        patch.setattr(JSONFileLoader, "load_file", lambda _self, path: load(path))
        yield


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStudio]:
    """The SageMaker API of a domain with a user profile; no server and no app runs."""
    with LocalStudio(tmp_path_factory.mktemp("studio")) as found:
        yield found


@pytest.fixture
def host(studio: LocalStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(studio, tmp_path, monkeypatch)


PLATFORMS = ("classic", "space", "instance")


@pytest.mark.parametrize(
    ("broken", "expected", "word"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_doctor_names_the_broken_part_and_nothing_else(
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
def test_doctor_finds_no_trouble_on_a_healthy_host(where: Break, host: Host) -> None:
    where(host)
    findings = doctor.examine()
    assert troubles(findings) == []
    messages = {f.check: f.message for f in findings}
    assert {"credentials", "endpoint", "clock", "state", "panel", "extension"} <= set(messages)
    assert messages["configuration"].endswith("admin.json")


@pytest.mark.parametrize(
    ("minutes", "first"), [(60, "so SageMaker acts first"), (600, "so auto_shutdown acts first")]
)
def test_doctor_compares_the_limits_of_sagemaker_and_of_the_extension(
    minutes: float, first: str, host: Host
) -> None:
    """The doctor compares the limits also if it did not find SageMaker's agent."""
    space(host)
    report = {"platform": {"native_idle_timeout_minutes": minutes}}
    (found,) = cullers.examine(replace(situation.look(), report=report))
    assert found.level.value == "warning"
    assert first in found.message
    assert "2 h" in found.message
    assert "protect_from_native" in found.remedy


def test_state_directory_of_a_notebook_instance_is_on_its_volume(host: Host) -> None:
    instance(host)
    volume = host.root / "home" / "SageMaker"
    volume.mkdir(parents=True)
    host.patch.setenv("HOME", str(host.root / "home"))
    host.configure(state_dir=str(host.root / "told"))
    assert situation.look().state_directory == host.root / "told"
    admin = host.env / "jupyter_server_config.d" / "admin.json"
    host.write(admin, {"AutoShutdown": {"metadata_path": str(host.metadata)}})
    assert situation.look().state_directory == volume / ".auto-shutdown"


def test_doctor_shows_the_value_in_force(host: Host) -> None:
    overruled(host)
    host.person("c.AutoShutdown.grace_minutes = 999", "jupyter_server_config.py")
    messages = [f.message for f in doctor.examine() if f.check == "configuration"]
    (limit,) = (message for message in messages if message.startswith("idle_timeout_minutes"))
    assert limit.startswith("idle_timeout_minutes = 60.0, set by ")
    assert limit.endswith("admin.json")
    assert not [message for message in messages if message.startswith("grace_minutes")]


def test_an_option_that_may_be_repeated_has_all_its_values(host: Host) -> None:
    started_with("--AutoShutdown.locked=dry_run", "--AutoShutdown.locked=enabled")(host)
    found = situation.look()
    assert (found.traits.locked, found.invalid_options) == (["dry_run", "enabled"], ())


def test_doctor_reads_no_tags_without_a_stop_tag(host: Host) -> None:
    host.configure(stop_tag="")
    messages = {f.check: f.message for f in doctor.examine()}
    assert "stop_tag is empty" in messages["sagemaker:ListTags"]
    assert [c for c in host.studio.api.calls if c.operation == "ListTags"] == []


def test_doctor_names_stop_file_if_the_domain_has_no_known_arn(host: Host) -> None:
    """The server then ignores the tag, unless an administrator has configured it."""
    host.change_metadata(ResourceArn=None)
    host.patch.setenv("AWS_REGION", "us-west-2")
    for configured, level in (({}, "warning"), ({"stop_tag": "t"}, "failure")):
        host.configure(**configured)
        findings = doctor.examine()
        assert troubles(findings) == [(level, "sagemaker:ListTags")]
        (named,) = (f for f in findings if f.check == "sagemaker:ListTags")
        assert "stop_file" in named.remedy


@pytest.mark.parametrize(
    "line", ["# */5 * * * * python autostop.py", "*/5 * * * * /usr/bin/backup", ""]
)
def test_doctor_ignores_other_crontabs(line: str, host: Host) -> None:
    crontab(line)(host)
    assert troubles(doctor.examine()) == []


def test_doctor_makes_no_aws_call_outside_of_sagemaker(host: Host) -> None:
    host.metadata.unlink()
    findings = doctor.examine()
    assert troubles(findings) == []
    assert host.studio.api.calls == []


def test_doctor_asks_to_delete_only_random_names(host: Host, studio: LocalStudio) -> None:
    """The doctor asks AWS to delete an app that does not exist, with a new name each time."""
    for _ in range(2):
        doctor.examine()
    space(host)
    doctor.examine()
    asked = [c.request for c in studio.api.calls if c.operation == "DeleteApp"]
    names = {request["AppName"] for request in asked}
    assert len(names) == len(asked) == 3
    assert all(name.startswith("auto-shutdown-doctor-") and len(name) == 53 for name in names)
    changing = {c.operation for c in studio.api.calls} - {"ListApps", "DeleteApp", "ListTags"}
    assert changing == set()


def test_doctor_writes_no_file(host: Host) -> None:
    (host.root / "state").mkdir()
    before = {p: p.stat().st_mtime_ns for p in host.root.rglob("*") if "runtime" not in str(p)}
    doctor.examine()
    after = {p: p.stat().st_mtime_ns for p in host.root.rglob("*") if "runtime" not in str(p)}
    assert {k: v for k, v in after.items() if k.is_file()} == {
        k: v for k, v in before.items() if k.is_file()
    }
    assert list((host.root / "state").iterdir()) == []


def test_user_may_override_their_own_configuration(host: Host) -> None:
    host.person({"AutoShutdown": {"idle_timeout_minutes": 600}})
    host.person("c.AutoShutdown.idle_timeout_minutes = 60", "jupyter_server_config.py")
    assert troubles(doctor.examine()) == []


def test_doctor_shows_the_source_of_each_setting(host: Host) -> None:
    host.configure(idle_timeout_minutes=60)
    host.person("c.AutoShutdown.dry_run = True", "jupyter_server_config.py")
    messages = [f.message for f in doctor.examine() if f.check == "configuration"]
    admin = host.env / "jupyter_server_config.d" / "admin.json"
    assert f"idle_timeout_minutes = 60.0, set by {admin}" in messages
    assert f"dry_run = true, set by {host.user / 'jupyter_server_config.py'}" in messages
