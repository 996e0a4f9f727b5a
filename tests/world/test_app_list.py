"""The list of apps, whose call of ListApps runs beside the observations."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from auto_shutdown.core.model import App, Unread
from auto_shutdown.core.outcome import Outcome
from auto_shutdown.world import app_list
from auto_shutdown.world.app_list import NOT_LISTED_YET, AppList
from auto_shutdown.world.final_check import FinalCheck, always
from auto_shutdown.world.own_description import Description
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.sagemaker import SourceError

CLASSIC = Platform("studio-classic", "d-1", "ada")
APP = App("KernelGateway", "a", "InService")
THROTTLED = Unread("apps", "ThrottlingException", "Too many.", "Wait.")


class SlowSageMaker:
    """Each call of ListApps waits for the next item of ``answers``."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.calls = 0

    async def list_apps(self) -> tuple[App, ...]:
        self.calls += 1
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return tuple(answer)

    async def delete_app(self, app: App, still_removable: FinalCheck = always) -> Outcome:
        raise AssertionError("nothing is deleted here")

    async def describe_own(self) -> Description:
        return Description()


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> SlowSageMaker:
    monkeypatch.setattr(app_list, "LIST_SECONDS", 0.0)
    return SlowSageMaker()


async def ended(listed: AppList) -> None:
    assert listed.call is not None
    await listed.call


async def test_refresh_does_not_wait_for_a_slow_list(sagemaker: SlowSageMaker) -> None:
    listed, ends = AppList(CLASSIC, sagemaker, lambda: 7.0), []
    listed.on_end = lambda: ends.append(listed.call)
    assert (listed.apps, listed.unread, listed.listed_at) == ((), NOT_LISTED_YET, None)
    for _ in range(3):
        await listed.refresh()
    assert (listed.apps, listed.unread) == ((), NOT_LISTED_YET)
    sagemaker.answers.put_nowait([APP])
    await ended(listed)
    assert (listed.apps, listed.unread, listed.listed_at) == ((APP,), None, 7.0)
    assert ends == [None], "when it is called, another call may begin"
    assert sagemaker.calls == 1


async def test_failed_call_keeps_the_last_list(sagemaker: SlowSageMaker) -> None:
    listed = AppList(CLASSIC, sagemaker)
    for answer in ([APP], SourceError(THROTTLED), RuntimeError("secret"), [APP]):
        await listed.refresh()
        sagemaker.answers.put_nowait(answer)
        await ended(listed)
        assert listed.apps == (APP,)
        if isinstance(answer, SourceError):
            assert listed.unread == THROTTLED
        elif isinstance(answer, RuntimeError):
            assert listed.unread is not None
            assert listed.unread.code == "RuntimeError"
            assert "secret" not in listed.unread.message
    assert listed.unread is None


async def test_deleted_app_is_shown_as_deleting_until_a_later_call(
    sagemaker: SlowSageMaker,
) -> None:
    """The answer to a call that began before the deletion may still have the app in service."""
    listed = AppList(CLASSIC, sagemaker)
    other = App("KernelGateway", "b", "InService")
    sagemaker.answers.put_nowait([APP, other])
    await listed.begin_call()
    await listed.refresh()
    listed.app_was_deleted(APP.id)
    assert [app.status for app in listed.apps] == ["Deleting", "InService"]
    sagemaker.answers.put_nowait([APP, other])
    while sagemaker.calls < 3:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert [app.status for app in listed.apps] == ["Deleting", "InService"]
    sagemaker.answers.put_nowait([other])
    await ended(listed)
    assert listed.apps == (other,)


async def test_closing_ends_the_wait_for_sagemaker(sagemaker: SlowSageMaker) -> None:
    listed = AppList(CLASSIC, sagemaker)
    listed.close()
    call = listed.begin_call()
    await asyncio.sleep(0)
    listed.close()
    await asyncio.wait({call})
    assert call.cancelled()


async def test_there_is_no_list_outside_sagemaker(sagemaker: SlowSageMaker) -> None:
    outside = AppList(Platform(), None)
    own = AppList(Platform("studio-space", "d-1", space_name="s", app_type="JupyterLab"), sagemaker)
    for listed in (outside, own):
        await listed.refresh()
        assert (listed.apps, listed.unread, listed.call) == ((), None, None)
