"""``--update`` and ``--rollback``: the scripts that they attach and restore."""

from __future__ import annotations

from typing import Any

from studio_account import (
    DOMAIN,
    PLAIN,
    Capture,
    attached,
    lab,
    make_config,
    make_domain,
    make_profile,
    run,
)

from auto_shutdown.install.names import DISTRIBUTION as NAME


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
    assert "has no earlier lifecycle configuration of auto_shutdown to go back to." in printed
    # A detachment still restores the settings from before the first ``--attach``.
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


def test_a_folder_stands_for_the_wheel_of_this_version_in_it(client: Any, capsys: Capture) -> None:
    make_domain(client)
    wheel = "jupyterlab_auto_shutdown-0.1.0-py3-none-any.whl"
    run(capsys, *DOMAIN, "--attach", "domain", "--from", "s3://bucket/wheels/", "--yes")
    assert attached(client).source == f"s3://bucket/wheels/{wheel}"
    run(capsys, *DOMAIN, "--update", "domain", "--from", "s3://bucket/other/", "--yes")
    assert attached(client).source == f"s3://bucket/other/{wheel}"


def test_a_change_of_the_domain_names_each_script_that_it_leaves_unchanged(
    client: Any, capsys: Capture
) -> None:
    """``bob`` installs another version than the domain, before and after the update."""
    make_domain(client)
    newest, oldest = ("--from", f"{NAME}==9.9"), ("--from", f"{NAME}==0.0.1")
    for name in ("ada", "bob"):
        make_profile(client, name)
        version = oldest if name == "bob" else ()
        more = (*DOMAIN, "--user-profile", name, "--set", "warn_minutes=3", *version, "--yes")
        run(capsys, *more, "--attach", "user-profile")
    run(capsys, *DOMAIN, "--attach", "domain", "--yes")
    printed = run(capsys, *DOMAIN, "--update", "domain", *newest, "--yes")
    assert "use --update user-profile --user-profile ada,bob." in printed
    assert "--attach" not in printed
    profile = (*DOMAIN, "--user-profile", "ada")
    run(capsys, *profile, "--update", "user-profile", *newest, "--yes")
    printed = run(capsys, *DOMAIN, "--rollback", "domain", "--yes")
    assert "user profile ada has a script of auto_shutdown that installs the same" in printed
    assert "use --rollback user-profile --user-profile ada." in printed
    run(capsys, *profile, "--rollback", "user-profile", "--yes")
    printed = run(capsys, *DOMAIN, "--detach", "domain", "--yes")
    assert "user profile ada and user profile bob have a script of auto_shutdown that st" in printed
    assert "use --detach user-profile --user-profile ada,bob." in printed


def test_update_without_an_attached_configuration_is_an_error(client: Any, capsys: Capture) -> None:
    make_domain(client)
    printed = run(capsys, *DOMAIN, "--update", "domain", "--yes", code=2)
    assert "so there is none to update. Use --attach." in printed


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
    assert "old, which ran here before, does not exist any more; no lifecycle" in printed
    settings = client.describe_domain(DomainId="d-local")["DefaultUserSettings"]
    assert "BuiltInLifecycleConfigArn" not in settings.get("JupyterLabAppSettings", {})
