"""One command on many targets: lists, patterns, regions, one question, and failures."""

from __future__ import annotations

import json
from typing import Any

import pytest
from studio_account import Capture, make_domain, make_profile, run

from auto_shutdown.local_studio.api import Api, Fault


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
    failed = "DescribeDomain failed for domain d-one in eu-central-1: ValidationException."
    assert f"{failed} It does not exist" in printed
    attached = "UpdateDomain" in [call.operation for call in account.calls]
    assert attached is (action == "--attach")


def test_one_confirmation_covers_all_targets(
    account: Api, two_domains: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or "n")
    run(capsys, "--domain", "d-*", "--attach", "domain", code=1)
    assert asked == ["Carry out this plan? [y/N] "]
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
