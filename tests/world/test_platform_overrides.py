"""The metadata file names the kind of the host, and the configuration names the owner. The tests
combine every kind with each configuration, also with invalid files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auto_shutdown import safe_files
from auto_shutdown.core.model import App
from auto_shutdown.world.platform import Platform, recognise

APP = App("KernelGateway", "x", "InService")
CLASSIC = {
    "AppType": "JupyterServer",
    "DomainId": "d-1",
    "UserProfileName": "ada",
    "ResourceName": "default",
    "ResourceArn": "arn:aws-cn:sagemaker:cn-north-1:111122223333:app/d-1/ada/jupyterserver/default",
}
INSTANCE = {
    "ResourceArn": "arn:aws:sagemaker:us-east-2:1:notebook-instance/n",
    "ResourceName": "n",
}
SPACE = {k: v for k, v in CLASSIC.items() if k != "UserProfileName"}
SPACE.update(AppType="JupyterLab", SpaceName="s")
USER = {"domain_id": "d-2", "user_profile_name": "eve"}
TEAM = {"domain_id": "d-2", "space_name": "team"}


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "metadata.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


#: content (None: no file), overrides, kind, has apps, is a problem
TABLE: dict[str, tuple[Any, Mapping[str, str | None], str, bool, bool]] = {
    "no file, nothing": (None, {}, "local", False, False),
    "no file, a region": (None, {"region_name": "us-west-2"}, "local", False, False),
    "no file, a user": (None, USER, "studio-classic", True, False),
    "no file, a space": (None, TEAM, "studio-classic", True, False),
    "no file, a domain only": (None, {"domain_id": "d-2"}, "local", False, True),
    "no file, an owner only": (None, {"user_profile_name": "e"}, "local", False, True),
    "no file, None and empty": (
        None,
        {"domain_id": None, "user_profile_name": "", "space_name": None},
        "local",
        False,
        False,
    ),
    "torn, nothing": ('{"AppT', {}, "local", False, True),
    "torn, a user": ('{"AppT', USER, "studio-classic", True, False),
    "torn, a domain only": ('{"AppT', {"domain_id": "d-2"}, "local", False, True),
    "classic, a user": (CLASSIC, USER, "studio-classic", True, False),
    "classic without owner, a user": (
        {**CLASSIC, "UserProfileName": ""},
        {"user_profile_name": "eve"},
        "studio-classic",
        True,
        False,
    ),
    # What configuration says of who cannot make a host what it is not: apps are judged only
    # where their kernels are seen.
    "notebook instance, a user": (INSTANCE, USER, "notebook-instance", False, False),
    "inside a KernelGateway, a user": (
        {**CLASSIC, "AppType": "KernelGateway"},
        USER,
        "local",
        False,
        False,
    ),
    "a JupyterLab space, a user": (SPACE, USER, "studio-space", False, False),
    "classic without owner, nothing": (
        {**CLASSIC, "UserProfileName": ""},
        {},
        "local",
        False,
        True,
    ),
    "notebook instance with empty keys": (
        {**INSTANCE, "AppType": "", "DomainId": ""},
        {},
        "notebook-instance",
        False,
        False,
    ),
    "foreign, nothing": ({"hello": 1}, {}, "local", False, True),
    "foreign, a user": ({"hello": 1}, USER, "studio-classic", True, False),
    "names without AppType": (
        {"DomainId": "d-1", "UserProfileName": "ada", "ResourceName": "x"},
        {},
        "local",
        False,
        True,
    ),
    "names without AppType, an owner": (
        {"DomainId": "d-1"},
        {"user_profile_name": "eve"},
        "local",
        False,
        True,
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_kind_of_platform_with_configured_values(name: str, tmp_path: Path) -> None:
    content, overrides, kind, has_apps, problem = TABLE[name]
    path = tmp_path / "none" if content is None else written(tmp_path, content)
    platform = recognise(path, overrides, {})
    assert (platform.kind, platform.has_apps) == (kind, has_apps)
    assert (platform.problem is not None) == problem
    if platform.problem is not None:
        assert str(path) in platform.problem.message
        assert "AutoShutdown.domain_id" in platform.problem.remedy
        assert "hello" not in platform.problem.message


@pytest.mark.parametrize(
    ("overrides", "argument"),
    [
        ({}, {"UserProfileName": "ada"}),
        (USER, {"UserProfileName": "eve"}),
        (TEAM, {"SpaceName": "team"}),
        ({**USER, **TEAM}, {"SpaceName": "team"}),
    ],
)
def test_api_calls_name_exactly_one_owner(
    overrides: dict[str, str], argument: dict[str, str], tmp_path: Path
) -> None:
    platform = recognise(written(tmp_path, CLASSIC), overrides, {})
    assert platform.owner_argument == argument
    assert platform.owner_filter == {f"{key}Equals": value for key, value in argument.items()}
    both = recognise(written(tmp_path, {**CLASSIC, "SpaceName": "s"}), {}, {})
    assert both.owner_argument == {"SpaceName": "s"}
    assert Platform(user_profile_name="u", space_name="s").owner_argument == {"SpaceName": "s"}
    assert Platform().owner_argument == Platform().owner_filter == {}


@pytest.mark.parametrize(
    ("overrides", "arn", "environ", "region"),
    [
        ({"region_name": "o"}, "arn:aws:sagemaker:a:1:x", {"AWS_REGION": "e"}, "o"),
        ({}, "arn:aws:sagemaker:a:1:x", {"AWS_REGION": "e"}, "a"),
        ({}, "arn:aws:sagemaker::1:x", {"AWS_REGION": "e", "AWS_DEFAULT_REGION": "d"}, "e"),
        ({}, "not:an:arn:x:y:z", {"AWS_REGION": "", "AWS_DEFAULT_REGION": "d"}, "d"),
        ({}, "arn:aws", {}, None),
        ({"region_name": ""}, "", {}, None),
    ],
)
def test_region_comes_from_configuration_then_arn_then_environment(
    overrides: dict[str, str],
    arn: str,
    environ: dict[str, str],
    region: str | None,
    tmp_path: Path,
) -> None:
    path = written(tmp_path, {**CLASSIC, "ResourceArn": arn})
    assert recognise(path, overrides, environ).region_name == region


def test_app_arn_uses_all_known_values(tmp_path: Path) -> None:
    platform = recognise(written(tmp_path, CLASSIC), {}, {})
    assert platform.resource_arn == CLASSIC["ResourceArn"]
    assert platform.app_arn(APP) == (
        "arn:aws-cn:sagemaker:cn-north-1:111122223333:app/d-1/ada/KernelGateway/x"
    )
    assert Platform().app_arn(APP) == "arn:aws:sagemaker:*:*:app/*/*/KernelGateway/x"


@pytest.mark.parametrize(
    ("region", "partition"),
    [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("us-west-2", "aws")],
)
def test_partition_follows_from_the_region_without_an_arn(
    region: str, partition: str, tmp_path: Path
) -> None:
    given_ = {**USER, "region_name": region}
    platform = recognise(tmp_path / "none", given_, {"AWS_ACCOUNT_ID": "7"})
    assert platform.app_arn(APP).startswith(f"arn:{partition}:sagemaker:{region}:7:app/d-2/eve/")


@pytest.mark.parametrize(
    ("content", "code"),
    [("[" * 100_000, "RecursionError"), ("null", "Foreign"), ("", "JSONDecodeError")],
)
def test_malformed_metadata_file_is_a_problem(content: str, code: str, tmp_path: Path) -> None:
    problem = recognise(written(tmp_path, content), {}, {}).problem
    assert problem is not None
    # How deep is too deep is Python's choice.
    assert problem.code in (code, "JSONDecodeError")


def test_binary_bom_and_directory_in_place_of_the_metadata_file(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(b"\xff\xfe\x00")
    assert recognise(path, {}, {}).problem is not None
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(CLASSIC).encode())
    assert recognise(path, {}, {}).kind == "studio-classic"
    assert recognise(tmp_path, {}, {}).problem is not None
    assert recognise(path / "below", {}, {}) == Platform()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_unreadable_metadata_file_is_a_problem(tmp_path: Path) -> None:
    path = written(tmp_path, CLASSIC)
    path.chmod(0)
    problem = recognise(path, {}, {}).problem
    assert problem is not None
    assert problem.code == "PermissionError"


def test_permission_error_for_the_metadata_file_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as above for a user who runs the tests as root."""

    def refuse(*_: object, **__: object) -> bytes:
        raise PermissionError("no")

    path = written(tmp_path, CLASSIC)
    monkeypatch.setattr(safe_files, "read_bytes", refuse)
    platform = recognise(path, {}, {})
    assert platform.kind == "local"
    assert platform.problem is not None
    assert platform.problem.code == "PermissionError"


NAMES = st.sampled_from(["", "a", "JupyterServer", "JupyterLab", "KernelGateway", "arn:a:b:c:d:e"])
VALUES = st.one_of(NAMES, st.none(), st.integers(), st.lists(NAMES), st.dictionaries(NAMES, NAMES))
KEYS = st.sampled_from(
    ["AppType", "DomainId", "UserProfileName", "SpaceName", "ResourceName", "ResourceArn", "x"]
)
OVERRIDES = st.dictionaries(
    st.sampled_from(["domain_id", "user_profile_name", "space_name", "region_name"]),
    st.one_of(st.none(), st.sampled_from(["", "d", "u"])),
)


@given(
    st.one_of(
        st.dictionaries(KEYS, VALUES).map(lambda found: json.dumps(found).encode()), st.binary()
    ),
    OVERRIDES,
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_metadata_content_raises(
    tmp_path: Path, content: bytes, overrides: dict[str, str | None]
) -> None:
    path = tmp_path / "metadata.json"
    path.write_bytes(content)
    platform = recognise(path, overrides, {})
    assert platform.kind in ("studio-classic", "studio-space", "notebook-instance", "local")
    assert len(platform.owner_argument) <= 1
    if platform.kind == "studio-classic":
        assert platform.has_apps
        assert platform.app_type in (None, "JupyterServer")
        assert len(platform.owner_argument) == 1
    if platform.problem is not None:
        assert platform.kind == "local"
        assert not platform.has_apps
