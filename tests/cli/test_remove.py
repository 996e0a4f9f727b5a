"""``remove``: its question, its refusals, and the meaning of ``--this``."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.api.client import Client, Server
from auto_shutdown.api.server_error import ExitCode, ServerError
from auto_shutdown.cli import remove, this
from auto_shutdown.cli.main import main

KERNEL = "0b7a7c1e-5d8e-4a52-9d0e-3f7c2b1a9e10"


async def terminal(jp_fetch: Callable[..., Any], name: str) -> None:
    await jp_fetch("api", "terminals", method="POST", body=json.dumps({"name": name}))


async def terminals(jp_fetch: Callable[..., Any]) -> list[str]:
    listed = json.loads((await jp_fetch("api", "terminals")).body)
    return sorted(each["name"] for each in listed)


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    stdin = io.StringIO(answer)
    stdin.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", stdin)


@pytest.mark.parametrize(("answer", "stays"), [("y\n", ["two"]), ("n\n", ["one", "two"])])
async def test_removing_several_resources_asks_for_confirmation(
    answer: str,
    stays: list[str],
    command: Any,
    server: Any,
    jp_fetch: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await server()
    for name in ("one", "two"):
        await terminal(jp_fetch, name)
    await command("check")
    at_a_terminal(monkeypatch, answer)
    result = await command("remove", "terminal", "one")
    assert result.out.startswith("This shuts down the terminal one. Everything in it ends")
    assert result.code == (0 if len(stays) == 1 else 1)
    assert await terminals(jp_fetch) == stays


async def test_remove_without_a_terminal_needs_yes(
    command: Any, server: Any, jp_fetch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server()
    await terminal(jp_fetch, "one")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    result = await command("remove", "terminal", "one")
    assert result.code == ExitCode.TROUBLE
    both = "Nothing was removed. Use --yes --even-if-in-use to remove it."
    assert both in result.err, "a terminal that was opened a moment ago is in use"
    assert await terminals(jp_fetch) == ["one"]
    with monkeypatch.context() as patch:
        patch.setattr("auto_shutdown.cli.remove._in_use", lambda *_: [])
        result = await command("remove", "terminal", "one")
    assert "Nothing was removed. Use --yes to remove it." in result.err
    result = await command("remove", "terminal", "one", "--yes", "--even-if-in-use")
    assert (result.code, result.out.startswith("terminal one: removed.")) == (0, True)
    assert await terminals(jp_fetch) == []


async def test_removal_of_a_resource_in_use_needs_more_than_yes(
    command: Any, server: Any, jp_fetch: Any
) -> None:
    await server()
    await terminal(jp_fetch, "one")
    await command("keep-alive", "terminal", "one")
    result = await command("remove", "terminal", "one", "--yes")
    assert (result.code, result.out) == (ExitCode.TROUBLE, "")
    assert "The terminal one is in use: terminal one (kept-alive: " in result.err
    assert "add --even-if-in-use" in result.err
    assert await terminals(jp_fetch) == ["one"]


async def test_an_unknown_name_is_answered_with_the_names_that_exist(
    command: Any, server: Any, jp_fetch: Any
) -> None:
    await server()
    await terminal(jp_fetch, "one")
    await command("check")
    result = await command("remove", "terminal", "two", "--yes")
    assert result.code == ExitCode.TROUBLE
    assert "There is no terminal two here. These exist: one" in result.err


@pytest.mark.parametrize(
    "argv", [(), ("kernel",), ("kernel", "x", "--this"), ("terminal", "--this")], ids=str
)
async def test_remove_without_a_name_is_a_usage_error(
    argv: tuple[str, ...], command: Any, server: Any
) -> None:
    await server()
    result = await command("remove", *argv, "--yes")
    assert (result.code, result.out) == (ExitCode.USAGE, "")
    assert "remove " in result.err


async def test_remove_this_outside_of_a_kernel_is_an_error(command: Any, server: Any) -> None:
    await server()
    result = await command("remove", "--this", "--yes")
    assert result.code == ExitCode.USAGE
    assert "does not run in a kernel" in result.err


# -- --this ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        (f"/run/kernel-{KERNEL}.json", KERNEL),
        (f"--f=/run/kernel-{KERNEL.replace('-', '')}.json", KERNEL.replace("-", "")),
        ("/run/kernel-1234.json", "None"),
        ("-c", "None"),
    ],
)
def test_own_kernel_is_found_by_its_connection_file(argument: str, found: str) -> None:
    """Jupyter starts every kernel of any language with a connection file. Here the kernel runs a
    shell, and the shell runs this command."""
    code = "from auto_shutdown.cli.this import own_kernel_id; print(own_kernel_id())"
    kernel = "import subprocess, sys; subprocess.run(['sh', '-c', sys.argv[1] + '; true'])"
    run_us = f"{sys.executable} -c '{code}'"
    done = subprocess.run(
        [sys.executable, "-c", kernel, run_us, argument], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == found


def resource(kind: str, name: str, reason: str, app: str | None = None) -> dict[str, Any]:
    return {
        "kind": kind,
        "id": name,
        "name": name,
        "paths": [],
        "app": app,
        "reason": reason,
        "detail": "So it is.",
    }


def report(kind: str, *resources: dict[str, Any]) -> dict[str, Any]:
    return {"platform": {"kind": kind}, "resources": list(resources)}


APP = resource("app", "JupyterLab/default", "in-use")


@pytest.mark.parametrize("platform", ["studio-space", "notebook-instance"])
@pytest.mark.parametrize(
    ("others", "named"),
    [
        ([], []),
        ([resource("kernel", "other", "idle")], []),
        ([resource("kernel", "other", "busy")], ["other"]),
        ([resource("kernel", "other", "recent-activity")], ["other"]),
        ([resource("kernel", "other", "unknown"), resource("terminal", "1", "running-job")],
         ["other", "1"]),
    ],
)  # fmt: skip
def test_job_removes_its_app_only_if_nothing_else_in_it_is_in_use(
    platform: str,
    others: list[dict[str, Any]],
    named: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(this, "own_kernel_id", lambda: KERNEL)
    own = resource("kernel", KERNEL, "busy")
    in_use = remove._in_use(report(platform, APP, own, *others), "app", APP["id"])
    assert len(in_use) == len(named)
    assert all(f"{name} " in text or f"{name[:8]} " in text for name, text in zip(named, in_use))


def test_only_terminal_of_the_server_is_the_own_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this, "own_kernel_id", lambda: None)
    monkeypatch.setenv("JUPYTER_SERVER_URL", "http://localhost:8888/")
    one, two = resource("terminal", "1", "running-job"), resource("terminal", "2", "running-job")
    assert remove._in_use(report("studio-space", APP, one), "app", APP["id"]) == []
    assert len(remove._in_use(report("studio-space", APP, one, two), "app", APP["id"])) == 2
    monkeypatch.delenv("JUPYTER_SERVER_URL")
    assert len(remove._in_use(report("studio-space", APP, one), "app", APP["id"])) == 1


def test_on_studio_classic_only_what_runs_in_the_app_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(this, "own_kernel_id", lambda: None)
    app = resource("app", "KernelGateway/x", "in-use")
    inside = resource("kernel", "inside", "busy", app["id"])
    outside = resource("kernel", "outside", "busy", "KernelGateway/y")
    (text,) = remove._in_use(report("studio-classic", app, inside, outside), "app", app["id"])
    assert text == "kernel inside inside (busy: So it is)"
    client = Client(Server("http://localhost/"))
    with pytest.raises(ServerError, match="does not run in an app that it can remove"):
        this.app_here(client, report("studio-classic", app))
    assert this.app_here(client, report("studio-space", APP)) == APP["id"]


def test_a_job_in_a_kernelgateway_app_reads_the_command_that_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No Jupyter server runs in that container."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(this, "METADATA", tmp_path / "metadata.json")
    arn = "arn:aws:sagemaker:us-west-2:123456789012:app/d-1/ada/KernelGateway/ds-ml-t3-medium-1f"
    content = {"AppType": "KernelGateway", "DomainId": "d-1", "UserProfileName": "ada"}
    this.METADATA.write_text(json.dumps({**content, "ResourceName": "ds", "ResourceArn": arn}))
    assert main(["remove", "--this", "--yes"]) == ExitCode.NO_SERVER
    error = capsys.readouterr().err
    assert (
        "aws sagemaker delete-app --domain-id d-1 --user-profile-name ada --app-type "
        "KernelGateway --app-name ds-ml-t3-medium-1f --region us-west-2"
    ) in error
    this.METADATA.write_text("{")
    assert main(["remove", "--this", "--yes"]) == ExitCode.NO_SERVER
    assert "aws" not in capsys.readouterr().err


@pytest.mark.slow
async def test_a_notebook_ends_its_own_kernel(server: Any, jp_fetch: Any, tmp_path: Path) -> None:
    """A real kernel runs the command in a cell, as the last line of a long job would."""
    from jupyter_client.blocking import BlockingKernelClient

    app = await server()
    body = json.dumps({"name": "python3"})
    kernel = json.loads((await jp_fetch("api", "kernels", method="POST", body=body)).body)["id"]
    manager = app.kernel_manager.get_kernel(kernel)
    client: BlockingKernelClient = manager.blocking_client()
    client.start_channels()
    command = [sys.executable, "-m", "auto_shutdown", "remove", "--this", "--yes"]
    environment = {"JUPYTER_RUNTIME_DIR": os.environ["JUPYTER_RUNTIME_DIR"]}
    client.execute(
        f"import subprocess, os\nsubprocess.run({command}, env={{**os.environ, **{environment}}})"
    )
    for _ in range(600):
        listed = json.loads((await jp_fetch("api", "kernels")).body)
        if not listed:
            break
        await asyncio.sleep(0.1)
    client.stop_channels()
    assert listed == []
    found = json.loads((await jp_fetch("auto-shutdown", "history")).body)["history"]
    assert [(e["kind"], e["resource"], e["reason"]) for e in found][:1] == [
        ("kernel", kernel, "requested")
    ]
