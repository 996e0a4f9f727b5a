"""The program: its names, its exit codes in a shell, and the command ``demo``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from auto_shutdown import __version__
from auto_shutdown.cli import demo
from auto_shutdown.cli.main import main

BIN = Path(sys.executable).parent


def shell(*argv: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    "names",
    [("jupyter", "auto-shutdown"), ("jupyter-auto-shutdown",), ("python", "-m", "auto_shutdown")],
    ids=" ".join,
)
def test_the_command_has_three_names(names: tuple[str, ...]) -> None:
    done = shell(str(BIN / names[0]), *names[1:], "--version")
    assert (done.returncode, done.stdout.strip()) == (0, __version__)


def test_wrong_command_line_is_exit_code_2() -> None:
    done = shell(sys.executable, "-m", "auto_shutdown", "no-such-command")
    assert done.returncode == 2
    assert "invalid choice" in done.stderr


def test_help_loads_no_server_and_no_boto3() -> None:
    code = (
        "import sys, auto_shutdown.cli.main as cli; cli.make_parser().format_help(); "
        "print([m for m in sys.modules if m in ('jupyter_server', 'boto3', 'tornado')])"
    )
    assert shell(sys.executable, "-c", code).stdout.strip() == "[]"


def test_program_without_a_server_is_exit_code_3(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path), "LANG": "C"}
    done = shell(sys.executable, "-m", "auto_shutdown", "status", env=env)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("No Jupyter server of this user runs on this machine.")
    assert done.stderr.count("\n") == 1


def test_demo_names_the_missing_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "NEEDED", ("json", "no_such_package"))
    assert main(["demo"]) == 1
    error = capsys.readouterr().err
    assert "missing: no_such_package. Install this package's wheel again " in error
    assert f"-{__version__}-py3-none-any.whl[demo]'" in error
    assert "make demo" in error


@pytest.mark.parametrize(("argv", "story"), [(["demo"], "demo"), (["demo", "--lab"], "lab")])
def test_demo_starts_the_program_of_the_local_studio(
    argv: list[str], story: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(demo, "NEEDED", ())
    monkeypatch.setattr(demo.subprocess, "call", lambda words: called.append(words) or 7)
    assert main(argv) == 7
    assert called == [[sys.executable, "-m", "auto_shutdown.local_studio", story]]
