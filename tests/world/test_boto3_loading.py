"""A thread loads boto3, and the server runs meanwhile."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.loaders import JSONFileLoader
from waiting import wait_until

from auto_shutdown.world import boto3_loading as loading
from auto_shutdown.world import sagemaker_client

DATA = Path(botocore.__file__).parent / "data"
MODEL = str(DATA / "sagemaker" / "2017-07-24" / "service-2")


@pytest.fixture(autouse=True)
def settings_of_python() -> Iterator[tuple[Any, ...]]:
    # A server of an earlier test may still load boto3 in its thread.
    wait_until(lambda: not loading._TURNS.threads, "no thread loads boto3")
    before = sys.getswitchinterval(), gc.get_threshold()
    yield before
    sys.setswitchinterval(before[0])
    gc.set_threshold(*before[1])


@pytest.mark.parametrize("path", [MODEL, str(DATA / "endpoints"), str(DATA / "partitions")])
def test_loader_reads_the_models_that_botocore_reads(path: str) -> None:
    theirs, ours = JSONFileLoader(), loading.PatientLoader()
    assert ours.exists(path) == theirs.exists(path)
    assert ours.load_file(path) == theirs.load_file(path)


def test_missing_model_raises_as_botocore_does(tmp_path: Path) -> None:
    assert not loading.PatientLoader().exists(str(tmp_path / "none"))
    assert loading.PatientLoader().load_file(str(tmp_path / "none")) is None


def test_other_threads_run_while_one_model_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[float] = []
    monkeypatch.setattr(loading.time, "sleep", turns.append)
    loading.PatientLoader().load_file(MODEL)
    assert len(turns) > 100
    assert set(turns) == {0}


def test_switch_interval_and_garbage_collection_change_only_while_loading(
    settings_of_python: tuple[Any, ...],
) -> None:
    with contextlib.suppress(KeyError), loading.in_turns():
        assert sys.getswitchinterval() == pytest.approx(loading.TURN_SECONDS)
        assert gc.get_threshold()[:2] == settings_of_python[1][:2]
        assert gc.get_threshold()[2] >= 1000 * settings_of_python[1][2]
        raise KeyError
    assert (sys.getswitchinterval(), gc.get_threshold()) == settings_of_python


def test_the_last_of_several_threads_restores_the_settings(
    settings_of_python: tuple[Any, ...],
) -> None:
    first, second = loading.in_turns(), loading.in_turns()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() == pytest.approx(loading.TURN_SECONDS)
    second.__exit__(None, None, None)
    assert (sys.getswitchinterval(), gc.get_threshold()) == settings_of_python


def test_shorter_switch_interval_is_kept() -> None:
    sys.setswitchinterval(loading.TURN_SECONDS / 10)
    with loading.in_turns():
        assert sys.getswitchinterval() < loading.TURN_SECONDS / 2


def test_client_is_created_in_turns_and_with_our_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    seen: list[Any] = []

    def session() -> Any:
        found = loading.new_session()
        loader = found._session.get_component("data_loader").file_loader
        seen.append((sys.getswitchinterval(), type(loader)))
        return found

    monkeypatch.setattr(sagemaker_client, "new_session", session)
    client = sagemaker_client.make_client("us-west-2")
    assert seen == [(pytest.approx(loading.TURN_SECONDS), loading.PatientLoader)]
    assert "DeleteApp" in client.meta.service_model.operation_names
