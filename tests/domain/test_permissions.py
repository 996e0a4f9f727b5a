"""The generated policies allow every call of the ``domain`` commands, and nothing more.

The commands run against the AWS API with the policy in force: a call that it does not allow is
refused, as IAM would.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from account import aged
from aws_account import REGION, Account, line
from iam import Guard, actions_of, allows, lint

from auto_shutdown.cli.main import main
from auto_shutdown.domain import permissions
from auto_shutdown.domain.permissions import Where, document
from auto_shutdown.domain.policy import RULES, parse
from auto_shutdown.domain.stores import FileState

HERE = Where(region=REGION, account="123456789012", domains=("d-one",))
TOPIC = "arn:aws:sns:us-west-2:123456789012:notices"
ACTING = {
    "version": 1,
    "dry_run": False,
    "domains": ["d-one"],
    "notify": {"sns_topic_arn": TOPIC, "event_bus": "default"},
    **{rule: {"delete": True} for rule in RULES},
}


pytestmark = pytest.mark.usefixtures("fast")


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Guard:
    return Guard(monkeypatch)


@pytest.fixture
def busy_account(guard: Guard, account: Account) -> Account:
    """With something for every rule and every source."""
    account.start("Canvas", 10)
    account.canvas_was_idle(200)
    account.start("JupyterLab", 90, SpaceName="lab")
    account.start("RSessionGateway", 50, "session-1", UserProfileName="ada")
    account.start("KernelGateway", 90, "k", UserProfileName="cleo")
    account.lose_owner("cleo")
    account.make_space("gone", "ada")
    account.start("CodeEditor", 90, SpaceName="gone")
    account.lose_owner("gone", "Space")
    account.log("d-one/ada/JupyterServer/default", line())
    account.sagemaker.create_notebook_instance(
        NotebookInstanceName="note", InstanceType="ml.t3.medium", RoleArn="arn:aws:iam::1:role/x"
    )
    account.sagemaker.create_studio_lifecycle_config(
        StudioLifecycleConfigName="script",
        StudioLifecycleConfigContent="Iw==",
        StudioLifecycleConfigAppType="JupyterLab",
    )
    account.session.client("sns").create_topic(Name="notices")
    return account


@pytest.fixture
def policy_file(tmp_path: Path) -> str:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(ACTING))
    return str(path)


def put_in_force(guard: Guard, statements: list[dict[str, Any]]) -> dict[str, Any]:
    policy = document(statements)
    guard.calls.clear()
    guard.policy = policy
    return policy


def assert_exact(guard: Guard, policy: dict[str, Any]) -> None:
    assert guard.refused == []
    assert guard.actions == actions_of(policy)


@pytest.mark.parametrize("bill", [False, True])
def test_policy_for_domain_report_is_exact(
    busy_account: Account, guard: Guard, policy_file: str, bill: bool
) -> None:
    policy = put_in_force(guard, permissions.report(HERE, bill))
    arguments = ["domain", "report", "--policy", policy_file, "--json"]
    assert main([*arguments, *(["--bill"] if bill else [])]) == 0
    assert_exact(guard, policy)


def test_policy_for_domain_check_is_exact(
    busy_account: Account, guard: Guard, policy_file: str
) -> None:
    policy = put_in_force(guard, permissions.check(HERE))
    assert main(["domain", "check", "--policy", policy_file, "--fail-on", "never"]) == 0
    assert_exact(guard, policy)


def test_policy_for_domain_tidy_is_exact(
    busy_account: Account, guard: Guard, policy_file: str, tmp_path: Path
) -> None:
    policy = put_in_force(guard, permissions.tidy(HERE, parse(ACTING)))
    state = tmp_path / "state"
    arguments = ["domain", "tidy", "--policy", policy_file, "--state", str(state)]
    arguments += ["--audit", str(tmp_path / "audit")]
    assert main(arguments) == 0
    memory, version = FileState(state).load()
    FileState(state).save(aged(memory), version)
    assert main(arguments) == 0
    deleted = {e["type"] for e in entries(tmp_path / "audit") if e["event"] == "delete"}
    assert deleted == {"Canvas", "JupyterLab", "RSessionGateway", "KernelGateway", "CodeEditor"}
    assert_exact(guard, policy)


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


@pytest.mark.parametrize("content", [{**ACTING, "dry_run": True}, {"version": 1}])
def test_tidy_that_deletes_nothing_needs_only_read_permissions(
    busy_account: Account, guard: Guard, tmp_path: Path, content: dict[str, Any]
) -> None:
    policy = put_in_force(guard, permissions.tidy(HERE, parse(content)))
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({**content, "domains": ["d-one"]}))
    assert main(["domain", "tidy", "--policy", str(path), "--state", str(tmp_path / "s")]) == 0
    assert_exact(guard, policy)
    assert not {a for a in actions_of(policy) if "Delete" in a or "Publish" in a or "Put" in a}


def test_policy_for_domain_teardown_is_exact(
    busy_account: Account, guard: Guard, tmp_path: Path
) -> None:
    policy = put_in_force(guard, permissions.teardown(HERE))
    arguments = ["domain", "teardown", "--domain", "d-one", "--confirm", "one"]
    assert main([*arguments, "--delete-spaces", "--audit", str(tmp_path / "audit")]) == 0
    assert_exact(guard, policy)


def test_policies_do_not_allow_another_domain() -> None:
    for statements in (permissions.tidy(HERE, parse(ACTING)), permissions.teardown(HERE)):
        for domain, allowed in (("d-one", True), ("d-two", False), ("d-one-more", False)):
            app = f"arn:aws:sagemaker:{REGION}:123456789012:app/{domain}/ada/Canvas/default"
            assert allows(document(statements), "sagemaker:DeleteApp", app) is allowed


def test_policy_linter_accepts_the_policies_for_domains() -> None:
    policies = [
        document(statements)
        for where in (HERE, Where())
        for statements in (
            permissions.report(where, bill=True),
            permissions.check(where),
            permissions.tidy(where, parse(ACTING)),
            permissions.teardown(where),
        )
    ]
    wrong = document([{**policies[0]["Statement"][0], "Action": ["sagemaker:ListApp"]}])
    *found, found_in_wrong = lint(*policies, wrong)
    # permissions.py says why this action stands on any resource.
    known = ["RESOURCE_STAR", "['logs:GetQueryResults']"]
    assert [f for findings in found for f in findings if f != known] == []
    assert "UNKNOWN_ACTION" in {issue for issue, _ in found_in_wrong}


@pytest.mark.parametrize("command", permissions.COMMANDS)
def test_iam_policy_command_prints_the_policy_for_domains(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["iam-policy", "--for", f"domain-{command}", "--domain", "d-one", "--region", REGION]
    assert main([*argv, "--account", "123456789012"]) == 0
    printed = json.loads(capsys.readouterr().out)
    expected = {
        "report": permissions.report(HERE, bill=True),
        "check": permissions.check(HERE),
        "tidy": permissions.tidy(
            HERE,
            parse({**ACTING, "notify": {"event_bus": "*"}}),
            ("arn:aws:sns:us-west-2:123456789012:*",),
        ),
        "teardown": permissions.teardown(HERE),
    }
    assert printed == document(expected[command])
