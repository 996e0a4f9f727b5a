"""The lifecycle configurations that are no longer attached, and ``--delete-unused``."""

from __future__ import annotations

from typing import Any

from studio_account import DOMAIN, PLAIN, Capture, make_config, make_domain, make_profile, run

from auto_shutdown.local_studio.api import Api, Fault


def test_leftover_configurations_of_ours_are_named(client: Any, capsys: Capture) -> None:
    """The administrator attaches a dry run, then the real configuration, then detaches it. A
    profile has its own script."""
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
    (note,) = (line for line in printed.splitlines() if "attached nowhere" in line)
    assert "delete-studio-lifecycle-config --studio-lifecycle-config-name NAME --region us" in note
    assert note.endswith("lifecycle-config --delete-unused --region us-west-2")
    kept = client.describe_user_profile(DomainId="d-local", UserProfileName="ada")
    block = kept["UserSettings"]["JupyterLabAppSettings"]
    kept_name = block["BuiltInLifecycleConfigArn"].rsplit("/", 1)[-1]
    assert {name for name in names if name in note} == names - {kept_name}
    # The script of the profile is still attached, and the output says so.
    assert kept_name in run(capsys, *DOMAIN, "--show", "domain")

    printed = run(capsys, *DOMAIN, "--delete-unused", code=1)
    assert all(f"Delete {name}" in printed for name in names - {kept_name})
    assert len(client.list_studio_lifecycle_configs()["StudioLifecycleConfigs"]) == 3
    run(capsys, *DOMAIN, "--delete-unused", "--yes")
    (left,) = client.list_studio_lifecycle_configs()["StudioLifecycleConfigs"]
    assert left["StudioLifecycleConfigName"] == kept_name
    assert "There is no unused lifecycle configuration" in run(capsys, *DOMAIN, "--delete-unused")


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
