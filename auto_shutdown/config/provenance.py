"""The configuration files that Jupyter reads: the owner of each file, and its ``AutoShutdown``
section.

JSON files are read. Python files are only parsed here, because running them can have any effect. So
a trait is taken as set by a Python file if the file contains both ``AutoShutdown`` and the trait's
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
#: Jupyter reads such a file for each extension application, before the server's own files. This is
#: the file of this extension.
EXTENSION_FILE = "jupyter_auto_shutdown_config"
BASE_FILE = "jupyter_config"

#: The owner of a file: the user, the administrator, or the person who starts the server (--config).
USER, ADMINISTRATOR, STARTER = "user", "administrator", "starter"

#: A longer file, in bytes, cannot be a configuration file.
MOST_BYTES = 16_000_000

#: A Python file has to use one of these names to configure anything.
_CONFIGURES = frozenset({"c", "get_config", "load_subconfig", "exec", "eval"})


@dataclass(frozen=True)
class ConfigFile:
    """One configuration file. ``content`` is the object of a JSON file. ``names`` are the
    identifiers and strings of a Python file; ``may_configure`` is false when that program cannot
    set anything. ``problem`` says why the file cannot be read; Jupyter then skips it.
    ``correction`` is the beginning of the remedy, which the caller completes. ``owner`` is USER,
    ADMINISTRATOR or STARTER."""

    path: Path
    content: Mapping[str, Any] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    problem: str = ""
    correction: str = ""
    owner: str = ADMINISTRATOR
    may_configure: bool = False

    def section(self, name: str) -> Mapping[str, Any]:
        """The traits of the class ``name`` that the file sets, with their values. The value is None
        in a Python file, which computes it."""
        if name in self.names:
            return dict.fromkeys(sorted(self.names))
        section = self.content.get(name)
        return section if isinstance(section, dict) else {}


def read_files(
    directories: Sequence[str],
    config_file: str = "",
    extension_files: Sequence[str] = (EXTENSION_FILE,),
) -> list[ConfigFile]:
    """The files that a server with these directories (most important first) reads, in the order of
    their importance: least important first. ``config_file`` (the option ``--config``) takes the
    place of the files named ``jupyter_server_config``. ``extension_files`` are the names of the
    files of the server's extension applications, in the order in which the server links them. A
    value of an earlier one wins, because Jupyter merges the values of a later one only if they are
    not set yet."""
    paths = _paths(directories, config_file, extension_files)
    return [_read(path, owner) for path, owner in paths]


def read_other_files(
    directories: Sequence[str], config_file: str, names: Iterable[str]
) -> list[ConfigFile]:
    """The configuration files of Jupyter's applications that are not among those of
    :func:`read_files` with ``names``: no application that the server has loaded reads them."""
    known = {*names, EXTENSION_FILE, BASE_FILE, SERVER_FILE}
    given = Path(os.path.abspath(config_file)).with_suffix("") if config_file else None
    found = []
    for directory in directories:
        owner = USER if directory in _of_user(directories) else ADMINISTRATOR
        for path in _listed(Path(directory), ".py", ".json"):
            if path.with_suffix("") != given and path.stem not in known:
                is_named = path.stem.startswith("jupyter_") and path.stem.endswith("_config")
                if is_named or path == Path(directory):
                    found.append(_read(path, owner))
    return found


def applying(files: Sequence[ConfigFile]) -> Sequence[ConfigFile]:
    """The files that apply to this extension. If a file of an administrator has a section for it,
    users' files do not apply (docs/decisions/015). A Python file counts if it names the extension;
    ``precedence.evaluated`` finds out whether it sets anything."""
    if any(file.owner == ADMINISTRATOR and file.section(SECTION) for file in files):
        return [file for file in files if file.owner != USER]
    return files


def is_users(directory: Path, home: Path, config_dir: Path) -> bool:
    """Whether the directory belongs to a user: it is the user's configuration directory
    ``config_dir`` (``JUPYTER_CONFIG_DIR``), or lies in the user's ``home``."""
    resolved = directory.resolve()
    return resolved == config_dir.resolve() or home.resolve() in (resolved, *resolved.parents)


def drop_ins(directories: Sequence[str]) -> dict[str, Any]:
    """The section for this extension in the files of ``jupyter_server_config.d``. Jupyter itself
    reads from these files only which extensions are enabled (docs/decisions/012)."""
    values: dict[str, Any] = {}
    for path in _drop_in_paths(directories):
        values.update(_read(path, USER).section(SECTION))
    return values


def sources(
    configured: Iterable[str], files: Sequence[ConfigFile], command_line: Iterable[str] = ()
) -> dict[str, str]:
    """Where each of the ``configured`` traits was set: the path of a file, COMMAND_LINE or PROGRAM.
    ``command_line`` are the names of the traits that the command line sets."""
    on_command_line = set(command_line)
    return {
        name: COMMAND_LINE if name in on_command_line else source(files, SECTION, name) or PROGRAM
        for name in sorted(configured)
    }


def merged_section(configs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The values for this extension in several merged configurations. That of a later one wins."""
    values: dict[str, Any] = {}
    for config in configs:
        values.update(config.get(SECTION, {}))
    return values


def source(files: Sequence[ConfigFile], section: str, name: str) -> str:
    """The path of the file whose value of the trait applies; empty when no file sets it."""
    applied = applying(files) if section == SECTION else files
    paths = [str(file.path) for file in applied if name in file.section(section)]
    return paths[-1] if paths else ""


def _paths(
    directories: Sequence[str], config_file: str, extension_files: Sequence[str]
) -> Iterator[tuple[Path, str]]:
    of_user = _of_user(directories)

    def with_owner(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
        for path in paths:
            place = path.parent.parent if path.parent.name == DROP_INS else path.parent
            place = place.parent if path.name == DROP_INS else place
            yield path, USER if str(place) in of_user else ADMINISTRATOR

    first = dict.fromkeys(extension_files)
    for name in reversed([name for name in first if name not in ("", BASE_FILE, SERVER_FILE)]):
        if name == EXTENSION_FILE:
            yield from with_owner(_drop_in_paths(directories))
        yield from with_owner(_pairs(directories, name))
    yield from with_owner(_pairs(directories, BASE_FILE))
    if config_file:
        # Jupyter ignores the suffix of --config and reads both NAME.py and NAME.json.
        stem = Path(os.path.abspath(config_file)).with_suffix("")
        named = list(_pairs([str(stem.parent)], stem.name))
        for path in named or [Path(os.path.abspath(config_file))]:
            yield path, STARTER
    else:
        yield from with_owner(_pairs(directories, SERVER_FILE))


def _of_user(directories: Sequence[str]) -> set[str]:
    """The directories that belong to the user."""
    home, own = Path.home(), Path(jupyter_config_dir())
    return {directory for directory in directories if is_users(Path(directory), home, own)}


def _pairs(directories: Sequence[str], name: str) -> Iterator[Path]:
    for directory in reversed(directories):
        for suffix in (".py", ".json"):
            path = Path(directory, name + suffix)
            if _is_there(path):
                yield path


def _is_there(path: Path) -> bool:
    """Whether there is something at ``path``. True also for a directory (a container runtime
    creates one where the file to mount is missing) and a pipe, which Jupyter skips, and if that is
    unknown: ``_read`` then reports the problem. A link to ``/dev/null`` is a common way
    to have no configuration."""
    try:
        status = os.stat(path)
        is_null = stat.S_ISCHR(status.st_mode) and status.st_rdev == os.stat(os.devnull).st_rdev
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return not is_null


def _drop_in_paths(directories: Sequence[str]) -> Iterator[Path]:
    for directory in reversed(directories):
        yield from _listed(Path(directory, DROP_INS), ".json")


def _listed(place: Path, *suffixes: str) -> Iterator[Path]:
    """The files in a directory with one of these suffixes. The directory itself if it cannot be
    listed, so that ``_read`` reports the error."""
    try:
        names = sorted(os.listdir(place))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError:
        yield place
        return
    for name in names:
        if name.endswith(suffixes) and not name.startswith("."):
            yield place / name


def _read(path: Path, owner: str) -> ConfigFile:
    """Read one file. ``problem`` never quotes the file, which may contain passwords."""
    correction = f"Correct {path}"
    try:
        content = safe_files.read_bytes(path, MOST_BYTES, follow=True, any_owner=True)
        if path.suffix == ".py":
            return _read_python(path, content, owner)
        return ConfigFile(path, _read_json(content), owner=owner)
    except safe_files.UnsafeFileError as error:
        problem = str(error.strerror)
        correction = f"Delete {path}, or put a regular file in its place"
    except OSError as error:
        problem = f"it cannot be read ({error.strerror or type(error).__name__})"
        if isinstance(error, PermissionError):
            correction = f"Give this server's user permission to read {path}"
    except _NotUnderstoodError as error:
        problem = str(error)
    return ConfigFile(path, problem=problem, correction=correction, owner=owner)


class _NotUnderstoodError(Exception):
    """A file cannot be understood. The message does not quote the file."""


def _read_json(content: bytes) -> dict[str, Any]:
    """The object in a JSON file. Raises _NotUnderstoodError where Jupyter would skip the file or
    drop a part of it."""
    if content.startswith(codecs.BOM_UTF8):
        raise _NotUnderstoodError("it begins with a byte order mark (save it as UTF-8 without BOM)")
    try:
        text = content.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_Object) if text else _Object([])
    except json.JSONDecodeError as error:
        raise _NotUnderstoodError(f"it is not JSON (line {error.lineno})") from None
    except (ValueError, RecursionError):
        raise _NotUnderstoodError("it is not JSON") from None
    if not isinstance(value, _Object):
        raise _NotUnderstoodError("it is not a JSON object")
    if value.get("version", 1) != 1:
        raise _NotUnderstoodError("its version is not 1, and Jupyter knows no other")
    if not isinstance(value.get(SECTION, {}), dict):
        raise _NotUnderstoodError(f"its section {SECTION} is not a JSON object")
    repeated = ({SECTION} & value.repeated) | _repeated(value.get(SECTION))
    if repeated:
        raise _NotUnderstoodError(f"it sets {', '.join(sorted(repeated))} twice")
    return value


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its names occur more than once. Python's parser would
    drop all values of such a name but the last."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.repeated: set[str] = set()
        if len(names) != len(self):
            self.repeated = {name for name in self if names.count(name) > 1}


def _repeated(value: Any) -> set[str]:
    """The names that occur more than once in any object within ``value``."""
    if isinstance(value, _Object):
        return value.repeated.union(*map(_repeated, value.values()))
    return set().union(*map(_repeated, value)) if isinstance(value, list) else set()


def _read_python(path: Path, content: bytes, owner: str) -> ConfigFile:
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
        owner=owner,
        may_configure=bool(variables & _CONFIGURES),
    )


def _python_names(tree: ast.AST) -> Iterator[str]:
    """Every identifier and string of a program."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
