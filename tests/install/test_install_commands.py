"""The commands: their output, their exit codes, and that they change nothing without a yes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown import __version__
from auto_shutdown.cli.main import main
from auto_shutdown.install.digest import default_digest
from auto_shutdown.install.lifecycle import Script
from auto_shutdown.local_studio.api import Api, Fault

pytestmark = pytest.mark.usefixtures("account")

WHEEL = f"jupyterlab_auto_shutdown-{__version__}-py3-none-any.whl"


def call(*argv: str) -> int:
    return main(argv)


Capture = pytest.CaptureFixture[str]


def printed(configuration: dict[str, Any]) -> str:
    return Script("jupyterlab", sha256="d" * 64, configuration=configuration, as_code=True).render()


def test_script_is_written_to_the_terminal_or_a_file(tmp_path: Path, capsys: Capture) -> None:
    assert call("lifecycle-config", "--for", "jupyterlab", "--set", "dry_run=true") == 0
    text = capsys.readouterr().out
    assert text == printed({"dry_run": True})
    path = tmp_path / "on-start.sh"
    argv = (
        "lifecycle-config",
        "--for",
        "jupyterlab",
        "--set",
        "dry_run=true",
        "--output",
        str(path),
    )
    assert call(*argv) == 0
    assert path.read_bytes() == text.encode()
    capsys.readouterr()
    assert call(*argv, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"script": text, "bytes": len(text)}


def test_source_of_a_written_script_is_shown(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "on-start.sh"
    assert call("lifecycle-config", "--for", "jupyterlab", "--output", str(path)) == 0
    assert (
        f"It installs jupyterlab-auto-shutdown=={__version__} (SHA-256 {'d' * 64})."
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    "action", [(), ("--output", "{x}"), ("--attach", "domain"), ("--update", "domain")]
)
def test_script_without_a_digest_is_refused(
    action: tuple[str, ...],
    account: Api,
    client: Any,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Otherwise the owner of this package's name on the index could run code in every app."""
    make_domain(client)
    assert call(*ATTACH, "--attach", "domain", "--yes") == 0
    monkeypatch.setattr("auto_shutdown.install.options.default_digest", default_digest)
    monkeypatch.setattr("auto_shutdown.install.digest.installed_digest", lambda: "")
    account.calls.clear()
    capsys.readouterr()
    given = [str(tmp_path / "x") if word == "{x}" else word for word in action]
    assert call(*ATTACH, *given) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "is not known here. Without it the apps would install any file" in captured.err
    assert f"pip download --no-deps jupyterlab-auto-shutdown=={__version__}" in captured.err
    assert changes(account) == []


def test_configuration_comes_from_a_file_and_from_options(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"AutoShutdown": {"dry_run": true, "idle_timeout_minutes": 60}}')
    more = (
        "--set",
        "idle_timeout_minutes=30",
        "--set",
        'locked=["dry_run"]',
        "--set",
        "state_dir=/x",
    )
    assert call("lifecycle-config", "--for", "jupyterlab", "--config", str(file), *more) == 0
    wanted = {
        "dry_run": True,
        "idle_timeout_minutes": 30,
        "locked": ["dry_run"],
        "state_dir": "/x",
    }
    assert capsys.readouterr().out == printed(wanted)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "--for jupyter-server|jupyterlab|notebook-instance"),
        (("--for", "jupyterlab", "--set", "dry_run"), "write NAME=VALUE"),
        (("--for", "jupyterlab", "--set", "dryrun=true"), "no trait 'dryrun'"),
        (("--for", "jupyterlab", "--config", "{bad}"), "is not JSON"),
        (("--for", "jupyterlab", "--config", "{list}"), "must hold a JSON object"),
        (("--for", "jupyterlab", "--attach", "domain"), "needs --domain"),
        (("--for", "jupyterlab", "--attach", "space", "--domain", "d-1"), "--domain and --space"),
        (
            ("--for", "notebook-instance", "--attach", "domain", "--domain", "d-1"),
            "on-start script",
        ),
        (("--bundle", "{new}"), "--from s3://"),
        (
            ("--for", "jupyterlab", "--wheel", "{wheel}", "--from", "/x/" + WHEEL),
            "is not the wheel of",
        ),
    ],
)
def test_wrong_usage_is_exit_code_2(
    argv: tuple[str, ...], words: str, tmp_path: Path, capsys: Capture
) -> None:
    files = {"bad": "{", "list": "[]", "jupyterlab_auto_shutdown-9.9-py3-none-any.whl": ""}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    names = {"bad": "bad", "list": "list", "new": "new", "wheel": list(files)[-1]}
    places = {key: str(tmp_path / name) for key, name in names.items()}
    given = [places.get(a.strip("{}"), a) if a.startswith("{") else a for a in argv]
    assert call("lifecycle-config", *given) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""


def test_missing_file_is_exit_code_1(tmp_path: Path, capsys: Capture) -> None:
    argv = ("lifecycle-config", "--for", "jupyterlab", "--config", str(tmp_path / "none.json"))
    assert call(*argv) == 1
    assert "none.json" in capsys.readouterr().err


def test_iam_policy_command_prints_each_policy(capsys: Capture) -> None:
    where = ("--region", "eu-central-1", "--account", "123456789012", "--domain", "d-1")
    assert call("iam-policy", "--for", "user", *where) == 0
    user = capsys.readouterr().out
    assert "arn:aws:sagemaker:eu-central-1:123456789012:app/d-1/" in user
    assert "Shared" not in user
    assert "NotebookInstance" not in user
    assert call("iam-policy", "--for", "user", *where, "--shared-spaces") == 0
    assert "Shared" in capsys.readouterr().out
    more = ("--platform", "notebook-instance", "--notebook-instance", "mine")
    assert call("iam-policy", "--for", "user", *where, *more, "--json") == 0
    (statement,) = json.loads(capsys.readouterr().out)["Statement"]
    assert statement["Resource"] == [
        "arn:aws:sagemaker:eu-central-1:123456789012:notebook-instance/mine"
    ]
    assert call("iam-policy", "--for", "administrator", *where, "--attach", "space") == 0
    assert "sagemaker:UpdateSpace" in capsys.readouterr().out
    assert call("iam-policy", "--for", "user", "--domain", "*") == 2


# -- attach, detach -------------------------------------------------------------------------------

ATTACH = ("lifecycle-config", "--for", "jupyterlab", "--domain", "d-local", "--region", "us-west-2")


@pytest.fixture
def domain(account: Api, client: Any) -> Api:
    make_domain(client)
    account.calls.clear()
    return account


def make_domain(client: Any) -> None:
    client.create_domain(
        DomainName="local",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": "arn:aws:iam::123456789012:role/Role"},
        SubnetIds=["subnet-1"],
        VpcId="vpc-1",
    )


def changes(api: Api) -> list[str]:
    return [
        call.operation for call in api.calls if not call.operation.startswith(("Describe", "List"))
    ]


def test_without_confirmation_only_the_plan_is_shown(domain: Api, capsys: Capture) -> None:
    assert call(*ATTACH, "--attach", "domain") == 1
    captured = capsys.readouterr()
    assert "Create the lifecycle configuration auto-shutdown-jupyterlab-" in captured.out
    assert f"jupyterlab-auto-shutdown=={__version__} (SHA-256 {'d' * 64})." in captured.out
    assert "Nothing was changed. Use --yes to carry out the plan." in captured.err
    assert changes(domain) == []


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_confirmation_is_asked_at_a_terminal(
    domain: Api, monkeypatch: pytest.MonkeyPatch, capsys: Capture, answer: str, code: int
) -> None:
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", terminal)
    assert call(*ATTACH, "--attach", "domain") == code
    assert "Carry out this plan? [y/N]" in capsys.readouterr().out
    assert bool(changes(domain)) is (code == 0)


def test_attach_and_detach_by_command(domain: Api, client: Any, capsys: Capture) -> None:
    before = client.describe_domain(DomainId="d-local")["DefaultUserSettings"]
    assert call(*ATTACH, "--attach", "domain", "--yes") == 0
    assert changes(domain) == ["CreateStudioLifecycleConfig", "UpdateDomain"]
    assert client.describe_domain(DomainId="d-local")["DefaultUserSettings"] != before
    assert call(*ATTACH, "--attach", "domain") == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert call(*ATTACH, "--detach", "domain", "--yes", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["applied"], answer["changes"]) == (True, 1)
    assert client.describe_domain(DomainId="d-local")["DefaultUserSettings"] == before


def test_failed_aws_call_is_exit_code_1(domain: Api, capsys: Capture) -> None:
    domain.faults.append(Fault("UpdateDomain", "AccessDeniedException", "secret"))
    assert call(*ATTACH, "--attach", "domain", "--yes") == 1
    error = capsys.readouterr().err
    assert "UpdateDomain failed for domain d-local in us-west-2: AccessDeniedException." in error
    assert "do not allow sagemaker:UpdateDomain" in error
    assert "secret" not in error


def test_missing_region_is_exit_code_1(
    domain: Api, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    assert call(*ATTACH[:-2], "--attach", "domain") == 1
    assert "No AWS region is configured. Use --region" in capsys.readouterr().err


def test_each_problem_with_credentials_names_them(
    domain: Api, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    where = "DescribeDomain failed for domain d-local in us-west-2: ExpiredTokenException."
    advice = "Your AWS credentials are missing, wrong or expired. Sign in again"
    domain.faults.append(Fault("DescribeDomain", "ExpiredTokenException", "secret"))
    assert call(*ATTACH, "--attach", "domain") == 1
    assert f"{where} {advice}" in capsys.readouterr().err
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    assert call(*ATTACH, "--attach", "domain") == 1
    assert f"(ProfileNotFound). {advice}" in capsys.readouterr().err


def test_a_policy_for_an_instance_says_what_it_gives_away(capsys: Capture) -> None:
    assert call("iam-policy", "--for", "user", "--platform", "notebook-instance") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["Statement"][0]["Sid"] == "StopAnyNotebookInstance"
    assert "the role may stop every notebook instance." in captured.err
    assert "Give --region and --account to limit it." in captured.err
