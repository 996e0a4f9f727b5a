"""The platform of this server: every kind of metadata file, and the configuration that overrides
it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.core.model import App
from auto_shutdown.world.platform import Platform, recognise, state_directory

ARN = "arn:aws:sagemaker:us-east-2:111122223333:app/d-1/ada/jupyterserver/default"
CLASSIC = {
    "AppType": "JupyterServer",
    "DomainId": "d-1",
    "UserProfileName": "ada",
    "ResourceName": "default",
    "ResourceArn": ARN,
}
WITHOUT_USER = {k: v for k, v in CLASSIC.items() if k != "UserProfileName"}

SPACE = {**WITHOUT_USER, "SpaceName": "s"}

KINDS: dict[str, tuple[dict[str, Any], str, bool]] = {
    "JupyterServer": (CLASSIC, "studio-classic", True),
    "shared space of Classic": (SPACE, "studio-classic", True),
    "JupyterLab space": ({**SPACE, "AppType": "JupyterLab"}, "studio-space", False),
    "with an empty user": (
        {**CLASSIC, "AppType": "JupyterLab", "SpaceName": "s", "UserProfileName": ""},
        "studio-space",
        False,
    ),
    "CodeEditor space": ({**SPACE, "AppType": "CodeEditor"}, "studio-space", False),
    "Unified Studio": (
        {**SPACE, "AppType": "JupyterLab", "AdditionalMetadata": {"DataZoneUserId": "u"}},
        "studio-space",
        False,
    ),
    "notebook instance": (
        {"ResourceArn": "arn:aws:sagemaker:us-east-2:1:notebook-instance/n", "ResourceName": "n"},
        "notebook-instance",
        False,
    ),
    "inside a KernelGateway": ({**CLASSIC, "AppType": "KernelGateway"}, "local", False),
    "an app type never heard of": ({**CLASSIC, "AppType": "Novel"}, "local", False),
    "no owner": (WITHOUT_USER, "local", False),
    "an empty object": ({}, "local", False),
}


@pytest.mark.parametrize("name", KINDS)
def test_kind_of_platform_follows_from_the_metadata_file(name: str, tmp_path: Path) -> None:
    metadata, kind, has_apps = KINDS[name]
    path = tmp_path / "m.json"
    path.write_text(json.dumps(metadata))
    platform = recognise(path, {}, {})
    assert (platform.kind, platform.has_apps) == (kind, has_apps)
    assert (platform.problem is not None) == (name == "no owner")


def test_the_platform_has_all_values_of_the_metadata_file(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(CLASSIC))
    assert recognise(path, {}, {"AWS_REGION": "eu-west-1"}) == Platform(
        "studio-classic",
        "d-1",
        "ada",
        None,
        "us-east-2",
        "JupyterServer",
        "default",
        "111122223333",
    )


@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00"])
def test_a_bad_metadata_file_is_a_problem_and_the_kind_is_local(
    content: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.json"
    path.write_text(content)
    platform = recognise(path, {}, {})
    assert platform.kind == "local"
    assert platform.problem is not None
    assert str(path) in platform.problem.message


def test_configuration_overrides_the_metadata_file_and_works_without_it(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    given = {"domain_id": "d-2", "space_name": "s", "region_name": "eu-west-1"}
    alone = recognise(path, given, {})
    assert (alone.kind, alone.owner_key, alone.owner) == ("studio-classic", "SpaceName", "s")
    path.write_text(json.dumps(CLASSIC))
    both = recognise(path, given, {})
    assert (both.domain_id, both.owner, both.user_profile_name) == ("d-2", "s", None)
    assert both.region_name == "eu-west-1"
    assert recognise(tmp_path / "none", {}, {"AWS_DEFAULT_REGION": "x"}) == Platform(
        region_name="x"
    )


def test_the_arn_that_a_policy_must_allow(tmp_path: Path) -> None:
    app = App("KernelGateway", "x", "InService")
    platform = Platform("studio-classic", "d-1", "ada", region_name="us-east-2")
    assert platform.app_arn(app) == "arn:aws:sagemaker:us-east-2:*:app/d-1/ada/KernelGateway/x"


@pytest.mark.parametrize(
    ("kind", "volume", "lasts"),
    [
        ("notebook-instance", True, True),
        ("notebook-instance", False, False),  # started in some other way: then nothing is known
        ("studio-space", True, False),  # all of it lasts; that is only a directory of the user's
        ("local", True, False),
    ],
)
def test_state_directory_is_on_the_volume_that_survives_a_stop(
    kind: str, volume: bool, lasts: bool, tmp_path: Path
) -> None:
    if volume:
        (tmp_path / "SageMaker").mkdir()
    found = state_directory(Platform(kind), tmp_path, "usual")
    assert found == (str(tmp_path / "SageMaker" / ".auto-shutdown") if lasts else "usual")
