"""The local Studio's SageMaker API behaves as the real one does."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from answers import error_of
from held_transitions import HELD, held_transitions

from auto_shutdown.local_studio import operations, owners
from auto_shutdown.local_studio.api import Api, Fault
from auto_shutdown.local_studio.operations import app_name
from auto_shutdown.local_studio.rates import Rates
from auto_shutdown.local_studio.resources import ApiError, Apps, Delays

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
    once = Config(retries={"total_max_attempts": 1}, read_timeout=60)
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


def test_app_goes_from_pending_to_deleted(
    api: Api, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.apps.delays = Delays(pending=HELD, deleting=HELD)
    with held_transitions(monkeypatch) as transitions:
        arn = client.create_app(**APP)["AppArn"]
        assert arn == "arn:aws:sagemaker:us-west-2:123456789012:app/d-local/ada/kernelgateway/x"
        assert client.describe_app(**APP)["Status"] == "Pending"
        assert error_of(client.delete_app, **APP)[0] == "ResourceInUse"
        assert error_of(client.create_app, **APP)[0] == "ResourceInUse"
        transitions.release()
        first = wait_for(client, "InService")
        assert first["ResourceSpec"]["InstanceType"] == "ml.t3.medium"
        transitions.hold()
        client.delete_app(**APP)
        assert client.describe_app(**APP)["Status"] == "Deleting"
        assert error_of(client.delete_app, **APP)[0] == "ValidationException"
    wait_for(client, "Deleted")
    assert error_of(client.delete_app, **APP) == (
        "ValidationException",
        "App [x] has already been deleted.",
    )
    assert [app["Status"] for app in client.list_apps()["Apps"]] == ["Deleted"]
    api.apps.delays = Delays()
    client.create_app(**APP)
    again = wait_for(client, "InService")
    assert again["CreationTime"] == first["CreationTime"]  # documented by AWS, and a trap


def test_missing_app_is_an_error_of_describe_and_delete(client: Any) -> None:
    code, text = error_of(client.describe_app, **APP)
    assert code == "ValidationException"
    assert "RecordNotFound" in text
    assert error_of(client.delete_app, **APP)[0] == "ResourceNotFound"


def test_health_checks_move_the_user_activity(client: Any) -> None:
    client.create_app(**APP)
    one = wait_for(client, "InService")["LastUserActivityTimestamp"]
    time.sleep(0.01)
    assert client.describe_app(**APP)["LastUserActivityTimestamp"] > one


def test_list_apps_answers_pages_of_ten(client: Any) -> None:
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


def test_invalid_requests_are_refused(api: Api, client: Any) -> None:
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


def test_app_names_have_the_form_of_studio() -> None:
    name = app_name("arn:aws:sagemaker:us-west-2:1:image/tensorflow-2.3-cpu", "ml.t3.medium", "a")
    assert name.startswith("tensorflow-2-3-cpu-ml-t3-medium-")
    assert len(name) <= 63


def test_page_sizes(client: Any) -> None:
    for number in range(12):
        client.create_user_profile(DomainId="d-local", UserProfileName=f"user-{number}")
    page = client.list_user_profiles()
    assert len(page["UserProfiles"]) == 10
    assert "NextToken" in page
    assert len(client.list_user_profiles(MaxResults=100)["UserProfiles"]) == 13
    code, text = error_of(client.list_user_profiles, MaxResults=101)
    assert code == "ValidationException"
    assert "less than or equal to 100" in text


def test_the_name_of_a_user_profile_has_no_case(client: Any) -> None:
    assert client.describe_user_profile(DomainId="d-local", UserProfileName="ADA")
    assert error_of(client.create_user_profile, **{**OWNER, "UserProfileName": "Ada"})[0] == (
        "ResourceInUse"
    )
    client.create_space(DomainId="d-local", SpaceName="lab")
    assert error_of(client.describe_space, DomainId="d-local", SpaceName="LAB")[0] == (
        "ResourceNotFound"
    )


def test_calls_beyond_the_rate_of_the_account_are_throttled(api: Api, client: Any) -> None:
    now = 100.0
    api.rates = Rates(saved_seconds=0, clock=lambda: now)
    client.list_apps()
    assert error_of(client.list_spaces) == ("ThrottlingException", "Rate exceeded")
    client.describe_domain(DomainId="d-local")  # descriptions have a rate of their own
    now += 0.49
    assert error_of(client.list_user_profiles)[0] == "ThrottlingException"
    now += 0.01
    client.list_user_profiles()
    assert api.rates.refused == {"ListSpaces": 1, "ListUserProfiles": 1}
    now += 60  # nothing is saved up here
    client.list_apps()
    assert error_of(client.list_apps)[0] == "ThrottlingException"


def test_unused_calls_may_be_made_in_a_burst() -> None:
    rates = Rates(times=3, saved_seconds=2, clock=lambda: 100.0)
    for _ in range(12):
        rates.check("ListApps")
    with pytest.raises(ApiError, match="Rate exceeded"):
        rates.check("ListApps")


def test_lists_show_changes_late_and_descriptions_at_once(api: Api, client: Any) -> None:
    api.apps.delays = Delays(listing=1e6)
    client.create_app(**APP)
    client.create_user_profile(DomainId="d-local", UserProfileName="bob")
    wait_for(client, "InService")
    assert client.list_apps()["Apps"] == []
    assert client.list_user_profiles()["UserProfiles"] == []
    assert client.describe_user_profile(DomainId="d-local", UserProfileName="bob")
    (record,) = api.apps.all()
    record.changes = [(at - 2e6, status) for at, status in record.changes]
    assert [a["Status"] for a in client.list_apps()["Apps"]] == ["InService"]
    client.delete_app(**APP)
    wait_for(client, "Deleted")
    assert [a["Status"] for a in client.list_apps()["Apps"]] == ["InService"]


def test_user_profiles_spaces_and_domains_are_deleted_in_time(
    api: Api, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + later, time=time.time)
    for module in (operations, owners):
        monkeypatch.setattr(module, "time", clock)
    domain = {"DomainId": "d-local"}
    client.create_space(**domain, SpaceName="lab")
    api.apps.delays = Delays(deleting=3600)
    client.delete_user_profile(**OWNER)
    client.delete_space(**domain, SpaceName="lab")
    assert [u["Status"] for u in client.list_user_profiles()["UserProfiles"]] == ["Deleting"]
    assert error_of(client.delete_domain, **domain)[0] == "ResourceInUse"
    later = 3600.0
    assert client.list_user_profiles()["UserProfiles"] == []
    assert client.list_spaces()["Spaces"] == []
    client.delete_domain(**domain)
    assert client.describe_domain(**domain)["Status"] == "Deleting"
    assert error_of(client.delete_domain, **domain)[0] == "ResourceInUse"
    later = 7200.0
    # Domains of other tests are there as well: moto keeps them for the whole process.
    listed = client.list_domains(MaxResults=100)["Domains"]
    assert "d-local" not in {each["DomainId"] for each in listed}
    assert error_of(client.describe_domain, **domain)[0] == "ResourceNotFound"


def test_fault_may_hit_every_third_request(api: Api, client: Any) -> None:
    api.faults.append(Fault("ListApps", "InternalFailure", status=500, every=3))
    codes = []
    for _ in range(6):
        try:
            client.list_apps()
        except Exception as error:
            codes.append(error.response["Error"]["Code"])  # type: ignore[attr-defined]
        else:
            codes.append("")
    assert codes == ["", "", "InternalFailure", "", "", "InternalFailure"]
