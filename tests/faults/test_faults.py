"""With each fault nothing is removed wrongly, no setting or audit line is lost, and the server
recovers without a restart.

``make test`` tries some faults of each kind, ``-m soak`` and table.py try all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rows_of_api
import rows_of_files
import rows_of_jupyter
import rows_of_kills
import rows_of_processes
import rows_of_state
from morning import PATIENT_LIMITS, SHORT_LIMITS, BareStudio, Morning, Verdict

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: The product handles each of these answers of SageMaker in another way.
QUICK = (
    "ListApps-0-AccessDeniedException",
    "ListApps-garbage",
    "DeleteApp-0-AccessDeniedException",
    "DeleteApp-4-InternalFailure",
    "DeleteApp-20-ResourceNotFound",
    "DeleteApp-latency",
    "storm",
    "wire-half",
    "credentials-DeleteApp",
)

#: The managers of Jupyter raise for all kernels, hang, or leave out a value.
QUICK_MANAGERS = ("list-emfile", "list-hang", "model-state-missing")

#: Steps in the run of a server: its start, and around an audit line and DeleteApp near its end.
QUICK_STEPS = (2, -9, -8)

TRIES = [try_ for tries in rows_of_api.ROWS.values() for try_ in tries]
MANAGERS = [try_ for tries in rows_of_jupyter.ROWS.values() for try_ in tries]
STATES = [function for functions in rows_of_state.ROWS.values() for function in functions]
PROCESSES = [function for functions in rows_of_processes.ROWS.values() for function in functions]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareStudio]:
    with BareStudio(tmp_path_factory.mktemp("studio")) as bare_studio:
        yield bare_studio
        assert bare_studio.api.invalid_answers == []


@pytest.fixture(autouse=True)
def _restored_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the time limits and the environment that a morning changes."""
    for module, name in [*SHORT_LIMITS, *PATIENT_LIMITS]:
        monkeypatch.setattr(module, name, getattr(module, name))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")


def _marked(tries: list[Any], quick: Any) -> list[Any]:
    marks = {True: (), False: (pytest.mark.soak,)}
    names = [t[0] if isinstance(t, tuple) else t.__name__ for t in tries]
    return [pytest.param(t, id=name, marks=marks[name in quick]) for t, name in zip(tries, names)]


@pytest.mark.parametrize("fault", _marked(TRIES, QUICK))
async def test_fault_of_a_sagemaker_call(fault: Any, studio: BareStudio, tmp_path: Path) -> None:
    verdict = await rows_of_api.run(fault, tmp_path, studio)
    assert verdict.good, verdict


@pytest.mark.parametrize("fault", _marked(MANAGERS, QUICK_MANAGERS))
async def test_fault_of_a_jupyter_manager(fault: Any, studio: BareStudio, tmp_path: Path) -> None:
    verdict = await rows_of_jupyter.run(fault, tmp_path, studio)
    assert verdict.good, verdict


@pytest.mark.parametrize("fault", STATES, ids=lambda f: f.__name__)
async def test_fault_of_the_state_on_disk(fault: Any, studio: BareStudio, tmp_path: Path) -> None:
    name = fault.__name__.replace("_", "-")
    try:
        verdict = await fault(tmp_path, studio, name)
    except OSError as error:
        pytest.skip(str(error))
    assert verdict.good, verdict


#: The product handles each of these files in another way.
QUICK_FILES = (
    ("settings.json", "pipe"),
    ("keep-alive-{}.json", "link"),
    ("history-{}.jsonl", "pipe"),
    ("heartbeat", "device"),
)


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        pytest.param(*t, id="-".join(t), marks=() if t in QUICK_FILES else (pytest.mark.soak,))
        for t in rows_of_files.TRIES
    ],
)
async def test_irregular_state_file(
    place: str, kind: str, studio: BareStudio, tmp_path: Path
) -> None:
    verdict = await rows_of_files.replaced(tmp_path, studio, place, kind)
    assert verdict.good, verdict


async def test_deleted_state_directory(studio: BareStudio, tmp_path: Path) -> None:
    verdict = await rows_of_files.directory_deleted(tmp_path, studio, "deleted")
    assert verdict.good, verdict


@pytest.fixture(scope="module")
def steps(studio: BareStudio, tmp_path_factory: pytest.TempPathFactory) -> int:
    return rows_of_kills.steps(tmp_path_factory.mktemp("day"), studio)


@pytest.mark.parametrize("step", QUICK_STEPS)
async def test_sigkill_at_one_step(
    step: int, steps: int, studio: BareStudio, tmp_path: Path
) -> None:
    at = step if step > 0 else steps + step
    verdict = await rows_of_kills.killed_at(tmp_path, studio, at)
    assert verdict.good, verdict


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_sigkill_at_every_step(steps: int, studio: BareStudio, tmp_path: Path) -> None:
    verdicts = {
        at: await rows_of_kills.killed_at(tmp_path, studio, at) for at in range(1, steps + 1)
    }
    assert steps > 40
    assert {at: verdict for at, verdict in verdicts.items() if not verdict.good} == {}


@pytest.mark.soak
@pytest.mark.parametrize("fault", PROCESSES, ids=lambda f: f.__name__)
def test_fault_of_a_real_process(fault: Callable[[Path], Verdict], tmp_path: Path) -> None:
    verdict = fault(tmp_path)
    assert verdict.good, verdict


async def test_verdict_counts_wrong_removals_and_losses(studio: BareStudio, tmp_path: Path) -> None:
    """A test of the count itself: an app that must stay is deleted, and a setting and a line are
    lost."""
    morning = Morning(tmp_path / "home", studio, "bad")
    try:
        await morning.begin()
        (tmp_path / "home" / "settings.json").write_text('{"schema": 1, "settings": {}}')
        await morning.sagemaker.delete_app(
            next(app for app in await morning.sagemaker.list_apps() if app.name == "held-bad")
        )
        verdict = morning.verdict()
    finally:
        morning.close()
    assert (verdict.wrongly_removed, verdict.lost, verdict.recovered) == (1, 3, False)
