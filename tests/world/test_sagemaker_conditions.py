"""SageMaker through real boto3: calls that hang, credentials that arrive later, and missing
packages."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from waiting import eventually

pytest.importorskip("boto3")

from scripted_sagemaker import (
    ADA,
    APP,
    RECORD,
    Answer,
    Endpoint,
    listing,
    own_environment,
    serving,
    unread_of,
)

from auto_shutdown.core.outcome import Result
from auto_shutdown.world import sagemaker, sagemaker_client
from auto_shutdown.world.sagemaker import SageMaker, SourceError

# boto3 says this about itself on the oldest Python we support.
pytestmark = pytest.mark.filterwarnings("ignore:Boto3 will no longer support")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    own_environment(monkeypatch)
    with serving() as found:
        yield found


async def test_event_loop_runs_while_a_call_hangs_and_another_follows(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = SageMaker(ADA, endpoint.url)
    await maker.delete_app(APP)  # boto3 is loaded by now
    endpoint.script.append(Answer(held=True))
    monkeypatch.setattr(sagemaker, "CALL_SECONDS", 0.2)
    call = asyncio.ensure_future(maker.delete_app(APP))
    # The endpoint never answers this call, so only a loop that runs can see it arrive.
    await eventually(lambda: len(endpoint.requests) == 2, "the call that hangs arrives")
    outcome = await call
    assert (outcome.result, outcome.code) == (Result.TEMPORARY, "TimedOut")
    assert "no answer within" in outcome.detail
    monkeypatch.setattr(sagemaker, "CALL_SECONDS", 60.0)
    assert (await maker.delete_app(APP)).result is Result.REMOVED
    endpoint.script.append(Answer(held=True))
    monkeypatch.setattr(sagemaker, "CALL_SECONDS", 0.05)
    assert (await unread_of(maker)).code == "TimedOut"
    maker.close()


async def test_new_client_is_made_after_a_hanging_call(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The abandoned thread may hold the client's lock for the refresh of its credentials."""
    maker = SageMaker(ADA, endpoint.url)
    await maker.delete_app(APP)
    first = maker._client
    await maker.delete_app(APP)
    assert maker._client is first
    endpoint.script.append(Answer(held=True))
    monkeypatch.setattr(sagemaker, "CALL_SECONDS", 0.05)
    assert (await maker.delete_app(APP)).code == "TimedOut"
    # Only then, or the next call would get the answer that is held.
    await eventually(lambda: len(endpoint.requests) == 3, "the call that hangs arrives")
    monkeypatch.setattr(sagemaker, "CALL_SECONDS", 60.0)
    assert (await maker.delete_app(APP)).result is Result.REMOVED
    assert maker._client is not first
    maker.close()


async def test_botocore_timeouts_are_seconds(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sagemaker_client, "READ_SECONDS", 0.05)
    maker = SageMaker(ADA, endpoint.url)
    endpoint.always(Answer(held=True))
    outcome = await maker.delete_app(APP)
    assert (outcome.result, outcome.code) == (Result.TEMPORARY, "ReadTimeoutError")
    assert "com.amazonaws.us-west-2.sagemaker.api" in outcome.remedy
    # A busy machine reads them after nobody waits for them any more.
    attempts = sagemaker_client.ATTEMPTS
    await eventually(lambda: len(endpoint.requests) == attempts, "every attempt arrives")
    maker.close()


async def test_credentials_added_later_are_found(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = SageMaker(ADA, endpoint.url)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert (await unread_of(maker)).code == "ProfileNotFound"
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    outcome = await maker.delete_app(APP)
    assert outcome.result is Result.TEMPORARY
    assert "redentials" in outcome.code
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    assert (await maker.delete_app(APP)).result is Result.REMOVED
    maker.close()


async def test_missing_region_is_an_error_with_a_remedy(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    maker = SageMaker(replace(ADA, region_name=None), endpoint.url)
    unread = await unread_of(maker)
    assert unread.code == "NoRegionError"
    assert "AWS_REGION" in unread.remedy
    assert (await maker.delete_app(APP)).result is Result.PERMANENT
    maker.close()


async def test_missing_boto3_is_an_error_with_a_remedy(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = SageMaker(ADA, endpoint.url)
    with monkeypatch.context() as absent:
        absent.setitem(sys.modules, "boto3.session", None)
        unread = await unread_of(maker)
        assert unread.code == "NoBoto3"
        assert "pip install boto3" in unread.remedy
        outcome = await maker.delete_app(APP)
        assert (outcome.result, outcome.code) == (Result.PERMANENT, "NoBoto3")
    assert (await maker.delete_app(APP)).result is Result.REMOVED  # installed meanwhile
    maker.close()


async def test_endpoint_comes_from_the_environment(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", endpoint.url)
    maker = SageMaker(ADA)
    assert (await maker.delete_app(APP)).result is Result.REMOVED
    maker.close()
    assert sagemaker_client._endpoint_of_environment() == endpoint.url
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert sagemaker_client._endpoint_of_environment() is None
    monkeypatch.delenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "")
    assert sagemaker_client._endpoint_of_environment() is None


async def test_closed_client_makes_no_calls(endpoint: Endpoint) -> None:
    maker = SageMaker(ADA, endpoint.url)
    maker.close()
    assert (await maker.delete_app(APP)).failed
    assert (await unread_of(maker)).code == "ClosedError"
    assert endpoint.requests == []


async def test_calls_run_in_their_own_daemon_thread(endpoint: Endpoint) -> None:
    maker = SageMaker(ADA, endpoint.url)
    endpoint.script.append(Answer(held=True))
    call = asyncio.ensure_future(maker.delete_app(APP))
    assert await asyncio.to_thread(endpoint.asked.wait, 60)
    thread = next(t for t in threading.enumerate() if t.name == "auto-shutdown-sagemaker-deletions")
    assert thread.daemon
    assert thread is not threading.current_thread()
    endpoint.release()
    assert (await call).result is Result.REMOVED
    maker.close()


def test_importing_loads_no_boto3() -> None:
    code = (
        "import sys, auto_shutdown.world.sagemaker\n"
        "print([m for m in sys.modules if m.startswith(('boto', 'urllib3', 's3transfer'))])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


async def test_delete_app_that_is_forbidden_while_it_waits_for_its_turn_is_not_sent(
    endpoint: Endpoint,
) -> None:
    """All deletions share one thread, and the one before may hang."""
    maker = SageMaker(ADA, endpoint.url)
    await maker.delete_app(APP)
    release, allowed = threading.Event(), [True]
    blocking = asyncio.ensure_future(maker._call(maker._deletions, release.wait))
    deleting = asyncio.ensure_future(maker.delete_app(APP, lambda: allowed[0]))
    await asyncio.sleep(0)
    allowed[0] = False
    release.set()
    await blocking
    assert (await deleting).result is Result.STALE
    assert len(endpoint.requests) == 1
    maker.close()


@pytest.mark.parametrize("new_client", [False, True])
async def test_slow_list_delays_neither_a_deletion_nor_the_stop_switch(
    endpoint: Endpoint, new_client: bool
) -> None:
    maker = SageMaker(ADA, endpoint.url)
    if not new_client:
        maker._connect()
    endpoint.script.append(Answer(held=True))
    lists = asyncio.ensure_future(maker.list_apps())
    assert await asyncio.to_thread(endpoint.asked.wait, 60)
    if new_client:
        maker._client = None
    endpoint.script.append(Answer(body={"Tags": [{"Key": "a", "Value": "b"}]}))
    assert await maker.list_tags("arn:aws:sagemaker:us-west-2:1:domain/d-1") == {"a": "b"}
    assert (await maker.delete_app(APP)).result is Result.REMOVED
    assert not lists.done()
    endpoint.otherwise = listing(RECORD)
    endpoint.release()
    with pytest.raises(SourceError):  # the held answer has no apps
        await lists
    assert [app.name for app in await maker.list_apps()] == ["x"]
    maker.close()


async def test_threads_that_need_a_client_at_once_do_not_disturb_each_other(
    endpoint: Endpoint,
) -> None:
    maker = SageMaker(ADA, endpoint.url)
    endpoint.always(Answer(body={"Apps": [RECORD], "Tags": []}))
    calls = [maker.list_apps(), maker.list_tags("arn:x"), maker.delete_app(APP)]
    apps, tags, outcome = await asyncio.gather(*calls)
    assert [app.name for app in apps] == ["x"]
    assert tags == {}
    assert outcome.result is Result.REMOVED
    assert maker.calls == {"ListApps": 1, "ListTags": 1, "DeleteApp": 1}
    maker.close()
