"""docs/domain.md, followed word for word: the report on Monday, a dry run for everybody, the
evidence, the real run, exceptions, and the teardown of a test domain."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pages
import pytest
from account import aged
from aws_account import Account, line
from pages import Command

from auto_shutdown.cli.main import main
from auto_shutdown.domain.stores import FileState
from auto_shutdown.install.lifecycle import read_script

PAGE = (pages.DOCS / "domain.md").read_text().replace("d-abc123", "d-one")
POLICY = next(text for text in pages.blocks(PAGE, "json") if '"version"' in text)
STATE = Path("auto-shutdown-domain-state.json")  # the command's default


class Administrator:
    """Types the commands of the page as printed. ``typed`` are the commands so far."""

    def __init__(self, account: Account, capsys: pytest.CaptureFixture[str]) -> None:
        self._account = account
        self._capsys = capsys
        self._left: Iterator[Command] = iter(pages.commands(PAGE))

    def type(self, *parts: str, code: int = 0) -> str:
        """Type the page's commands up to the next one that contains all ``parts``, and return what
        that one printed. Only that one may end with ``code``."""
        for command in self._left:
            is_last = all(part in command.words for part in parts)
            text = self._run(command, code if is_last else 0)
            if is_last:
                return text
        raise AssertionError(f"The page has no further command with {parts}.")

    def again(self, *words: str) -> str:
        return self._run(Command(" ".join(words), ("jupyter", "auto-shutdown", *words)), 0)

    def _run(self, command: Command, code: int) -> str:
        if command.words[0] == "aws":
            self._call(command)
            return ""
        if not command.is_ours:
            return ""
        self._capsys.readouterr()
        got = main(command.words[2:])
        out, err = self._capsys.readouterr()
        assert got == code, f"{command.line}\n{out}{err}"
        if command.output:
            Path(command.output).write_text(out)
        return out + err

    def _call(self, command: Command) -> None:
        """The commands of the AWS command line that change something here."""
        service, operation, *rest = command.words[1:]
        options = dict(zip(rest[::2], rest[1::2]))
        if operation == "create-topic":
            self._account.session.client(service).create_topic(Name=options["--name"])
        elif operation == "subscribe":
            self._account.session.client(service).subscribe(
                TopicArn=options["--topic-arn"],
                Protocol=options["--protocol"],
                Endpoint=options["--notification-endpoint"],
            )
        elif operation == "add-tags":
            key, value = (part.partition("=")[2] for part in options["--tags"].split(","))
            self._account.sagemaker.add_tags(
                ResourceArn=options["--resource-arn"], Tags=[{"Key": key, "Value": value}]
            )


def configuration(account: Account) -> dict[str, Any]:
    """The configuration in the script that runs in the domain."""
    settings = account.sagemaker.describe_domain(DomainId="d-one")["DefaultUserSettings"]
    arn = settings["JupyterLabAppSettings"]["BuiltInLifecycleConfigArn"]
    found = account.sagemaker.describe_studio_lifecycle_config(
        StudioLifecycleConfigName=arn.rsplit("/", 1)[-1]
    )
    script = read_script(base64.b64decode(found["StudioLifecycleConfigContent"]).decode())
    assert script is not None
    return dict(script.configuration)


def an_hour_passes() -> None:
    """The notices become older than the policy's ``notice_minutes``."""
    store = FileState(STATE)
    memory, version = store.load()
    store.save(aged(memory, timedelta(minutes=61)), version)


def test_from_the_first_report_to_the_teardown_of_a_test_domain(
    account: Account,
    fast: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("auto_shutdown.install.options.default_digest", lambda _source: "d" * 64)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda text: "one" if "domain's name" in text else "y")
    quotas = "ServiceQuotasV20190624.ListServiceQuotas"  # moto does not know it
    account.api.others[quotas] = lambda _request: {"Quotas": []}
    administrator = Administrator(account, capsys)

    # Monday
    account.start("JupyterLab", 30, SpaceName="lab")
    account.start("TensorBoard", 100)
    account.start("RSessionGateway", 100, "session-1", UserProfileName="cleo")
    report = administrator.type("report", "--html")
    assert "ada (lab)" in report
    assert "RStudio session" in report
    assert "<title>" in Path("studio.html").read_text(encoding="utf-8")

    # Tuesday, and a week later
    administrator.type("lifecycle-config", "dry_run=true")
    assert configuration(account) == {
        "dry_run": True,
        "report_to_log": True,
        "locked": ["dry_run"],
    }
    would = {"would_remove": {"app": 2}, "would_save": {"instance_hours": 5, "usd": 0.6}}
    account.log("d-one/lab/JupyterLab/default", line(dry_run=True), ago=5 * 86_400)
    account.log("d-one/lab/JupyterLab/default", line(dry_run=True, **would))
    administrator.type("report", "--reports-within")
    evidence = json.loads(Path("evidence.json").read_text())
    assert evidence["would_remove"] == {"app": 2}
    assert [entry["name"] for entry in evidence["would_save"]["by_owner"]] == ["ada"]
    assert [entry["name"] for entry in evidence["would_save"]["by_team"]] == ["red"]
    (app,) = (row for row in evidence["rows"] if row["type"] == "JupyterLab")
    assert (app["extension"], app["extension_version"], app["dry_run"]) == ("seen", "1.0", True)

    # The real run, and the daily check
    administrator.type("lifecycle-config", "--attach")
    assert configuration(account) == {"report_to_log": True}
    check = administrator.type("check")
    assert "Running for more than 3 d: 2" in check

    # tidy: the plan, the notice, an exception, the deletion
    Path("policy.json").write_text(POLICY)
    assert "A dry run" in administrator.type("tidy")
    assert not STATE.exists()
    Path("policy.json").write_text(POLICY.replace('"dry_run": true', '"dry_run": false'))
    tidy = ("domain", "tidy", "--region", "us-west-2", "--policy", "policy.json")
    assert administrator.again(*tidy).count("noticed") == 2
    an_hour_passes()
    account_of_tags = account.api.count("AddTags")
    administrator.type("add-tags")  # bob's
    assert account.api.count("AddTags") == account_of_tags + 1
    administrator.again(*tidy)
    account.wait_for(lambda: account.statuses()["cleo/RSessionGateway"] == "Deleted")
    assert account.statuses()["bob/TensorBoard"] == "InService"
    assert account.statuses()["lab/JupyterLab"] == "InService"

    # The test domain goes
    refused = administrator.type("teardown", code=1)
    assert "--delete-spaces" in refused
    assert account.api.count("DeleteSpace") == 0
    gone = administrator.type("teardown", "--delete-spaces")
    assert "The domain is gone." in gone
    assert account.sagemaker.list_domains()["Domains"] == []
    for rest in ("EFS file system", "security groups", "lifecycle configurations"):
        assert rest in gone
