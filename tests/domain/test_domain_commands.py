"""``domain report``, ``check`` and ``tidy`` as an administrator runs them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from account import aged
from aws_account import REGION, Account, line

from auto_shutdown.cli.main import main
from auto_shutdown.domain.stores import FileState

pytestmark = pytest.mark.usefixtures("fast")


def run(*argv: str) -> int:
    return main(["domain", *argv])


def policy_file(tmp_path: Path, **content: Any) -> str:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"version": 1, **content}))
    return str(path)


def fill(account: Account) -> None:
    account.start("JupyterLab", 30, SpaceName="lab")
    account.start("RSessionGateway", 50, "session-1", UserProfileName="cleo")
    account.log("d-one/lab/JupyterLab/default", line())


def test_report_as_a_table(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    fill(account)
    assert run("report", "--region", REGION) == 0
    printed = capsys.readouterr().out
    assert "ada (lab)" in printed
    assert "RStudio session" in printed
    assert "billed now: $0.23 an hour, and 1 without a known price" in printed
    assert "red $0.12/h" in printed


def test_the_table_fits_a_narrow_terminal(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(account)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    assert run("report") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "OWNER" in lines[0]
    assert "$/H" in lines[0]


def test_report_for_programs_and_spreadsheets(
    account: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fill(account)
    page = tmp_path / "page.html"
    assert run("report", "--json", "--html", str(page)) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["type"] for row in found["rows"]} == {
        "JupyterLab",
        "RSessionGateway",
        "SpaceStorage",
    }
    assert "<title>" in page.read_text()
    assert run("report", "--csv", "-") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 3
    assert rows[0]["usd_per_hour"] == "0.115"


def test_report_of_one_domain(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    fill(account)
    account.make_domain("two")
    assert run("report", "--domain", "d-two") == 0
    assert "Nothing is billed here" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "code"), [((), 0), (("--fail-on", "warning"), 1), (("--fail-on", "never"), 0)]
)
def test_check_and_its_exit_code(
    account: Account, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], code: int
) -> None:
    account.start("JupyterLab", 100, SpaceName="lab")
    account.log("d-one/lab/JupyterLab/default", line())
    account.api.others["ServiceQuotasV20190624.ListServiceQuotas"] = lambda request: {
        "Quotas": [
            {
                "QuotaName": "Studio JupyterLab Apps running on ml.m5.large instances",
                "Value": 1.0,
            }
        ]
    }
    assert run("check", *argv) == code
    printed = capsys.readouterr().out
    assert "Running for more than 3 d: 1 (d-one/lab/JupyterLab of ada" in printed
    assert "1 of 1" in printed
    assert "failure" not in printed


def test_check_fails_on_a_failure(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    account.start("TensorBoard", 100)
    account.lose_owner("bob")
    assert run("check", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["counts"]["failure"] >= 1
    (orphans,) = [x for x in found["findings"] if x["check"] == "orphans"]
    assert orphans["level"] == "failure"


def test_tidy_from_notice_to_deletion(
    account: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    account.start("TensorBoard", 100)
    account.start("JupyterLab", 2, SpaceName="lab")
    account.start("Canvas", 2, UserProfileName="ada").status = "Deleted"
    account.log("d-one/other/JupyterLab/default", line())
    topic = account.session.client("sns").create_topic(Name="notices")["TopicArn"]
    notify = {"sns_topic_arn": topic, "event_bus": "default"}
    policy = policy_file(
        tmp_path, dry_run=False, notify=notify, tensorboard={"delete": True, "age_hours": 24}
    )
    state, audit = tmp_path / "state.json", tmp_path / "audit.jsonl"
    argv = ["tidy", "--policy", policy, "--state", str(state), "--audit", str(audit)]
    assert run(*argv, "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "A dry run" in printed
    assert "Kept: 1 JupyterLab." in printed
    assert "2 h" not in printed
    assert run(*argv, "--dry-run", "--all") == 0
    assert "It has run for 2 h; the limit is" in capsys.readouterr().out
    assert not state.exists()
    assert run(*argv) == 0
    assert "noticed" in capsys.readouterr().out
    assert account.statuses()["bob/TensorBoard"] == "InService"
    store = FileState(state)
    memory, version = store.load()
    store.save(aged(memory), version)
    assert run(*argv, "--json") == 0
    rows = json.loads(capsys.readouterr().out)["plan"]
    assert {row["type"]: row["step"] for row in rows} == {
        "TensorBoard": "removed",
        "JupyterLab": "keep",
    }
    account.wait_for(lambda: account.statuses()["bob/TensorBoard"] == "Deleted")
    assert account.statuses()["lab/JupyterLab"] == "InService"
    assert [json.loads(text)["event"] for text in audit.read_text().splitlines()] == [
        "notice",
        "delete",
        "outcome",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"version": 2}, '"version" must be 1'),
        ({"canvass": {}}, 'Do you mean "canvas"?'),
        ({"canvas": {"delete": "yes"}}, '"canvas.delete" must be true or false'),
        ({"canvas": {"idle_minutes": 5}}, '"canvas.idle_minutes" must be from 30'),
        ({"canvas": {"idle_minutes": float("nan")}}, "must be from 30"),
        ({"notice_minutes": 1}, "from 15"),
        ({"max_deletions": True}, "a whole number"),
        ({"domains": ["x"]}, "a domain's id"),
        ({"domains": []}, "Leave it out for all domains"),
        ({"exceptions": {"owners": ["a b"]}}, "NAME or DOMAIN/NAME"),
        ({"notify": {"sns_topic_arn": "topic"}}, "not the ARN of an SNS topic"),
        ({"prices": {"Canvas": -1}}, "US dollars an hour"),
        ({"dry_run": False, "orphans": {"delete": True}}, 'needs "notify"'),
        ({"checks": {}}, 'Do you mean "check"?'),
    ],
)
def test_invalid_policy_does_nothing(
    account: Account,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    content: dict[str, Any],
    words: str,
) -> None:
    assert run("tidy", "--policy", policy_file(tmp_path, **content)) == 1
    printed = capsys.readouterr().err
    assert words in printed
    assert "policy.json" in printed
    assert account.api.count("ListApps") == 0


def test_unreadable_policy_file_is_an_error(
    account: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "policy.json"
    assert run("tidy", "--policy", str(path)) == 1
    assert "No such file" in capsys.readouterr().err
    path.write_text("{,}")
    assert run("tidy", "--policy", str(path)) == 1
    assert "is not JSON" in capsys.readouterr().err
    path.write_text('{"version": 1, "exceptions": {"owners": ["ada"]}, "exceptions": {}}')
    assert run("tidy", "--policy", str(path)) == 1
    assert '"exceptions" is given twice' in capsys.readouterr().err
    path.write_bytes(b'\xef\xbb\xbf{"version": 1}')  # a byte order mark is no matter
    assert run("tidy", "--policy", str(path), "--state", str(tmp_path / "s")) == 0
    assert run("tidy") == 2


def test_missing_region_is_an_error(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    assert run("report") == 1
    assert "Give --region" in capsys.readouterr().err
    assert run("report", "--profile", "nobody") == 1
    assert "No AWS session (ProfileNotFound)" in capsys.readouterr().err


def test_csv_escapes_names_that_a_spreadsheet_would_run() -> None:
    from auto_shutdown.domain.report import COLUMNS, csv_rows

    row = {**dict.fromkeys(COLUMNS), "owner": "=1+1", "hours": -1.5}
    _, found = csv_rows({"rows": [row]})
    assert found[COLUMNS.index("owner")] == "'=1+1"
    assert found[COLUMNS.index("hours")] == -1.5
    assert found[COLUMNS.index("team")] == ""
