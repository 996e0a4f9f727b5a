"""Who set what: the configuration files that Jupyter reads, whose each is, and what it says of
``AutoShutdown``.

JSON is read; Python is only looked at (its syntax tree), never run a second time: a configuration
file may do anything. So a name counts as set by a Python file that speaks of ``AutoShutdown`` and
of that name; callers leave out what the server's configuration does not hold.
"""

from __future__ import annotations

import ast
import glob
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_config_dir

SECTION = "AutoShutdown"
COMMAND_LINE = "command line"
#: What no file and no command line explains: a configuration handed over by a program.
PROGRAM = "the program that started the server"

SERVER_FILE = "jupyter_server_config"
DROP_INS = f"{SERVER_FILE}.d"
#: Read by every extension of that name, before the server's own.
EXTENSION_FILE = "jupyter_auto_shutdown_config"
BASE_FILE = "jupyter_config"

#: Whose a file is: of the one who uses the server, of who set it up, or of who starts it.
USER, ADMINISTRATOR, STARTER = "user", "administrator", "starter"


@dataclass(frozen=True)
class ConfigFile:
    """What one file says: ``content`` of JSON, ``names`` (identifiers and texts) of Python.
    ``problem`` says why the file cannot be read, and then Jupyter skips it."""

    path: Path
    content: Mapping[str, Any] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    problem: str = ""
    whose: str = ADMINISTRATOR

    def section(self, name: str) -> Mapping[str, Any]:
        """What the file sets of one class; each with None where Python computes it."""
        if name in self.names:
            return dict.fromkeys(sorted(self.names))
        found = self.content.get(name)
        return found if isinstance(found, dict) else {}


def read_files(directories: Sequence[str], config_file: str = "") -> list[ConfigFile]:
    """The files that a server with these directories (most important first) reads, least important
    first. ``config_file`` stands in for the server's own files, as ``--config`` does."""
    return [_read(path, whose) for path, whose in _paths(directories, config_file)]


def counting(files: Sequence[ConfigFile]) -> Sequence[ConfigFile]:
    """Those that count for this extension: where a file of an administrator speaks of it, a user's
    do not (docs/decisions/015)."""
    if any(file.whose == ADMINISTRATOR and file.section(SECTION) for file in files):
        return [file for file in files if file.whose != USER]
    return files


def is_users(directory: Path, home: Path, config_dir: Path) -> bool:
    """Whether a user may be expected to write there: it is the configuration of their own
    (``JUPYTER_CONFIG_DIR``), or lies in their home."""
    found = directory.resolve()
    return found == config_dir.resolve() or home.resolve() in (found, *found.parents)


def drop_ins(directories: Sequence[str]) -> dict[str, Any]:
    """What the files in ``jupyter_server_config.d`` set. Jupyter itself takes nothing from there
    but which extensions are on (docs/decisions/012)."""
    values: dict[str, Any] = {}
    for path in _drop_in_paths(directories):
        values.update(_read(path, USER).section(SECTION))
    return values


def sources(
    configured: Iterable[str], files: Sequence[ConfigFile], command_line: Iterable[str] = ()
) -> dict[str, str]:
    """Where each of the ``configured`` names comes from: a path, or ``command line``."""
    given = set(command_line)
    return {
        name: COMMAND_LINE if name in given else source(files, SECTION, name) or PROGRAM
        for name in sorted(configured)
    }


def source(files: Sequence[ConfigFile], section: str, name: str) -> str:
    """The path of the file that decides a trait; empty when none does."""
    heard = counting(files) if section == SECTION else files
    found = [str(file.path) for file in heard if name in file.section(section)]
    return found[-1] if found else ""


def _paths(directories: Sequence[str], config_file: str) -> Iterator[tuple[Path, str]]:
    home, own = Path.home(), Path(jupyter_config_dir())
    theirs = {directory for directory in directories if is_users(Path(directory), home, own)}

    def whose(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
        for path in paths:
            place = path.parent.parent if path.parent.name == DROP_INS else path.parent
            yield path, USER if str(place) in theirs else ADMINISTRATOR

    yield from whose(_drop_in_paths(directories))
    for name in (EXTENSION_FILE, BASE_FILE):
        yield from whose(_pairs(directories, name))
    if config_file:
        # Jupyter goes by the stem, and takes both files of that name.
        stem = Path(os.path.abspath(config_file)).with_suffix("")
        for path in _pairs([str(stem.parent)], stem.name):
            yield path, STARTER
    else:
        yield from whose(_pairs(directories, SERVER_FILE))


def _pairs(directories: Sequence[str], name: str) -> Iterator[Path]:
    for directory in reversed(directories):
        for suffix in (".py", ".json"):
            path = os.path.join(directory, name + suffix)
            if os.path.isfile(path):
                yield Path(path)


def _drop_in_paths(directories: Sequence[str]) -> Iterator[Path]:
    for directory in reversed(directories):
        pattern = os.path.join(glob.escape(directory), DROP_INS, "*.json")
        yield from map(Path, sorted(glob.glob(pattern)))


def _read(path: Path, whose: str) -> ConfigFile:
    """``problem`` never quotes the file: it may hold passwords."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".py":
            return ConfigFile(path, names=frozenset(_python_names(text)), whose=whose)
        content = json.loads(text) if text else {}
    except OSError as error:
        problem = f"it cannot be read ({type(error).__name__})"
        return ConfigFile(path, problem=problem, whose=whose)
    except (ValueError, SyntaxError, RecursionError):
        sort = "Python" if path.suffix == ".py" else "JSON"
        return ConfigFile(path, problem=f"it is not {sort}", whose=whose)
    return ConfigFile(path, content if isinstance(content, dict) else {}, whose=whose)


def _python_names(text: str) -> Iterator[str]:
    """Every identifier and text of a program."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
