"""SageMaker through real boto3 on a real wire: the local Studio's API, without its processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("moto")

from auto_shutdown.core.model import App
from auto_shutdown.core.outcome import Result
from auto_shutdown.local_studio.api import Api, Fault, denied
from auto_shutdown.local_studio.resources import Apps
from auto_shutdown.world import aws_errors, sagemaker
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.sagemaker import SageMaker, SourceError

ADA = Platform("studio-classic", "d-1", "ada", region_name="us-west-2", account_id="123456789012")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    apps = Apps(lambda _record: None, lambda _record: None)
    server = Api(apps)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", server.url)
    yield server
    apps.close()
    server.close()


@pytest.fixture
def maker(api: Api) -> Iterator[SageMaker]:
    found = SageMaker(ADA)
    yield found
    found.close()


def add(api: Api, name: str, owner: str = "ada", **more: Any) -> App:
    key = (more.get("domain", "d-1"), (more.get("sort", "UserProfileName"), owner))
    app_type = more.get("type", "KernelGateway")
    record = api.apps.create((*key, app_type, name), dict(more.get("spec", {})))
    for _ in range(1000):
        if record.status == "InService":
            break
        threading.Event().wait(0.005)
    return App(app_type, name, "InService")


async def test_list_apps_returns_the_own_apps_only(api: Api, maker: SageMaker) -> None:
    image = "arn:aws:sagemaker:us-west-2:1:image/x"
    add(api, "mine", spec={"InstanceType": "ml.t3.medium", "SageMakerImageArn": image})
    add(api, "default", type="JupyterServer")
    add(api, "odd", type="Canvas")
    add(api, "hers", owner="eve")
    add(api, "shared", owner="ada", sort="SpaceName")
    add(api, "elsewhere", domain="d-2")
    apps = {app.id: app for app in await maker.list_apps()}
    assert set(apps) == {"KernelGateway/mine", "JupyterServer/default", "Canvas/odd"}
    mine = apps["KernelGateway/mine"]
    assert (mine.status, mine.instance_type, mine.image) == ("InService", "ml.t3.medium", image)
    assert mine.created_at is not None
    assert mine.created_at.tzinfo is not None


async def test_apps_of_others_in_an_answer_are_dropped(
    api: Api, maker: SageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extension filters the answer again, whatever SageMaker's filter did."""
    add(api, "hers", owner="eve")
    add(api, "mine", owner="ADA")  # user profile names are not case sensitive
    listed = [record.details() for record in api.apps.all()]
    monkeypatch.setitem(api.operations.table, "ListApps", lambda _request: {"Apps": listed})
    assert [app.name for app in await maker.list_apps()] == ["mine"]


@pytest.mark.parametrize("count", [0, 1, 10, 11, 100, 101, 205])
async def test_all_pages_of_list_apps_are_read(count: int, api: Api, maker: SageMaker) -> None:
    for number in range(count):
        api.apps.create(("d-1", ("UserProfileName", "ada"), "KernelGateway", f"a{number}"), {})
    assert len(await maker.list_apps()) == count
    assert api.count("ListApps") == max(1, -(-count // 100))


async def test_live_record_wins_over_deleted_record_of_the_same_app(
    api: Api, maker: SageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(api, "x")
    (alive,) = (record.details() for record in api.apps.all())
    for listed in (
        [{**alive, "Status": "Deleted"}, alive],
        [alive, {**alive, "Status": "Deleted"}],
    ):
        answer = {"Apps": listed}
        monkeypatch.setitem(api.operations.table, "ListApps", lambda _r, a=answer: a)
        assert [app.status for app in await maker.list_apps()] == ["InService"]


async def test_delete_app_names_the_user_profile(api: Api, maker: SageMaker) -> None:
    outcome = await maker.delete_app(add(api, "x"))
    assert outcome.result is Result.REMOVED
    request = next(call.request for call in api.calls if call.operation == "DeleteApp")
    assert request == {
        "DomainId": "d-1",
        "UserProfileName": "ada",
        "AppType": "KernelGateway",
        "AppName": "x",
    }


async def test_delete_app_names_the_space(api: Api) -> None:
    maker = SageMaker(replace(ADA, user_profile_name=None, space_name="team"))
    outcome = await maker.delete_app(add(api, "x", owner="team", sort="SpaceName"))
    maker.close()
    assert outcome.result is Result.REMOVED
    assert api.calls[-1].request["SpaceName"] == "team"
    assert "UserProfileName" not in api.calls[-1].request


@pytest.mark.parametrize("app_type", ["JupyterServer", "JupyterLab", "Canvas", "Novel"])
async def test_other_types_are_refused_without_a_call(
    app_type: str, api: Api, maker: SageMaker
) -> None:
    outcome = await maker.delete_app(App(app_type, "default", "InService"))
    assert (outcome.result, outcome.code) == (Result.PERMANENT, "NotCovered")
    nobody = SageMaker(replace(ADA, user_profile_name=None))
    assert (await nobody.delete_app(App("KernelGateway", "x", "InService"))).code == "NoOwner"
    assert api.calls == []


async def test_second_delete_of_an_app_is_gone(api: Api, maker: SageMaker) -> None:
    app = add(api, "x")
    results = [(await maker.delete_app(app)).result for _ in range(3)]
    assert results == [Result.REMOVED, Result.GONE, Result.GONE]
    never = await maker.delete_app(App("KernelGateway", "never", "InService"))
    assert never.result is Result.GONE


#: code, text, result, and a word that the remedy must hold.
ERRORS = [
    ("ResourceNotFound", "App does not exist", Result.GONE, ""),
    ("ValidationException", "App [x] has already been deleted.", Result.GONE, ""),
    (
        "ValidationException",
        "App previously failed and was automatically deleted",
        Result.GONE,
        "",
    ),
    ("ValidationException", "RecordNotFound", Result.GONE, ""),
    ("ValidationException", "1 validation error detected", Result.PERMANENT, "API reference"),
    ("ResourceInUse", "App is Pending", Result.TEMPORARY, "tries again"),
    ("ThrottlingException", "Rate exceeded", Result.TEMPORARY, "tries again"),
    ("TooManyRequestsException", "", Result.TEMPORARY, "tries again"),
    ("InternalFailure", "", Result.TEMPORARY, "tries again"),
    ("ServiceUnavailable", "", Result.TEMPORARY, "tries again"),
    ("ExpiredTokenException", "The security token is expired", Result.TEMPORARY, "credentials"),
    ("UnrecognizedClientException", "", Result.TEMPORARY, "credentials"),
    ("NeverHeardOf", "", Result.TEMPORARY, "tries again"),
    ("AccessDeniedException", denied("sagemaker:DeleteApp", "x"), Result.PERMANENT, "DeleteApp"),
    (
        "AccessDeniedException",
        "... with an explicit deny in a service control policy",
        Result.PERMANENT,
        "explicitly",
    ),
    (
        "AccessDeniedException",
        "... because no VPC endpoint policy allows it",
        Result.PERMANENT,
        "VPC endpoint",
    ),
]


@pytest.mark.parametrize(("code", "text", "result", "word"), ERRORS)
async def test_error_codes_of_delete_app(
    code: str, text: str, result: Result, word: str, api: Api, maker: SageMaker
) -> None:
    app = add(api, "x")
    api.faults.append(Fault("DeleteApp", code, text))
    outcome = await maker.delete_app(app)
    assert outcome.result is result
    assert outcome.code == code
    if outcome.failed:
        assert code in outcome.detail
        assert word in outcome.remedy
    if code == "AccessDeniedException":
        assert "app/d-1/ada/KernelGateway/x" in outcome.remedy
        assert "assumed-role" not in outcome.detail + outcome.remedy


async def test_failed_listing_names_action_and_code(api: Api, maker: SageMaker) -> None:
    api.faults.append(Fault("ListApps", "AccessDeniedException", "no", times=2))
    with pytest.raises(SourceError) as caught:
        await maker.list_apps()
    assert caught.value.unread.source == "apps"
    assert caught.value.unread.code == "AccessDeniedException"
    assert "sagemaker:ListApps" in caught.value.unread.remedy


async def test_garbage_and_timeout_are_temporary(
    api: Api, maker: SageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = add(api, "x")
    api.faults.append(Fault("ListApps", garbage=True))
    with pytest.raises(SourceError, match="cannot be listed"):
        await maker.list_apps()
    monkeypatch.setattr(sagemaker, "CALL_SECONDS", 0.3)
    api.faults.append(Fault("DeleteApp", hang=1.0))
    outcome = await maker.delete_app(app)
    assert (outcome.result, outcome.code) == (Result.TEMPORARY, "TimedOut")
    assert "com.amazonaws.us-west-2.sagemaker.api" in outcome.remedy
    api.faults.clear()
    monkeypatch.setattr(sagemaker, "CALL_SECONDS", 30.0)
    assert (await maker.delete_app(app)).result in (Result.REMOVED, Result.GONE)


async def test_an_unreachable_endpoint_is_an_error_with_a_remedy(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = SageMaker(ADA, endpoint_url="http://127.0.0.1:1")
    with pytest.raises(SourceError) as caught:
        await maker.list_apps()
    maker.close()
    assert caught.value.unread.code == "EndpointConnectionError"
    assert "com.amazonaws.us-west-2.sagemaker.api" in caught.value.unread.remedy


async def test_renewed_credentials_are_used(
    api: Api, maker: SageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = add(api, "x")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    outcome = await maker.delete_app(app)
    assert (outcome.result, outcome.code) == (Result.TEMPORARY, "NoCredentialsError")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    assert (await maker.delete_app(app)).result is Result.REMOVED


async def test_sagemaker_calls_never_run_on_the_event_loop(api: Api, maker: SageMaker) -> None:
    threads: set[str] = set()
    original = maker._invoke

    def noting(*arguments: Any) -> Any:
        threads.add(threading.current_thread().name)
        return original(*arguments)

    maker._invoke = noting  # type: ignore[method-assign]
    await maker.list_apps()
    await maker.delete_app(App("KernelGateway", "x", "InService"))
    assert threads == {"auto-shutdown-sagemaker-lists", "auto-shutdown-sagemaker-deletions"}
    assert maker.calls == {"ListApps": 1, "DeleteApp": 1}


async def test_number_of_hanging_threads_is_bounded(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sagemaker, "CALL_SECONDS", 0.05)
    before = set(threading.enumerate())
    maker = SageMaker(ADA)
    api.faults.append(Fault("DeleteApp", hang=1.0))
    app = App("KernelGateway", "x", "InService")
    outcomes = [await maker.delete_app(app) for _ in range(6)]
    assert {outcome.code for outcome in outcomes} == {"TimedOut"}
    started = set(threading.enumerate()) - before
    alive = [t for t in started if t.name == "auto-shutdown-sagemaker-deletions"]
    assert len(alive) <= maker._deletions.MOST_STUCK
    assert all(thread.daemon for thread in alive)
    maker.close()


def test_error_code_tables_do_not_overlap() -> None:
    assert not aws_errors.DENIED & (aws_errors.THROTTLED | aws_errors.CREDENTIALS)
    assert not aws_errors.HOPELESS & (aws_errors.THROTTLED | aws_errors.UNREACHABLE)
