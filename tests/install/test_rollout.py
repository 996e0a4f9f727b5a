"""One command on a whole account: what the plan names, many targets, and what is left behind."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from auto_shutdown.cli.main import main
from auto_shutdown.install.lifecycle import read_script
from auto_shutdown.local_studio.api import Api, Fault

Capture = pytest.CaptureFixture[str]

ROLE = "arn:aws:iam::123456789012:role/StudioRole"
AUTO_STOP = b"""#!/bin/bash
# Copyright
curl -LO https://github.com/aws-samples/x/jupyterlab-lccs.tar.gz
echo "*/2 * * * * /opt/conda/bin/python /var/tmp/auto-stop-idle/auto_stop_idle.py" | sudo crontab -
"""
PLAIN = b"#!/bin/bash\necho hello\n"


@pytest.fixture
def client(account: Api, sagemaker: Any) -> Any:
    assert account.faults == []
    return sagemaker


def make_config(client: Any, name: str, content: bytes, app_type: str = "JupyterLab") -> str:
    made = client.create_studio_lifecycle_config(
        StudioLifecycleConfigName=name,
        StudioLifecycleConfigAppType=app_type,
        StudioLifecycleConfigContent=base64.b64encode(content).decode(),
    )
    return str(made["StudioLifecycleConfigArn"])


def make_domain(client: Any, name: str = "local", **settings: Any) -> None:
    beside = {"ExecutionRole": ROLE}
    client.create_domain(
        DomainName=name,
        AuthMode="IAM",
        DefaultUserSettings={**beside, **settings},
        DefaultSpaceSettings=beside,
        SubnetIds=["subnet-1"],
        VpcId="vpc-1",
    )


def make_profile(client: Any, name: str, domain: str = "d-local", **settings: Any) -> None:
    client.create_user_profile(
        DomainId=domain, UserProfileName=name, UserSettings={"ExecutionRole": ROLE, **settings}
    )


def lab(**block: Any) -> dict[str, Any]:
    return {"JupyterLabAppSettings": block}


def run(capsys: Capture, *argv: str, code: int = 0, platform: str = "jupyterlab") -> str:
    capsys.readouterr()
    got = main(["lifecycle-config", "--for", platform, *argv])
    out, err = capsys.readouterr()
    assert got == code, out + err
    return out + err


DOMAIN = ("--domain", "d-local", "--region", "us-west-2")


def changes(account: Api) -> list[str]:
    reading = ("Describe", "List", "Create")
    return [c.operation for c in account.calls if not c.operation.startswith(reading)]


# -- what the plan names --------------------------------------------------------------------------


def test_profiles_and_spaces_with_settings_of_their_own_are_named(
    client: Any, capsys: Capture
) -> None:
    make_domain(client)
    own = make_config(client, "own", PLAIN)
    make_profile(client, "ada", **lab(BuiltInLifecycleConfigArn=own))
    make_profile(
        client,
        "bob",
        **lab(CustomImages=[]) | lab(DefaultResourceSpec={"InstanceType": "ml.t3.medium"}),
    )
    make_profile(client, "cyd")
    spec = {"InstanceType": "ml.t3.medium", "LifecycleConfigArn": own}
    client.create_space(
        DomainId="d-local", SpaceName="team", SpaceSettings=lab(DefaultResourceSpec=spec)
    )
    printed = run(capsys, *DOMAIN, "--attach", "domain", code=1)
    assert "Mind: user profile ada runs own instead of the domain's." in printed
    assert "to these as well, use --attach user-profile --user-profile ada." in printed
    assert "Mind: space team runs own after the domain's." in printed
    assert (
        "Mind: user profile bob has its own JupyterLab settings. AWS does not document" in printed
    )
    assert "use --attach user-profile --user-profile bob as well." in printed
    assert "cyd" not in printed


def test_settings_of_a_space_override_the_domain_on_classic(client: Any, capsys: Capture) -> None:
    make_domain(client)
    own = make_config(client, "own", PLAIN, "JupyterServer")
    spec = {
        "DefaultResourceSpec": {"InstanceType": "system", "LifecycleConfigArn": own},
        "LifecycleConfigArns": [own],
    }
    client.create_space(
        DomainId="d-local", SpaceName="team", SpaceSettings={"JupyterServerAppSettings": spec}
    )
    printed = run(capsys, *DOMAIN, "--attach", "domain", code=1, platform="jupyter-server")
    assert "Mind: space team runs own instead of the domain's." in printed


@pytest.mark.parametrize("replace", [False, True])
def test_other_auto_stop_script_in_our_place_is_named(
    replace: bool, client: Any, capsys: Capture
) -> None:
    incumbent = make_config(client, "auto-stop-idle", AUTO_STOP)
    make_domain(client, **lab(BuiltInLifecycleConfigArn=incumbent))
    more = ("--replace",) if replace else ()
    printed = run(capsys, *DOMAIN, "--attach", "domain", *more, code=1)
    named = "auto-stop-idle (domain d-local) starts auto_stop_idle.py. It deletes apps by rules"
    assert (named in printed) is not replace
    assert ("use --replace to leave it out" in printed) is not replace
    assert ("auto-stop-idle does not run (--replace)" in printed) is replace


def test_other_auto_stop_script_run_by_ours_is_named(client: Any, capsys: Capture) -> None:
    incumbent = make_config(client, "auto-stop-idle", AUTO_STOP)
    make_domain(client, **lab(BuiltInLifecycleConfigArn=incumbent))
    run(capsys, *DOMAIN, "--attach", "domain", "--yes")
    printed = run(capsys, *DOMAIN, "--show", "domain")
    assert "It runs auto-stop-idle first." in printed
    assert "starts auto_stop_idle.py" in printed
    run(capsys, *DOMAIN, "--attach", "domain", "--replace", "--yes")
    assert "auto_stop_idle.py" not in run(capsys, *DOMAIN, "--show", "domain")
    # The next --attach without --replace, and an update, must not start the other tool again.
    printed = run(capsys, *DOMAIN, "--attach", "domain", "--set", "warn_minutes=3", "--yes")
    assert "auto-stop-idle does not run (--replace). --detach restores it." in printed
    assert "auto_stop_idle.py" not in run(capsys, *DOMAIN, "--show", "domain")
    previous = attached(client).previous
    assert previous.arn == incumbent
    assert previous.is_left_out
    run(capsys, *DOMAIN, "--detach", "domain", "--yes")
    block = client.describe_domain(DomainId="d-local")["DefaultUserSettings"]
    assert block["JupyterLabAppSettings"]["BuiltInLifecycleConfigArn"] == incumbent


def test_other_auto_stop_script_of_a_user_profile_is_named(client: Any, capsys: Capture) -> None:
    """As AWS's sample attaches it: the default, which runs after the built-in one."""
    incumbent = make_config(client, "auto-stop-idle", AUTO_STOP)
    make_domain(client)
    block = {
        "DefaultResourceSpec": {"LifecycleConfigArn": incumbent},
        "LifecycleConfigArns": [incumbent],
    }
    make_profile(client, "ada", **lab(**block))
    printed = run(capsys, *DOMAIN, "--attach", "domain", code=1)
    assert "auto-stop-idle (user profile ada) starts auto_stop_idle.py" in printed
    assert "take it out of UserSettings.JupyterLabAppSettings there." in printed


def test_denied_description_is_reported(account: Api, client: Any, capsys: Capture) -> None:
    make_domain(client)
    account.faults.append(Fault("ListUserProfiles", "AccessDeniedException"))
    printed = run(capsys, *DOMAIN, "--attach", "domain", "--yes")
    account.faults.clear()
    assert "not everything could be looked at: ListUserProfiles failed" in printed
    assert "Done." in printed


# -- what is left ---------------------------------------------------------------------------------


def test_leftover_configurations_of_ours_are_named(client: Any, capsys: Capture) -> None:
    """A dry run, then for real, then detached; a profile has its own."""
    make_domain(client)
    make_profile(client, "ada")
    run(capsys, *DOMAIN, "--attach", "domain", "--set", "dry_run=true", "--yes")
    run(capsys, *DOMAIN, "--attach", "domain", "--yes")
    profile = (*DOMAIN, "--user-profile", "ada")
    run(capsys, *profile, "--attach", "user-profile", "--set", "warn_minutes=3", "--yes")
    printed = run(capsys, *DOMAIN, "--detach", "domain", "--yes")
    names = {
        config["StudioLifecycleConfigName"]
        for config in client.list_studio_lifecycle_configs()["StudioLifecycleConfigs"]
    }
    assert len(names) == 3
    commands = [line for line in printed.splitlines() if "delete-studio-lifecycle-config" in line]
    assert len(commands) == 2
    assert all(line.endswith("--region us-west-2") for line in commands)
    kept = client.describe_user_profile(DomainId="d-local", UserProfileName="ada")
    block = kept["UserSettings"]["JupyterLabAppSettings"]
    kept_name = block["BuiltInLifecycleConfigArn"].rsplit("/", 1)[-1]
    assert kept_name not in "".join(commands)
    # The profile's is still there, and said to be.
    assert kept_name in run(capsys, *DOMAIN, "--show", "domain")

    printed = run(capsys, *DOMAIN, "--delete-unused", code=1)
    assert all(f"Delete {name}" in printed for name in names - {kept_name})
    assert len(client.list_studio_lifecycle_configs()["StudioLifecycleConfigs"]) == 3
    run(capsys, *DOMAIN, "--delete-unused", "--yes")
    (left,) = client.list_studio_lifecycle_configs()["StudioLifecycleConfigs"]
    assert left["StudioLifecycleConfigName"] == kept_name
    assert "None is left." in run(capsys, *DOMAIN, "--delete-unused")


def test_a_configuration_that_another_target_still_uses_is_not_left_over(
    client: Any, capsys: Capture
) -> None:
    make_domain(client)
    make_profile(client, "ada")
    run(capsys, *DOMAIN, "--attach", "domain", "--yes")
    run(capsys, *DOMAIN, "--user-profile", "ada", "--attach", "user-profile", "--yes")
    printed = run(capsys, *DOMAIN, "--detach", "domain", "--yes")
    assert "delete-studio-lifecycle-config" not in printed
    printed = run(capsys, *DOMAIN, "--user-profile", "ada", "--detach", "user-profile", "--yes")
    assert printed.count("delete-studio-lifecycle-config") == 1


def test_configuration_that_may_be_in_use_is_not_deleted(
    account: Api, client: Any, capsys: Capture
) -> None:
    make_domain(client)
    make_config(client, "auto-shutdown-jupyterlab-old", PLAIN)
    account.faults.append(Fault("ListSpaces", "AccessDeniedException"))
    printed = run(capsys, *DOMAIN, "--delete-unused", "--yes", code=1)
    account.faults.clear()
    assert "Nothing is deleted" in printed
    assert len(client.list_studio_lifecycle_configs()["StudioLifecycleConfigs"]) == 1


# -- update and roll-back -------------------------------------------------------------------------


def attached(client: Any) -> Any:
    settings = client.describe_domain(DomainId="d-local")["DefaultUserSettings"]
    arn = settings["JupyterLabAppSettings"]["BuiltInLifecycleConfigArn"]
    found = client.describe_studio_lifecycle_config(
        StudioLifecycleConfigName=arn.rsplit("/", 1)[-1]
    )
    return read_script(base64.b64decode(found["StudioLifecycleConfigContent"]).decode())


def test_a_bad_version_is_rolled_back_with_one_command(client: Any, capsys: Capture) -> None:
    old = make_config(client, "old", PLAIN)
    make_domain(client, **lab(BuiltInLifecycleConfigArn=old))
    settings = ("--set", "idle_timeout_minutes=60", "--environment", "/opt/mine")
    run(capsys, *DOMAIN, "--attach", "domain", *settings, "--yes")
    good = attached(client)
    printed = run(
        capsys, *DOMAIN, "--update", "domain", "--yes",
        "--from", "jupyterlab-auto-shutdown==9.9", "--sha256", "e" * 64,
    )  # fmt: skip
    assert f"jupyterlab-auto-shutdown==9.9 (SHA-256 {'e' * 64})." in printed
    bad = attached(client)
    assert (bad.source, bad.sha256) == ("jupyterlab-auto-shutdown==9.9", "e" * 64)
    assert (bad.configuration, bad.environment, bad.previous) == (
        good.configuration, good.environment, good.previous,
    )  # fmt: skip
    printed = run(capsys, *DOMAIN, "--rollback", "domain", "--yes")
    assert f"It installs {good.source} (SHA-256 {good.sha256})." in printed
    assert attached(client) == good
    printed = run(capsys, *DOMAIN, "--rollback", "domain", code=2)
    assert "has no earlier configuration of ours to go back to: --detach takes" in printed
    # Detaching from there still brings back what was there before all of it.
    run(capsys, *DOMAIN, "--detach", "domain", "--yes")
    settings_now = client.describe_domain(DomainId="d-local")["DefaultUserSettings"]
    assert settings_now["JupyterLabAppSettings"]["BuiltInLifecycleConfigArn"] == old


def test_an_update_keeps_the_place_of_the_wheel(client: Any, capsys: Capture) -> None:
    make_domain(client)
    old = "s3://bucket/wheels/jupyterlab_auto_shutdown-0.0.1-py3-none-any.whl"
    run(capsys, *DOMAIN, "--attach", "domain", "--from", old, "--sha256", "e" * 64, "--yes")
    run(capsys, *DOMAIN, "--update", "domain", "--yes")
    assert attached(client).source == old.replace("0.0.1", "0.1.0")
    assert "Nothing to do" in run(capsys, *DOMAIN, "--update", "domain")


def test_update_without_an_attached_configuration_is_an_error(client: Any, capsys: Capture) -> None:
    make_domain(client)
    printed = run(capsys, *DOMAIN, "--update", "domain", "--yes", code=2)
    assert "has no configuration of ours to update: use --attach" in printed


def test_rollback_to_a_deleted_version_is_an_error(client: Any, capsys: Capture) -> None:
    make_domain(client)
    run(capsys, *DOMAIN, "--attach", "domain", "--set", "dry_run=true", "--yes")
    run(capsys, *DOMAIN, "--attach", "domain", "--yes")
    run(capsys, *DOMAIN, "--delete-unused", "--yes")
    printed = run(capsys, *DOMAIN, "--rollback", "domain", "--yes", code=2)
    assert "was deleted. Attach the earlier version again" in printed


def test_detach_does_not_restore_a_deleted_configuration(client: Any, capsys: Capture) -> None:
    old = make_config(client, "old", PLAIN)
    make_domain(client, **lab(BuiltInLifecycleConfigArn=old))
    run(capsys, *DOMAIN, "--attach", "domain", "--yes")
    client.delete_studio_lifecycle_config(StudioLifecycleConfigName="old")
    printed = run(capsys, *DOMAIN, "--detach", "domain", "--yes")
    assert "old, which ran here before, does not exist any more; nothing is put back" in printed
    settings = client.describe_domain(DomainId="d-local")["DefaultUserSettings"]
    assert "BuiltInLifecycleConfigArn" not in settings.get("JupyterLabAppSettings", {})


# -- many targets ---------------------------------------------------------------------------------


@pytest.fixture
def two_domains(client: Any) -> Any:
    for domain in ("one", "two"):
        make_domain(client, domain)
        for name in ("team-a", "team-b", "other"):
            make_profile(client, name, f"d-{domain}")
    return client


def profiles(client: Any) -> set[str]:
    """The user profiles that have ours."""
    return {
        f"{domain}/{each['UserProfileName']}"
        for domain in ("d-one", "d-two")
        for each in client.list_user_profiles(DomainIdEquals=domain)["UserProfiles"]
        if "BuiltInLifecycleConfigArn"
        in client.describe_user_profile(DomainId=domain, UserProfileName=each["UserProfileName"])[
            "UserSettings"
        ].get("JupyterLabAppSettings", {})
    }


@pytest.mark.parametrize(
    ("domains", "names", "expected"),
    [
        ("d-one", "team-a,other", {"d-one/team-a", "d-one/other"}),
        ("d-one", "team-*", {"d-one/team-a", "d-one/team-b"}),
        ("d-*", "team-a", {"d-one/team-a", "d-two/team-a"}),
        ("tw?", "other", {"d-two/other"}),  # by the domain's name
    ],
)
def test_targets_are_given_by_lists_and_patterns(
    domains: str, names: str, expected: set[str], two_domains: Any, capsys: Capture
) -> None:
    where = ("--region", "us-west-2", "--domain", domains, "--user-profile", names)
    printed = run(capsys, *where, "--attach", "user-profile", "--yes")
    assert profiles(two_domains) == expected
    assert printed.count("Make auto-shutdown-jupyterlab-") == len(expected)
    run(capsys, *where, "--detach", "user-profile", "--yes")
    assert profiles(two_domains) == set()


@pytest.mark.parametrize("action", ["--attach", "--show"])
def test_targets_in_several_regions(
    action: str, account: Api, two_domains: Any, capsys: Capture
) -> None:
    """The domain exists in one of them only."""
    where = ("--region", "us-west-2,eu-central-1", "--domain", "d-one")
    printed = run(capsys, *where, action, "domain", "--yes", code=1)
    assert "-- domain d-one (us-west-2)" in printed
    assert (
        "DescribeDomain failed for domain d-one: ValidationException. It does not exist" in printed
    )
    attached = "UpdateDomain" in [call.operation for call in account.calls]
    assert attached is (action == "--attach")


def test_one_confirmation_covers_all_targets(
    account: Api, two_domains: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or "n")
    run(capsys, "--domain", "d-*", "--attach", "domain", code=1)
    assert asked == ["Do it? [y/N] "]
    assert "UpdateDomain" not in [call.operation for call in account.calls]


def test_failure_of_one_target_does_not_stop_the_others(
    account: Api, two_domains: Any, capsys: Capture
) -> None:
    where = ("--domain", "d-one", "--user-profile", "team-a,gone,team-b")
    printed = run(capsys, *where, "--attach", "user-profile", "--yes", code=1)
    assert (
        "-- user profile gone of domain d-one (us-west-2)\nNot planned: DescribeUserProfile"
        in printed
    )
    assert "Failed: user profile gone of domain d-one (us-west-2): " in printed
    assert "Done for 2 of 3. Run the same command again for the rest." in printed
    assert profiles(two_domains) == {"d-one/team-a", "d-one/team-b"}
    where = ("--domain", "d-one", "--user-profile", "team-*")
    run(capsys, *where, "--detach", "user-profile", "--yes")
    account.faults.append(Fault("UpdateUserProfile", "ResourceInUse", times=1))
    printed = run(capsys, *where, "--attach", "user-profile", "--yes", "--json", code=1)
    answer = json.loads(printed)
    assert [target["applied"] for target in answer["targets"]] == [False, True]
    assert "ResourceInUse" in answer["targets"][0]["error"]
    assert answer["applied"] is False


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (("--domain", "d-x*"), "No domain in us-west-2 matches 'd-x*'."),
        (("--domain", "d-one", "--user-profile", "x*"), "No user profile of domain d-one matches"),
    ],
)
def test_pattern_that_matches_no_target_is_an_error(
    where: tuple[str, ...], words: str, two_domains: Any, capsys: Capture
) -> None:
    kind = "user-profile" if "--user-profile" in where else "domain"
    assert words in run(capsys, *where, "--attach", kind, "--yes", code=2)


# -- drift ----------------------------------------------------------------------------------------


def by_stack(client: Any, make: Callable[[], str]) -> str:
    """What Terraform, CloudFormation or CDK do: the script of --output, attached by them."""
    arn = make_config(client, "auto-shutdown-by-stack", make().encode())
    client.update_domain(DomainId="d-local", DefaultUserSettings=lab(BuiltInLifecycleConfigArn=arn))
    return arn


def written(capsys: Capture, *more: str) -> str:
    return run(capsys, *more)


def test_attach_over_a_stack_is_refused(client: Any, capsys: Capture) -> None:
    make_domain(client)
    by_stack(client, lambda: written(capsys, "--set", "warn_minutes=3"))
    assert "attached as code or by hand" in run(capsys, *DOMAIN, "--show", "domain")
    for action in ("--attach", "--detach"):
        printed = run(capsys, *DOMAIN, action, "domain", code=1)
        assert (
            "Mind: auto-shutdown-by-stack was attached as code (Terraform, CloudFormation, CDK) "
            "or by hand, not with --attach. Change it there as well: the next apply of that stack "
            "undoes this."
        ) in printed


def test_stack_that_restored_its_own_script_is_reported_as_drift(
    client: Any, capsys: Capture
) -> None:
    make_domain(client)
    arn = by_stack(client, lambda: written(capsys))
    run(capsys, *DOMAIN, "--attach", "domain", "--set", "warn_minutes=3", "--yes")
    assert "Drift" not in run(capsys, *DOMAIN, "--show", "domain")
    client.update_domain(DomainId="d-local", DefaultUserSettings=lab(BuiltInLifecycleConfigArn=arn))
    printed = run(capsys, *DOMAIN, "--show", "domain", code=1)
    assert "was attached with --attach in the place of auto-shutdown-by-stack" in printed
    assert "If a stack manages this domain, change the configuration there." in printed


def test_difference_from_the_wanted_script_is_reported_as_drift(
    client: Any, capsys: Capture
) -> None:
    make_domain(client)
    printed = run(capsys, *DOMAIN, "--show", "domain", "--set", "warn_minutes=3", code=1)
    assert "Drift: domain d-local should run auto_shutdown, and nothing runs there." in printed
    run(capsys, *DOMAIN, "--attach", "domain", "--set", "warn_minutes=3", "--yes")
    run(capsys, *DOMAIN, "--show", "domain", "--set", "warn_minutes=3")
    printed = run(
        capsys, *DOMAIN, "--show", "domain", "--set", "dry_run=true", "--sha256", "e" * 64, code=1
    )
    assert f"sha256 is {'d' * 64} and should be {'e' * 64}." in printed
    assert "warn_minutes is 3 and should be not set." in printed
    assert "dry_run is not set and should be true." in printed
