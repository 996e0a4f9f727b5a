"""``--show`` reports how the attached script differs from the wanted one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from studio_account import DOMAIN, Capture, lab, make_config, make_domain, make_profile, run


def by_stack(client: Any, make: Callable[[], str]) -> str:
    """What Terraform, CloudFormation or CDK do: the script of --output, attached by them."""
    arn = make_config(client, "auto-shutdown-by-stack", make().encode())
    client.update_domain(DomainId="d-local", DefaultUserSettings=lab(BuiltInLifecycleConfigArn=arn))
    return arn


def test_plan_over_the_script_of_a_stack_names_the_stack(client: Any, capsys: Capture) -> None:
    make_domain(client)
    by_stack(client, lambda: run(capsys, "--set", "warn_minutes=3"))
    assert "attached as code or by hand" in run(capsys, *DOMAIN, "--show", "domain")
    for action in ("--attach", "--detach"):
        printed = run(capsys, *DOMAIN, action, "domain", code=1)
        assert (
            "Note: auto-shutdown-by-stack was attached as code (Terraform, CloudFormation, CDK) "
            "or by hand, not with --attach. Change it there as well: the next apply of that stack "
            "undoes this."
        ) in printed


def test_stack_that_restored_its_own_script_is_reported_as_drift(
    client: Any, capsys: Capture
) -> None:
    make_domain(client)
    arn = by_stack(client, lambda: run(capsys))
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
    assert "Drift: domain d-local should run auto_shutdown, but nothing runs there." in printed
    run(capsys, *DOMAIN, "--attach", "domain", "--set", "warn_minutes=3", "--yes")
    run(capsys, *DOMAIN, "--show", "domain", "--set", "warn_minutes=3")
    printed = run(
        capsys, *DOMAIN, "--show", "domain", "--set", "dry_run=true", "--sha256", "e" * 64, code=1
    )
    assert f"sha256 is {'d' * 64} and should be {'e' * 64}." in printed
    assert "warn_minutes is 3 and should be not set." in printed
    assert "dry_run is not set and should be true." in printed


def test_other_settings_of_a_user_profile_are_a_note(client: Any, capsys: Capture) -> None:
    """Forgotten after the dry run, or intended: for the domain it is no drift."""
    make_domain(client)
    make_profile(client, "ada")
    profile = (*DOMAIN, "--user-profile", "ada")
    run(capsys, *profile, "--attach", "user-profile", "--set", "dry_run=true", "--yes")
    run(capsys, *DOMAIN, "--attach", "domain", "--set", "warn_minutes=3", "--yes")
    printed = run(capsys, *DOMAIN, "--show", "domain", "--set", "warn_minutes=3")
    assert (
        "Note: user profile ada has a script of its own: dry_run is true and should be" in printed
    )
    assert "To attach the script" not in printed
    run(capsys, *profile, "--show", "user-profile", "--set", "warn_minutes=3", code=1)
