"""The local Studio's notebook instances and spaces behave as the real ones do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from answers import error_of
from held_transitions import HELD, held_transitions

from auto_shutdown.local_studio.studio import LocalStudio

NAME = {"NotebookInstanceName": "mine"}
INSTANCE = {**NAME, "InstanceType": "ml.t3.medium", "RoleArn": "arn:aws:iam::123456789012:role/R"}
ARN = "arn:aws:sagemaker:us-west-2:123456789012:notebook-instance/mine"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    """Without a server behind the instance: these are the API's own manners."""
    with LocalStudio(tmp_path) as found:
        yield found
        assert found.api.invalid_answers == []


def wait_for(client: Any, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found: dict[str, Any] = client.describe_notebook_instance(**NAME)
        if found["NotebookInstanceStatus"] == status:
            return found
        time.sleep(0.01)
    raise TimeoutError(status)


def test_instance_goes_from_in_service_to_stopped_and_back(
    studio: LocalStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = studio.client()
    studio.apps.delays.pending = studio.apps.delays.deleting = HELD
    with held_transitions(monkeypatch) as transitions:
        assert client.create_notebook_instance(**INSTANCE)["NotebookInstanceArn"] == ARN
        refused = (
            "Status (Pending) not in ([InService]). Unable to transition to (Stopping) for "
            f"Notebook Instance ({ARN})"
        )
        assert error_of(client.stop_notebook_instance, **NAME) == ("ValidationException", refused)
        transitions.release()
        found = wait_for(client, "InService")
        assert found["PlatformIdentifier"] == "notebook-al2023-v1"
        assert found["InstanceType"] == "ml.t3.medium"
        transitions.hold()
        client.stop_notebook_instance(**NAME)
        assert client.describe_notebook_instance(**NAME)["NotebookInstanceStatus"] == "Stopping"
    studio.apps.delays.pending = studio.apps.delays.deleting = 0.0
    wait_for(client, "Stopped")
    assert error_of(client.stop_notebook_instance, **NAME)[1].startswith("Status (Stopped) not in")
    assert error_of(client.create_notebook_instance, **INSTANCE)[0] == "ValidationException"
    client.start_notebook_instance(**NAME)
    wait_for(client, "InService")
    listed = client.list_notebook_instances()["NotebookInstances"]
    assert [i["NotebookInstanceStatus"] for i in listed] == ["InService"]
    client.stop_notebook_instance(**NAME)
    wait_for(client, "Stopped")
    client.delete_notebook_instance(**NAME)
    assert error_of(client.describe_notebook_instance, **NAME) == (
        "ValidationException",
        "RecordNotFound",
    )


def test_an_ended_platform_must_be_updated_before_it_starts(studio: LocalStudio) -> None:
    client = studio.client()
    old = {"PlatformIdentifier": "notebook-al2-v3"}
    assert error_of(client.create_notebook_instance, **INSTANCE, **old)[0] == "ValidationException"
    client.create_notebook_instance(**INSTANCE)
    wait_for(client, "InService")
    current = {"PlatformIdentifier": "notebook-al2023-v1"}
    assert "(Updating)" in error_of(client.update_notebook_instance, **NAME, **current)[1]
    client.stop_notebook_instance(**NAME)
    wait_for(client, "Stopped")
    client.update_notebook_instance(**NAME, **old)
    assert error_of(client.start_notebook_instance, **NAME)[0] == "ValidationException"
    client.update_notebook_instance(**NAME, **current)
    client.start_notebook_instance(**NAME)
    wait_for(client, "InService")


def test_new_studio_has_no_instance_of_an_earlier_studio(
    studio: LocalStudio, tmp_path: Path
) -> None:
    studio.client().create_notebook_instance(**INSTANCE)
    studio.instances.close()
    assert studio.client().list_notebook_instances()["NotebookInstances"] == []


def test_description_of_a_space_and_its_app(studio: LocalStudio) -> None:
    client = studio.client()
    studio.add_space("mine", idle_minutes=90)
    studio.add_space("team", shared=True)
    key = {"DomainId": studio.domain_id}
    mine = client.describe_space(**key, SpaceName="mine")
    assert mine["OwnershipSettings"] == {"OwnerUserProfileName": "ada"}
    lab = mine["SpaceSettings"]["JupyterLabAppSettings"]["AppLifecycleManagement"]
    assert lab["IdleSettings"] == {"IdleTimeoutInMinutes": 90}
    team = client.describe_space(**key, SpaceName="team")
    assert team["SpaceSharingSettings"] == {"SharingType": "Shared"}
