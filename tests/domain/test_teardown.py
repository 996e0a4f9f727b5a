"""``domain teardown`` against the AWS API: an empty account, from wherever it was interrupted."""

from __future__ import annotations

from typing import Any

import pytest
from aws_account import REGION, Account

from auto_shutdown.domain.pace import Aws, Pace
from auto_shutdown.domain.teardown import GONE, Result, Teardown
from auto_shutdown.local_studio.api import Fault, denied
from auto_shutdown.local_studio.resources import Delays


class Interrupted(BaseException):
    """Ctrl-C, a crash, the laptop's lid."""


def fill(account: Account) -> None:
    """A domain with one of each sort, an app that failed, and a neighbour with the same names."""
    account.start("JupyterLab", SpaceName="lab")
    account.start("KernelGateway", name="datascience", UserProfileName="ada")
    account.start("JupyterServer", UserProfileName="ada")
    account.start("RSessionGateway", name="session-1", UserProfileName="cleo")
    account.start("RStudioServerPro", UserProfileName="domain-shared")
    account.start("Canvas").status = "Failed"
    account.make_domain("two")
    account.sagemaker.create_user_profile(DomainId="d-two", UserProfileName="ada")
    app = {"UserProfileName": "ada", "AppType": "Canvas", "AppName": "default"}
    account.sagemaker.create_app(DomainId="d-two", **app)


def restarts_by_itself(account: Account) -> None:
    """Studio starts ada's JupyterServer app again, just before her profile is deleted."""
    original = account.api.operations.table["DeleteUserProfile"]
    restarted = []

    def delete(request: dict[str, Any]) -> dict[str, Any]:
        if request["UserProfileName"] == "ada" and not restarted:
            restarted.append(True)
            account.start("JupyterServer", UserProfileName="ada")
        return original(request)

    account.api.operations.table["DeleteUserProfile"] = delete


def aws_of(account: Account) -> Aws:
    return Aws(REGION, account.session, Pace(speed=400))


def teardown(account: Account, aws: Aws | None = None, **more: Any) -> Result:
    given = {"keep_files": True, "delete_spaces": True, "tell": lambda text: None, **more}
    return Teardown(aws or aws_of(account), "d-one", **given).run()


def what_is_left(account: Account) -> tuple[Any, ...]:
    one = {"DomainIdEquals": "d-one"}
    return (
        [d["DomainId"] for d in account.sagemaker.list_domains()["Domains"]],
        account.sagemaker.list_user_profiles(**one)["UserProfiles"],
        account.sagemaker.list_spaces(**one)["Spaces"],
        # A list that is late shows a Failed app as InService, so it may have been deleted.
        {a.status for a in account.api.apps.all() if a.domain_id == "d-one"} - GONE,
    )


EMPTY = (["d-two"], [], [], set())


def interrupt_at(aws: Aws, number: int, after: bool) -> None:
    """Raise at the deletion of that number, before or after AWS has got it."""
    call, seen = aws.call, []

    def interrupted(service: str, method: str, **request: Any) -> Any:
        if method.startswith("delete"):
            seen.append(method)
        if len(seen) == number and method.startswith("delete"):
            if after:
                call(service, method, **request)
            raise Interrupted
        return call(service, method, **request)

    aws.call = interrupted  # type: ignore[method-assign]


def test_teardown_empties_the_account_and_names_what_remains(account: Account) -> None:
    fill(account)
    restarts_by_itself(account)
    told: list[str] = []
    entries: list[Any] = []
    result = teardown(account, tell=told.append, audit=entries.append)
    assert result.done
    assert result.failed == []
    assert what_is_left(account) == EMPTY
    assert result.deleted["JupyterServer app"] == 2
    assert result.deleted["user profile"] == 3
    assert "one-efs-id" in result.remains[0]
    deleted = [c.request for c in account.api.calls if c.operation == "DeleteDomain"]
    assert deleted == [{"DomainId": "d-one", "RetentionPolicy": {"HomeEfsFileSystem": "Retain"}}]
    order = [c.operation for c in account.api.calls if c.operation.startswith("Delete")]
    assert order.index("DeleteSpace") > 4
    assert order[-1] == "DeleteDomain"
    # The session went before its server, and each deletion has its two lines.
    apps = [c.request["AppType"] for c in account.api.calls if c.operation == "DeleteApp"]
    assert apps.index("RSessionGateway") < apps.index("RStudioServerPro")
    assert [e["event"] for e in entries[:2]] == ["delete", "outcome"]
    assert len(entries) == 2 * len(order)


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("number", range(1, 11))
def test_teardown_continues_after_an_interruption_at_any_call(
    account: Account, number: int, after: bool
) -> None:
    fill(account)
    account.api.apps.delays = Delays(deleting=0.02)
    aws = aws_of(account)
    interrupt_at(aws, number, after)
    with pytest.raises(Interrupted):
        teardown(account, aws)
    result = teardown(account)
    account.api.apps.delays = Delays()
    assert result.done, result.failed
    assert what_is_left(account) == EMPTY


def test_a_pending_app_is_waited_for(account: Account) -> None:
    account.api.apps.delays = Delays(pending=0.3)
    app = {"UserProfileName": "bob", "AppType": "Canvas", "AppName": "default"}
    account.sagemaker.create_app(DomainId="d-one", **app)
    result = teardown(account)
    account.api.apps.delays = Delays()
    assert result.done, result.failed


@pytest.mark.parametrize(
    "delays",
    [Delays(deleting=0.4), Delays(listing=0.3), Delays(deleting=0.3, listing=0.4)],
    ids=["slow deletions", "late lists", "both"],
)
def test_slow_deletions_and_late_lists(account: Account, delays: Delays) -> None:
    """A list shows a deletion some time after it happened, and shows as InService what is being
    deleted: neither is a failure, and nothing is taken for gone too early."""
    fill(account)
    account.api.apps.delays = delays
    result = teardown(account)
    account.api.apps.delays = Delays()
    assert result.failed == []
    assert result.done
    assert what_is_left(account) == EMPTY
    # The neighbour with the same names keeps its app and its profile.
    assert [a.status for a in account.api.apps.all() if a.domain_id == "d-two"] == ["InService"]
    profiles = account.sagemaker.list_user_profiles(DomainIdEquals="d-two")["UserProfiles"]
    assert [profile["UserProfileName"] for profile in profiles] == ["ada"]


def test_files_are_deleted_only_on_request(account: Account) -> None:
    assert teardown(account, keep_files=False).done
    (call,) = [c for c in account.api.calls if c.operation == "DeleteDomain"]
    assert call.request["RetentionPolicy"] == {"HomeEfsFileSystem": "Delete"}


def test_refused_call_stops_the_teardown_with_a_remedy(account: Account) -> None:
    fill(account)
    text = denied("sagemaker:DeleteSpace", "arn")
    account.api.faults.append(Fault("DeleteSpace", "AccessDeniedException", text))
    result = teardown(account)
    assert not result.done
    assert len(result.failed) == 1
    assert "sagemaker:DeleteSpace" in result.failed[0]
    assert account.api.count("DeleteUserProfile") == 0
    account.api.faults.clear()
    assert teardown(account).done


def test_space_created_after_the_plan_is_not_deleted(account: Account) -> None:
    """The administrator saw a plan without spaces, and did not agree that files are deleted."""
    account.sagemaker.delete_space(DomainId="d-one", SpaceName="lab")
    account.start("Canvas")
    original = account.api.operations.table["DeleteApp"]

    def delete(request: dict[str, Any]) -> dict[str, Any]:
        account.make_space("late", "ada")
        return original(request)

    account.api.operations.table["DeleteApp"] = delete
    result = teardown(account, delete_spaces=False)
    assert not result.done
    assert len(result.failed) == 1
    assert result.failed[0].startswith("The domain has spaces with files now: late.")
    assert account.api.count("DeleteUserProfile") == 0
    spaces = account.sagemaker.list_spaces(DomainIdEquals="d-one")["Spaces"]
    assert [space["SpaceName"] for space in spaces] == ["late"]


def test_plan_of_a_teardown_lists_its_steps(account: Account) -> None:
    fill(account)
    work = Teardown(aws_of(account), "d-one", True, True, lambda text: None)
    lines = work.plan(work.look())
    assert lines[0] == f"Remove the domain d-one (one) in {REGION}, in order:"
    assert "  delete 1 space, with the files in them (5 GB): lab" in lines
    assert "  delete 3 user profiles" in lines
    assert any("EFS) is kept" in line for line in lines)
    assert account.api.count("DeleteApp") == 0


def test_teardown_of_a_deleted_domain_succeeds(account: Account) -> None:
    assert teardown(account).done
    again = teardown(account)
    assert again.done
    assert again.deleted == {}


def run(argv: list[str]) -> int:
    from auto_shutdown.cli.main import main

    return main(["domain", "teardown", "--region", REGION, *argv])


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--domain", "d-one"], "To agree, use --delete-spaces."),
        (["--domain", "d-one", "--delete-spaces"], "To confirm, use --confirm one."),
        (["--domain", "d-one", "--delete-spaces", "--confirm", "two"], "name is one"),
        (["--domain", "d-one", "--confirm", "one"], "To agree, use --delete-spaces."),
    ],
)
def test_teardown_needs_the_name_of_the_domain(
    account: Account, capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    fill(account)
    assert run(argv) == 1
    assert words in capsys.readouterr().err
    assert not any(call.operation.startswith("Delete") for call in account.api.calls)


def test_teardown_command_deletes_the_domain(
    account: Account,
    capsys: pytest.CaptureFixture[str],
    fast: None,
    tmp_path: Any,
) -> None:
    audit = tmp_path / "audit.jsonl"
    argv = ["--domain", "d-one", "--delete-spaces", "--confirm", "one", "--audit", str(audit)]
    assert run(argv) == 0
    said = capsys.readouterr().out
    assert "The domain is gone." in said
    assert "remains: the EFS file system one-efs-id" in said
    assert '"event": "delete"' in audit.read_text()
    assert run(argv) == 0
    assert "does not exist" in capsys.readouterr().out
