"""The remarks of a plan: other settings, other auto-stop tools, and what could not be read."""

from __future__ import annotations

from typing import Any

import pytest
from studio_account import (
    AUTO_STOP,
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

from auto_shutdown.local_studio.api import Api, Fault


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
    assert "Note: user profile ada runs own instead of the domain's lifecycle" in printed
    assert "to these as well, use --attach user-profile --user-profile ada with" in printed
    assert "Note: space team runs own after the lifecycle configuration of the domain" in printed
    assert (
        "Note: user profile bob has its own JupyterLab settings. AWS does not document" in printed
    )
    assert "use --attach user-profile --user-profile bob with the same settings as well." in printed
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
    assert "Note: space team runs own instead of the domain's lifecycle configuration." in printed


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
    assert "because a part could not be read: ListUserProfiles failed" in printed
    assert "Done." in printed
