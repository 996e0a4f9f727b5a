"""The source of each setting: every file that Jupyter reads, in Jupyter's own order."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from configuration_files import JSON_60, PY, written

from auto_shutdown.config import provenance
from auto_shutdown.config.problems import unreadable

#: Files by path, --config, the names on the command line, and the source of idle_timeout_minutes.
PLACES: list[tuple[str, dict[str, str], str, tuple[str, ...], str]] = [
    ("nothing", {}, "", (), provenance.PROGRAM),
    (
        "a drop-in",
        {"system/jupyter_server_config.d/a.json": JSON_60},
        "",
        (),
        "system/jupyter_server_config.d/a.json",
    ),
    (
        "the later drop-in of one directory",
        {"system/jupyter_server_config.d/a.json": JSON_60,
         "system/jupyter_server_config.d/b.json": JSON_60},
        "",
        (),
        "system/jupyter_server_config.d/b.json",
    ),
    (
        "the user's drop-in over the system's",
        {"system/jupyter_server_config.d/z.json": JSON_60,
         "user/jupyter_server_config.d/a.json": JSON_60},
        "",
        (),
        "user/jupyter_server_config.d/a.json",
    ),
    (
        "any configuration file over a drop-in",
        {"user/jupyter_server_config.d/a.json": JSON_60,
         "system/jupyter_server_config.json": JSON_60},
        "",
        (),
        "system/jupyter_server_config.json",
    ),
    (
        "JSON over Python",
        {"user/jupyter_server_config.py": PY + "c.AutoShutdown.idle_timeout_minutes = 60",
         "user/jupyter_server_config.json": JSON_60},
        "",
        (),
        "user/jupyter_server_config.json",
    ),
    (
        "Python by attribute",
        {"user/jupyter_server_config.py": PY + "c.AutoShutdown.idle_timeout_minutes = 30 * 2"},
        "",
        (),
        "user/jupyter_server_config.py",
    ),
    (
        "Python by text",
        {"user/jupyter_config.py": PY + "c['AutoShutdown'].update(idle_timeout_minutes=60)"},
        "",
        (),
        "user/jupyter_config.py",
    ),
    (
        "Python with the setting only in a comment",
        {"user/jupyter_server_config.py": "# c.AutoShutdown.idle_timeout_minutes = 60"},
        "",
        (),
        provenance.PROGRAM,
    ),
    (
        "Python with another class",
        {"user/jupyter_server_config.py": PY + "c.Other.idle_timeout_minutes = 60"},
        "",
        (),
        provenance.PROGRAM,
    ),
    (
        "the server's file over the extension's own",
        {"user/jupyter_auto_shutdown_config.json": JSON_60,
         "system/jupyter_server_config.json": JSON_60},
        "",
        (),
        "system/jupyter_server_config.json",
    ),
    (
        "--config instead of the server's files",
        {"user/jupyter_server_config.json": JSON_60, "mine.json": JSON_60},
        "mine.json",
        (),
        "mine.json",
    ),
    (
        "the command line over all",
        {"user/jupyter_server_config.json": JSON_60},
        "",
        ("idle_timeout_minutes",),
        provenance.COMMAND_LINE,
    ),
    (
        "a file that is cut off is skipped",
        {"system/jupyter_server_config.d/a.json": JSON_60,
         "user/jupyter_server_config.d/b.json": JSON_60[:-1]},
        "",
        (),
        "system/jupyter_server_config.d/a.json",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "config_file", "given", "expected"),
    [row[1:] for row in PLACES],
    ids=[row[0] for row in PLACES],
)
def test_one_source_is_named_for_a_setting(
    files: dict[str, str], config_file: str, given: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    directories = written(tmp_path, files)
    named = str(tmp_path / config_file) if config_file else ""
    files = provenance.read_files(directories, named)
    found = provenance.sources({"idle_timeout_minutes"}, files, given)
    assert found["idle_timeout_minutes"].replace(f"{tmp_path}/", "") == expected


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (Path.mkdir, "it is a directory"),
        (os.mkfifo, "it is a named pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
        (lambda path: path.symlink_to("/dev/null"), ""),
        (lambda path: path.symlink_to("nothing"), ""),
    ],
)
@pytest.mark.parametrize("name", ["jupyter_server_config.json", "jupyter_config.py"])
def test_irregular_file_in_the_place_of_a_configuration_is_a_problem(
    make: Callable[[Path], object], problem: str, name: str, tmp_path: Path
) -> None:
    """Jupyter skips it. The file that should be there may forbid removals."""
    make(tmp_path / name)
    problems = [file.problem for file in provenance.read_files([str(tmp_path)])]
    assert problems == ([problem] if problem else [])


def test_setting_without_configuration_has_no_source(tmp_path: Path) -> None:
    text = PY + "c.AutoShutdown.idle_timeout_minutes = 60\nother = 'dry_run'"
    files = provenance.read_files(written(tmp_path, {"user/jupyter_server_config.py": text}))
    assert set(provenance.sources({"idle_timeout_minutes"}, files)) == {"idle_timeout_minutes"}


#: The files in a user's home and elsewhere, the source that counts, and the source of another name.
HOMES: list[tuple[str, dict[str, str], str]] = [
    (
        "the administrator's drop-in over the user's file",
        {"system/jupyter_server_config.d/a.json": JSON_60,
         "user/jupyter_server_config.json": JSON_60},
        "system/jupyter_server_config.d/a.json",
    ),
    (
        "the administrator's Python over the user's JSON",
        {"system/jupyter_server_config.py": PY + "c.AutoShutdown.idle_timeout_minutes = 60",
         "user/jupyter_server_config.json": JSON_60},
        "system/jupyter_server_config.py",
    ),
    (
        "the user's, where the administrator's sets other classes",
        {"system/jupyter_server_config.json": '{"Other": {"idle_timeout_minutes": 60}}',
         "user/jupyter_server_config.d/a.json": JSON_60},
        "user/jupyter_server_config.d/a.json",
    ),
    (
        "none, where the administrator's does not set that name",
        {"system/jupyter_server_config.json": '{"AutoShutdown": {"locked": []}}',
         "user/jupyter_server_config.json": JSON_60},
        provenance.PROGRAM,
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "expected"), [row[1:] for row in HOMES], ids=[r[0] for r in HOMES]
)
def test_file_in_the_home_is_no_source_where_an_administrator_configured_the_extension(
    files: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    found = provenance.read_files(written(tmp_path, files))
    sources = provenance.sources({"idle_timeout_minutes"}, found)
    assert sources["idle_timeout_minutes"].replace(f"{tmp_path}/", "") == expected


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("jupyter_server_config.d/a.json", "{", "it is not JSON (line 1)"),
        ("jupyter_server_config.py", "c.(", "it is not Python (line 1)"),
    ],
)
def test_problem_of_an_unreadable_file_does_not_quote_its_content(
    name: str, text: str, what: str, tmp_path: Path
) -> None:
    (found,) = provenance.read_files(written(tmp_path, {f"user/{name}": text}))
    assert (found.path, found.problem) == (tmp_path / "user" / name, what)


def test_python_file_is_parsed_and_never_run(tmp_path: Path) -> None:
    text = f"open({str(tmp_path / 'ran')!r}, 'w')\nc.AutoShutdown.dry_run = True"
    (found,) = provenance.read_files(written(tmp_path, {"user/jupyter_config.py": text}))
    assert "dry_run" in found.section("AutoShutdown")
    assert not (tmp_path / "ran").exists()


def test_a_file_that_may_not_be_read_is_not_to_be_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = tmp_path / "jupyter_server_config.json"
    path.write_text("{}")
    monkeypatch.setattr("auto_shutdown.safe_files.read_bytes", refuse)
    (problem,) = unreadable(provenance.read_files([str(tmp_path)]))
    assert "it cannot be read (Permission denied)" in problem.message
    assert problem.remedy.startswith(f"Give this server's user permission to read {path}, and ")
