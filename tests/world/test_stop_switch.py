"""The administrator's switch: a tag or a file, and safe when it cannot be read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("moto")
from morning import BareStudio

from auto_shutdown.local_studio.studio import CREDENTIALS
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.sagemaker import SageMaker
from auto_shutdown.world.stop_switch import Stop, StopSwitch, switch_arn

ARN = "arn:aws:sagemaker:us-east-1:123456789012:domain/d-1"
TAG = "auto-shutdown:stop"
STOPPED = Stop(
    "An administrator has stopped all removals: incident 7.",
    f"Removals continue when the administrator deletes the tag {TAG} of {ARN}.",
)


class RefusalError(Exception):
    def __init__(self, code: str) -> None:
        self.response = {"Error": {"Code": code, "Message": "no"}}


def switch(answer: Any, **more: Any) -> StopSwitch:
    async def list_tags(arn: str) -> Any:
        assert arn == ARN
        if isinstance(answer, Exception):
            raise answer
        return answer

    return StopSwitch(TAG, ARN, list_tags, **more)


async def read_file(path: Path) -> Stop | None:
    stop_file = StopSwitch(file=str(path))
    try:
        return await stop_file.read()
    finally:
        stop_file.close()


async def test_stop_tag_gives_the_reason() -> None:
    assert await switch({}).read() is None
    assert await switch({"auto-shutdown:stopped": "x"}).read() is None
    assert await switch({TAG: "incident 7."}).read() == STOPPED
    found = await switch({TAG: ""}).read()
    assert found is not None
    assert found.message == "An administrator has stopped all removals."
    long = await switch({TAG: "a\n\x1b[2J" + "x" * 1000}).read()
    assert long is not None
    assert len(long.message) < 300


@pytest.mark.parametrize("code", ["ThrottlingException", "ExpiredToken", "InternalFailure"])
async def test_a_switch_that_cannot_be_read_stops_removals(code: str) -> None:
    for error in (RefusalError(code), asyncio.TimeoutError(), OSError("no route")):
        found = await switch(error).read()
        assert found is not None
        assert not found.known
        assert "It is unknown whether" in found.message
        assert "Nothing is removed meanwhile." in found.message


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException"])
async def test_a_missing_permission_stops_removals_only_if_the_tag_is_configured(code: str) -> None:
    assert await switch(RefusalError(code)).read() is None
    found = await switch(RefusalError(code), required=True).read()
    assert found is not None
    assert found.remedy == f"Allow the role of this server sagemaker:ListTags on {ARN}."


@pytest.mark.parametrize("content", [b"run", b"run\n", b" Run\r\n", b"\xef\xbb\xbfrun\r\n"])
async def test_stop_file_with_the_word_run_allows_removals(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "stop"
    path.write_bytes(content)
    assert await read_file(path) is None


@pytest.mark.parametrize("content", ["", "run now", "runs", "stop", "\0"])
async def test_stop_file_with_any_other_content_stops_removals(
    content: str, tmp_path: Path
) -> None:
    path = tmp_path / "stop"
    path.write_text(content)
    stop = await read_file(path)
    assert stop is not None
    assert stop.known


async def test_stop_file_gives_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "stop"
    path.write_text("incident 7\n")
    assert await read_file(path) == Stop(
        STOPPED.message, f"Removals continue when the administrator writes run into {path}."
    )


def missing(path: Path) -> None:
    """As on a share that is not mounted: its mount point is an empty directory."""


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (missing, "No such file or directory"),
        (os.mkfifo, "it is a named pipe"),
        (Path.mkdir, "it is a directory"),
        (lambda path: path.write_text("run" * 10_000), "it is longer than 10000 bytes"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
    ],
    ids=["missing", "pipe", "directory", "long", "dangling link"],
)
async def test_stop_file_that_cannot_be_read_stops_removals(
    make: Any, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "stop"
    make(path)
    stop = await read_file(path)
    assert stop is not None
    assert not stop.known
    assert f"{path} cannot be read ({why})" in stop.message
    assert stop.remedy == f"Make {path} a file that this server can read, with the content run."


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
async def test_stop_file_may_belong_to_an_administrators_account(tmp_path: Path) -> None:
    path = tmp_path / "stop"
    path.write_text("run")
    os.chown(path, 4711, 4711)
    os.chown(tmp_path, 4712, 4712)
    assert await read_file(path) is None


async def test_without_a_configured_switch_nothing_is_read() -> None:
    assert await StopSwitch().read() is None
    assert await StopSwitch(TAG, None, None).read() is None


async def test_configured_tag_of_an_unknown_domain_stops_all_removals() -> None:
    async def never_called(arn: str) -> dict[str, str]:
        raise AssertionError(arn)

    assert await StopSwitch(TAG, None, never_called).read() is None
    stop = await StopSwitch(TAG, None, never_called, required=True).read()
    assert stop is not None
    assert not stop.known
    assert "stop_file" in stop.remedy


def test_arn_of_the_resource_that_carries_the_stop_tag() -> None:
    classic = Platform("studio-classic", "d-1", "ada", region_name="us-east-1")
    assert switch_arn(classic) is None, "the account is not known"
    known = Platform(
        "studio-space", "d-1", None, "s", "us-east-1", account_id="123456789012", partition="aws"
    )
    assert switch_arn(known) == ARN
    instance = "arn:aws:sagemaker:us-east-1:1:notebook-instance/n"
    assert switch_arn(Platform("notebook-instance", resource_arn=instance)) == instance
    assert switch_arn(Platform()) is None


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareStudio]:
    with BareStudio(tmp_path_factory.mktemp("studio")) as found:
        yield found


@pytest.mark.slow
async def test_stop_tag_is_read_through_boto3(
    studio: BareStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call of an administrator, and boto3 in the server."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    platform = Platform(
        "studio-classic",
        studio.domain_id,
        studio.user_profile_name,
        region_name=studio.region,
        account_id="123456789012",
    )
    sagemaker = SageMaker(platform, studio.api.url)
    arn = switch_arn(platform)
    assert arn is not None
    found = StopSwitch(TAG, arn, sagemaker.list_tags)
    assert await found.read() is None
    studio.client().add_tags(ResourceArn=arn, Tags=[{"Key": TAG, "Value": "incident 7"}])
    stop = await found.read()
    assert stop is not None
    assert (stop.message, stop.known) == (STOPPED.message, True)
    studio.client().delete_tags(ResourceArn=arn, TagKeys=[TAG])
    assert await found.read() is None
    assert sagemaker.calls["ListTags"] == 3
    sagemaker.close()
