"""Lists of apps through real boto3, from answers that no correct service gives: inconsistent pages,
errors, garbage, and a connection that is cut."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

pytest.importorskip("boto3")

from scripted_sagemaker import (
    ADA,
    APP,
    IN_SPACE,
    RECORD,
    TEAM,
    Answer,
    Endpoint,
    error,
    listing,
    unread_of,
)

from auto_shutdown.core.model import App
from auto_shutdown.core.outcome import Result
from auto_shutdown.world import sagemaker
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.sagemaker import SageMaker

# boto3 says this about itself on the oldest Python we support.
pytestmark = pytest.mark.filterwarnings("ignore:Boto3 will no longer support")


async def test_list_apps_sends_the_filter_and_reads_all_pages(
    endpoint: Endpoint, maker: SageMaker
) -> None:
    endpoint.script += [listing(RECORD, NextToken="t"), listing({**RECORD, "AppName": "y"})]
    created_at = datetime.fromtimestamp(1700000000, timezone.utc)
    assert await maker.list_apps() == (
        App("KernelGateway", "x", "InService", created_at=created_at),
        App("KernelGateway", "y", "InService", created_at=created_at),
    )
    first = {"DomainIdEquals": "d-1", "UserProfileNameEquals": "ada", "MaxResults": 100}
    assert endpoint.requests == [("ListApps", first), ("ListApps", {**first, "NextToken": "t"})]
    assert maker.calls == {"ListApps": 2}


@pytest.mark.parametrize(
    ("spec", "image"),
    [
        ({"SageMakerImageArn": "arn:i", "SageMakerImageVersionArn": "arn:v"}, "arn:i"),
        ({"SageMakerImageVersionArn": "arn:v"}, "arn:v"),
        ({}, None),
    ],
)
async def test_instance_type_and_image_of_an_app_are_read(
    spec: dict[str, str], image: str | None, endpoint: Endpoint, maker: SageMaker
) -> None:
    endpoint.always(listing({**RECORD, "ResourceSpec": {**spec, "InstanceType": "ml.t3.medium"}}))
    (app,) = await maker.list_apps()
    if "ResourceSpec" not in maker._client.meta.service_model.shape_for("AppDetails").members:
        assert (app.instance_type, app.image) == (None, None)
        pytest.skip("this old botocore drops ResourceSpec from ListApps")
    assert (app.instance_type, app.image) == ("ml.t3.medium", image)


@pytest.mark.parametrize("sizes", [[10], [99], [100], [100, 100, 1], [100, 0]])
async def test_every_record_of_every_page(
    sizes: list[int], endpoint: Endpoint, maker: SageMaker
) -> None:
    for page, size in enumerate(sizes):
        records = [{**RECORD, "AppName": f"a{page}-{number}"} for number in range(size)]
        more = {"NextToken": f"t{page}"} if page + 1 < len(sizes) else {}
        endpoint.script.append(listing(*records, **more))
    assert len(await maker.list_apps()) == sum(sizes)
    assert len(endpoint.requests) == len(sizes)


async def test_creation_times_are_utc_in_any_time_zone(
    endpoint: Endpoint, maker: SageMaker
) -> None:
    endpoint.always(listing(RECORD))
    (app,) = await maker.list_apps()
    assert app.created_at is not None
    assert app.created_at.tzinfo is timezone.utc


#: Records that are not ours, and must not even be named.
FOREIGN: dict[str, Any] = {
    "another user": {**RECORD, "UserProfileName": "eve"},
    "a longer name": {**RECORD, "UserProfileName": "ada2"},
    "another domain": {**RECORD, "DomainId": "d-2"},
    "a space": IN_SPACE,
    "a space of the user's name": {**IN_SPACE, "SpaceName": "ada"},
    "both owners": {**RECORD, "SpaceName": "ada"},
    "no owner": {k: v for k, v in RECORD.items() if k != "UserProfileName"},
    "no domain": {k: v for k, v in RECORD.items() if k != "DomainId"},
    "no name": {k: v for k, v in RECORD.items() if k != "AppName"},
    "nothing": {},
    "null": None,
}


@pytest.mark.parametrize("name", FOREIGN)
async def test_apps_of_other_owners_are_dropped(
    name: str, endpoint: Endpoint, maker: SageMaker
) -> None:
    endpoint.always(listing(FOREIGN[name], {**RECORD, "AppName": "mine"}))
    assert [app.name for app in await maker.list_apps()] == ["mine"]


async def test_a_space_sees_its_own_apps_only(endpoint: Endpoint) -> None:
    maker = SageMaker(TEAM, endpoint.url)
    user_of_that_name = {**RECORD, "UserProfileName": "team", "AppName": "u"}
    endpoint.always(listing(IN_SPACE, RECORD, user_of_that_name))
    assert [app.name for app in await maker.list_apps()] == ["x"]
    assert endpoint.requests[0][1]["SpaceNameEquals"] == "team"
    assert "UserProfileNameEquals" not in endpoint.requests[0][1]
    await maker.delete_app(APP)
    assert "UserProfileName" not in endpoint.requests[1][1]
    assert endpoint.requests[1][1]["SpaceName"] == "team"
    maker.close()


async def test_records_with_fewest_and_with_unknown_fields_are_read(
    endpoint: Endpoint, maker: SageMaker
) -> None:
    old = {k: v for k, v in RECORD.items() if k not in ("CreationTime", "Status")}
    new = {**RECORD, "AppType": "Novel", "AppName": "n", "Status": "Pausing", "More": 1}
    endpoint.always(listing({**old, "UserProfileName": "Ada"}, {**new, "ResourceSpec": None}))
    apps = {app.id: app for app in await maker.list_apps()}
    assert apps["KernelGateway/x"] == App("KernelGateway", "x", "None")
    assert apps["Novel/n"].status == "Pausing"


@pytest.mark.parametrize(
    ("statuses", "kept"),
    [
        (["Deleted", "InService"], "InService"),
        (["Failed", "InService"], "InService"),
        (["Deleting", "Pending"], "Pending"),
        (["Deleted", "Failed"], "Failed"),
        (["Deleted", "Deleting"], "Deleting"),
        (["Deleted", "NeverHeardOf"], "NeverHeardOf"),
    ],
)
async def test_live_record_wins_over_several_deleted_records(
    statuses: list[str], kept: str, endpoint: Endpoint, maker: SageMaker
) -> None:
    records = [{**RECORD, "Status": status} for status in statuses]
    for order in (records, records[::-1]):
        endpoint.always(listing(*order))
        assert [app.status for app in await maker.list_apps()] == [kept]


async def test_newer_of_two_live_records_wins(endpoint: Endpoint, maker: SageMaker) -> None:
    records = [{**RECORD, "CreationTime": at} for at in (3.0, 9.0, 1.0)]
    endpoint.always(listing(*records, {**RECORD, "CreationTime": None}))
    (app,) = await maker.list_apps()
    assert app.created_at == datetime.fromtimestamp(9, timezone.utc)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(),
        Answer(body=b"<html>sign in</html>"),
        Answer(body=b"\xff\xfe"),
        Answer(body=b"[]"),
        Answer(body={"Apps": None}),
        Answer(body={"apps": []}),
        Answer(body={"Apps": "x"}),
        Answer(body={"Apps": [RECORD], "NextToken": "again"}),
        Answer(403, b"<html>denied by proxy</html>"),
        Answer(503),
        Answer(reset=True),
        error("NeverHeardOf"),
    ],
    ids=lambda answer: f"{answer.status} {answer.payload[:20]!r}",
)
async def test_malformed_answer_is_never_an_empty_list(
    answer: Answer, endpoint: Endpoint, maker: SageMaker
) -> None:
    endpoint.always(answer)
    await unread_of(maker)
    assert len(endpoint.requests) <= sagemaker.MOST_PAGES
    endpoint.always(listing())
    assert await maker.list_apps() == ()


async def test_repeated_next_token_ends_the_list(endpoint: Endpoint, maker: SageMaker) -> None:
    endpoint.always(listing(RECORD, NextToken="again"))
    assert (await unread_of(maker)).code == "BadAnswer"
    assert len(endpoint.requests) == 2


async def test_garbage_with_status_200_names_the_proxy_that_answers(
    endpoint: Endpoint, maker: SageMaker
) -> None:
    endpoint.always(Answer(body=b"<html>sign in</html>"))
    unread = await unread_of(maker)
    assert unread.code == "BadAnswer"
    assert "HTTPS_PROXY" in unread.remedy


async def test_failed_page_fails_the_whole_list(endpoint: Endpoint, maker: SageMaker) -> None:
    endpoint.script.append(listing(RECORD, NextToken="t"))
    endpoint.always(error("ThrottlingException", "Rate exceeded"))
    assert (await unread_of(maker)).code == "ThrottlingException"


async def test_denied_listing_names_the_missing_action(
    endpoint: Endpoint, maker: SageMaker
) -> None:
    endpoint.always(error("com.amazon#AccessDeniedException", "because no VPC endpoint policy"))
    unread = await unread_of(maker)
    assert unread.code == "AccessDeniedException"
    assert unread.remedy.startswith('Allow sagemaker:ListApps on "*" in')
    assert "VPC endpoint" in unread.remedy
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    "platform",
    [
        replace(ADA, user_profile_name=None),
        replace(ADA, domain_id=None),
        replace(ADA, kind="local"),
        replace(ADA, kind="studio-space"),
        replace(ADA, kind="notebook-instance"),
    ],
    ids=["no owner", "no domain", "local", "space", "notebook instance"],
)
async def test_without_an_owner_sagemaker_is_not_called(
    platform: Platform, endpoint: Endpoint
) -> None:
    nobody = SageMaker(platform, endpoint.url)
    assert (await unread_of(nobody)).code == "NoOwner"
    outcome = await nobody.delete_app(APP)
    assert (outcome.result, outcome.code) == (Result.PERMANENT, "NoOwner")
    assert endpoint.requests == []
