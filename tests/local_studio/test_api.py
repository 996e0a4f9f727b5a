"""The local Studio's SageMaker API behaves as the real one does."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from answers import error_of

from auto_shutdown.local_studio.api import Api, Fault
from auto_shutdown.local_studio.operations import app_name
from auto_shutdown.local_studio.resources import Apps, Delays

OWNER = {"DomainId": "d-local", "UserProfileName": "ada"}
APP = {**OWNER, "AppType": "KernelGateway", "AppName": "x"}


@pytest.fixture
def api() -> Iterator[Api]:
    apps = Apps(lambda _record: None, lambda _record: None, Delays())
    server = Api(apps)
    yield server
    apps.close()
    server.close()
    assert server.invalid_answers == []


@pytest.fixture
def client(api: Api) -> Any:
    from boto3.session import Session
    from botocore.config import Config

    session = Session("local", "local", region_name="us-west-2")
    once = Config(retries={"total_max_attempts": 1}, read_timeout=5)
    made = session.client("sagemaker", endpoint_url=api.url, config=once)
    made.create_domain(
        DomainName="local",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": "arn:aws:iam::123456789012:role/StudioRole"},
        SubnetIds=["subnet-1"],
        VpcId="vpc-1",
    )
    made.create_user_profile(**OWNER)
    return made


def wait_for(client: Any, status: str, **request: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found: dict[str, Any] = client.describe_app(**{**APP, **request})
        if found["Status"] == status:
            return found
        time.sleep(0.01)
    raise TimeoutError(status)


def test_the_life_of_an_app(api: Api, client: Any) -> None:
    api.apps.delays = Delays(pending=0.5, deleting=0.5)
    arn = client.create_app(**APP)["AppArn"]
    assert arn == "arn:aws:sagemaker:us-west-2:123456789012:app/d-local/ada/kernelgateway/x"
    assert client.describe_app(**APP)["Status"] == "Pending"
    assert error_of(client.delete_app, **APP)[0] == "ResourceInUse"
    assert error_of(client.create_app, **APP)[0] == "ResourceInUse"
    first = wait_for(client, "InService")
    assert first["ResourceSpec"]["InstanceType"] == "ml.t3.medium"
    client.delete_app(**APP)
    assert client.describe_app(**APP)["Status"] == "Deleting"
    assert error_of(client.delete_app, **APP)[0] == "ValidationException"
    wait_for(client, "Deleted")
    assert error_of(client.delete_app, **APP) == (
        "ValidationException",
        "App [x] has already been deleted.",
    )
    assert [app["Status"] for app in client.list_apps()["Apps"]] == ["Deleted"]
    client.create_app(**APP)
    again = wait_for(client, "InService")
    assert again["CreationTime"] == first["CreationTime"]  # documented by AWS, and a trap


def test_a_missing_app(client: Any) -> None:
    code, text = error_of(client.describe_app, **APP)
    assert code == "ValidationException"
    assert "RecordNotFound" in text
    assert error_of(client.delete_app, **APP)[0] == "ResourceNotFound"


def test_health_checks_move_the_user_activity(client: Any) -> None:
    client.create_app(**APP)
    one = wait_for(client, "InService")["LastUserActivityTimestamp"]
    time.sleep(0.01)
    assert client.describe_app(**APP)["LastUserActivityTimestamp"] > one


def test_pages_of_ten(client: Any) -> None:
    for number in range(11):
        client.create_app(**{**APP, "AppName": f"x{number}"})
    page = client.list_apps(DomainIdEquals="d-local")
    assert len(page["Apps"]) == 10
    rest = client.list_apps(NextToken=page["NextToken"])
    assert len(rest["Apps"]) == 1
    assert "NextToken" not in rest
    assert error_of(client.list_apps, NextToken="?")[0] == "ValidationException"
    details = page["Apps"][0]
    assert "AppArn" not in details
    assert "SpaceName" not in details


def test_requests_are_checked(api: Api, client: Any) -> None:
    both = {"UserProfileNameEquals": "ada", "SpaceNameEquals": "team"}
    assert error_of(client.list_apps, **both)[0] == "ValidationException"
    nobody = {k: v for k, v in APP.items() if k != "UserProfileName"}
    assert error_of(client.delete_app, **nobody)[0] == "ValidationException"
    bare = {"DomainId": "d-local"}
    request = urllib.request.Request(
        api.url,
        json.dumps(bare).encode(),
        {"X-Amz-Target": "SageMaker.DeleteApp", "Content-Type": "application/x-amz-json-1.1"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert json.loads(caught.value.read())["__type"] == "ValidationException"


def test_profiles_spaces_and_configurations(client: Any) -> None:
    client.create_space(DomainId="d-local", SpaceName="team")
    assert [s["SpaceName"] for s in client.list_spaces()["Spaces"]] == ["team"]
    client.create_app(**APP)
    code, text = error_of(client.delete_user_profile, **OWNER)
    assert (code, "App(s) are associated with it" in text) == ("ResourceInUse", True)
    client.delete_space(DomainId="d-local", SpaceName="team")
    config = {"StudioLifecycleConfigName": "c", "StudioLifecycleConfigAppType": "JupyterServer"}
    client.create_studio_lifecycle_config(**config, StudioLifecycleConfigContent="ZWNobw==")
    assert len(client.list_studio_lifecycle_configs()["StudioLifecycleConfigs"]) == 1
    described = client.describe_studio_lifecycle_config(StudioLifecycleConfigName="c")
    assert described["StudioLifecycleConfigContent"] == "ZWNobw=="
    client.delete_studio_lifecycle_config(StudioLifecycleConfigName="c")


def test_faults_are_switched_on_and_off(api: Api, client: Any) -> None:
    api.faults.append(Fault("ListApps", "ThrottlingException", "Rate exceeded", times=2))
    codes = [error_of(client.list_apps)[0] for _ in range(2)]
    assert codes == ["ThrottlingException"] * 2
    assert client.list_apps()["Apps"] == []
    api.faults[:] = [Fault("DeleteApp", "AccessDeniedException", "no", app_name="other")]
    client.create_app(**APP)
    wait_for(client, "InService")
    client.delete_app(**APP)
    api.faults[:] = [Fault("ListApps", latency=0.2)]
    begin = time.monotonic()
    client.list_apps()
    assert time.monotonic() - begin >= 0.2
    assert api.count("ListApps") == 4


def test_names_are_as_studio_makes_them() -> None:
    name = app_name("arn:aws:sagemaker:us-west-2:1:image/tensorflow-2.3-cpu", "ml.t3.medium", "a")
    assert name.startswith("tensorflow-2-3-cpu-ml-t3-medium-")
    assert len(name) <= 63
