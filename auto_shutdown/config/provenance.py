"""The configuration files that Jupyter reads: who owns each, and its settings for ``AutoShutdown``.

JSON files are read. Python files are only parsed here, because running them may do anything. So a
trait counts as set by a Python file if the file contains both ``AutoShutdown`` and the trait's
name. Callers leave out traits for which the server's configuration has no value.
"""

from __future__ import annotations

import ast
import codecs
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_config_dir

from .. import safe_files

SECTION = "AutoShutdown"
COMMAND_LINE = "command line"
#: The source of a value that neither a file nor the command line sets.
PROGRAM = "the program that started the server"

SERVER_FILE = "jupyter_server_config"
DROP_INS = f"{SERVER_FILE}.d"
#: Read by every extension of that name, before the server's own.
EXTENSION_FILE = "jupyter_auto_shutdown_config"
BASE_FILE = "jupyter_config"

#: The owner of a file: the user, the administrator, or the person who starts the server (--config).
USER, ADMINISTRATOR, STARTER = "user", "administrator", "starter"

#: A longer file is no configuration.
MOST_BYTES = 16_000_000

#: A Python file has to use one of these names to configure anything.
_CONFIGURES = frozenset({"c", "get_config", "load_subconfig", "exec", "eval"})


@dataclass(frozen=True)
class ConfigFile:
    """What one file says: ``content`` of JSON, ``names`` (identifiers and texts) of Python, which
    ``may_configure`` something. ``problem`` says why the file cannot be read; Jupyter then skips
    it."""

    path: Path
    content: Mapping[str, Any] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    problem: str = ""
    whose: str = ADMINISTRATOR
    may_configure: bool = False

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
    """The files that apply to this extension. If a file of an administrator has a section for it,
    users' files do not apply (docs/decisions/015)."""
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
    applying = counting(files) if section == SECTION else files
    found = [str(file.path) for file in applying if name in file.section(section)]
    return found[-1] if found else ""


def _paths(directories: Sequence[str], config_file: str) -> Iterator[tuple[Path, str]]:
    home, own = Path.home(), Path(jupyter_config_dir())
    theirs = {directory for directory in directories if is_users(Path(directory), home, own)}

    def whose(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
        for path in paths:
            place = path.parent.parent if path.parent.name == DROP_INS else path.parent
            place = place.parent if path.name == DROP_INS else place
            yield path, USER if str(place) in theirs else ADMINISTRATOR

    yield from whose(_drop_in_paths(directories))
    for name in (EXTENSION_FILE, BASE_FILE):
        yield from whose(_pairs(directories, name))
    if config_file:
        # Jupyter goes by the stem, and takes both files of that name.
        stem = Path(os.path.abspath(config_file)).with_suffix("")
        named = list(_pairs([str(stem.parent)], stem.name))
        for path in named or [Path(os.path.abspath(config_file))]:
            yield path, STARTER
    else:
        yield from whose(_pairs(directories, SERVER_FILE))


def _pairs(directories: Sequence[str], name: str) -> Iterator[Path]:
    for directory in reversed(directories):
        for suffix in (".py", ".json"):
            path = Path(directory, name + suffix)
            if _is_there(path):
                yield path


def _is_there(path: Path) -> bool:
    """Whether there is a file that Jupyter would read, or one of which nobody can say."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # reading it will say why


def _drop_in_paths(directories: Sequence[str]) -> Iterator[Path]:
    for directory in reversed(directories):
        place = Path(directory, DROP_INS)
        try:
            names = sorted(os.listdir(place))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            yield place  # reading it will say why
            continue
        for name in names:
            if name.endswith(".json") and not name.startswith("."):
                yield place / name


def _read(path: Path, whose: str) -> ConfigFile:
    """``problem`` never quotes the file: it may hold passwords."""
    try:
        content = safe_files.read_bytes(path, MOST_BYTES, follow=True, any_owner=True)
        if path.suffix == ".py":
            return _read_python(path, content, whose)
        return ConfigFile(path, _read_json(content), whose=whose)
    except safe_files.UnsafeFileError as error:
        problem = str(error.strerror)
    except OSError as error:
        problem = f"it cannot be read ({error.strerror or type(error).__name__})"
    except _NotUnderstoodError as error:
        problem = str(error)
    return ConfigFile(path, problem=problem, whose=whose)


class _NotUnderstoodError(Exception):
    """Why a file is not understood, without a word of the file."""


def _read_json(content: bytes) -> dict[str, Any]:
    """What a JSON file says. Raises _NotUnderstoodError wherever Jupyter skips the file or drops a
    part of it."""
    if content.startswith(codecs.BOM_UTF8):
        raise _NotUnderstoodError("it begins with a byte order mark (save it as UTF-8 without BOM)")
    try:
        text = content.decode("utf-8")
        found = json.loads(text, object_pairs_hook=_Object) if text else _Object([])
    except json.JSONDecodeError as error:
        raise _NotUnderstoodError(f"it is not JSON (line {error.lineno})") from None
    except (ValueError, RecursionError):
        raise _NotUnderstoodError("it is not JSON") from None
    if not isinstance(found, _Object):
        raise _NotUnderstoodError("it is not a JSON object")
    if found.get("version", 1) != 1:
        raise _NotUnderstoodError("its version is not 1, and Jupyter knows no other")
    if not isinstance(found.get(SECTION, {}), dict):
        raise _NotUnderstoodError(f"its section {SECTION} is not a JSON object")
    repeated = ({SECTION} & found.repeated) | _repeated(found.get(SECTION))
    if repeated:
        raise _NotUnderstoodError(f"{', '.join(sorted(repeated))} stands there twice")
    return found


class _Object(dict[str, Any]):
    """A JSON object that knows which names it was given twice: Python drops the first value."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.repeated: set[str] = set()
        if len(names) != len(self):
            self.repeated = {name for name in self if names.count(name) > 1}


def _repeated(found: Any) -> set[str]:
    """The names that any object within ``found`` was given twice."""
    if isinstance(found, _Object):
        return found.repeated.union(*map(_repeated, found.values()))
    return set().union(*map(_repeated, found)) if isinstance(found, list) else set()


def _read_python(path: Path, content: bytes, whose: str) -> ConfigFile:
    try:
        tree = ast.parse(content)
    except SyntaxError as error:
        raise _NotUnderstoodError(f"it is not Python (line {error.lineno or 1})") from None
    except (ValueError, RecursionError, MemoryError):
        raise _NotUnderstoodError("it is not Python") from None
    variables = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return ConfigFile(
        path,
        names=frozenset(_python_names(tree)),
        whose=whose,
        may_configure=bool(variables & _CONFIGURES),
    )


def _python_names(tree: ast.AST) -> Iterator[str]:
    """Every identifier and text of a program."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
