"""Collects the input of the doctor's checks: the configuration as the server reads it, and the
report of the running server."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_core.application import JupyterApp
from traitlets import TraitError
from traitlets.config import Config
from traitlets.config.loader import DeferredConfigList, DeferredConfigString

from ..api.client import Client
from ..api.discovery import find
from ..api.server_error import ServerError
from ..config import other_applications, precedence, provenance
from ..config.problems import Problem, accepts_several_values, invalid_options
from ..config.traits import AdminTraits
from ..world.platform import Platform, recognise, state_directory

#: The options ``--Class.trait=value`` and ``--config=FILE`` of Jupyter's command line.
ARGUMENT = re.compile(r"--(?P<section>[A-Z]\w*)\.(?P<name>\w+)(=(?P<value>.*))?", re.DOTALL)
CONFIG_OPTION = re.compile(r"--(?:config|JupyterApp\.config_file)(?:=(?P<value>.*))?", re.DOTALL)


@dataclass(frozen=True)
class Situation:
    """The input of the doctor's checks.

    ``report`` is the report of the running server. If no server answered, it is None, and
    ``server_problem`` has the reason. ``config_error`` is the error that keeps the server from
    reading its configuration, or empty. ``invalid_options`` are the options with which the
    extension does not start: names that do not exist, and names that are given twice.
    ``on_command_line`` are the section and the trait of each option on the command line of the
    running server. ``other_servers`` is a sentence that names running servers which are not
    examined (empty: there are none)."""

    directories: Sequence[str]
    files: Sequence[provenance.ConfigFile]
    config: Config
    traits: AdminTraits
    platform: Platform
    config_error: str = ""
    invalid_options: Sequence[Problem] = ()
    on_command_line: frozenset[tuple[str, str]] = frozenset()
    client: Client | None = None
    report: dict[str, Any] | None = None
    server_problem: ServerError | None = None
    other_servers: str = ""

    @property
    def state_directory(self) -> Path:
        """The state directory of the server."""
        directory = self.traits.state_dir
        if self.value(provenance.SECTION, "state_dir") is not None:
            return Path(directory)
        return Path(state_directory(self.platform, Path.home(), directory))

    def value(self, section: str, name: str) -> Any:
        """The configured value of a trait, None when it is not configured."""
        value = self.config[section].get(name) if section in self.config else None
        return str(value) if isinstance(value, DeferredConfigString) else value

    def source(self, section: str, name: str) -> str:
        """Where a trait is configured: the path of a file, or the command line of the running
        server; empty when it is not configured."""
        if (section, name) in self.on_command_line:
            return f"the server's {provenance.COMMAND_LINE}"
        return provenance.source(self.files, section, name)


def look(url: str | None = None, port: int | None = None) -> Situation:
    """Examine this host now. Never raises: every failure is part of the result."""
    other_servers: list[str] = []
    client, report, server_problem = _ask(url, port, other_servers.append)
    words = arguments_of(client.server.pid) if client is not None else []
    config_file = _config_file(words)
    if client is not None and config_file:  # relative to the directory in which the server started
        config_file = os.path.join(f"/proc/{client.server.pid}/cwd", config_file)
    options = _options(words)
    reader = _reader(provenance.SERVER_FILE, config_file)
    directories = reader.config_file_paths
    extension_files = other_applications.well_known_files()
    found = provenance.read_files(directories, config_file, extension_files)
    files = precedence.evaluated(found)
    config, config_error = _read(reader, directories, extension_files, files)
    for (section, name), values in options.items():
        config[section][name] = _deferred(section, name, values)
    config_error = _apply_precedence(config, files, options) or config_error
    repeated = {
        name: DeferredConfigList(values)
        for (section, name), values in options.items()
        if section == provenance.SECTION and len(values) > 1
    }
    configured = {**config[provenance.SECTION], **repeated}
    problems = tuple(invalid_options(configured, AdminTraits.class_traits(config=True)))
    traits = AdminTraits(config=_of_this_class(config))
    try:
        traits.limits()
    except TraitError as error:
        config_error = config_error or str(error)
    platform = recognise(Path(traits.metadata_path), traits.platform_overrides(), os.environ)
    return Situation(
        directories=directories,
        files=files,
        config=config,
        traits=traits,
        platform=platform,
        config_error=config_error,
        invalid_options=problems,
        on_command_line=frozenset(options),
        client=client,
        report=report,
        server_problem=server_problem,
        other_servers="".join(other_servers),
    )


def _ask(
    url: str | None, port: int | None, tell: Callable[[str], None]
) -> tuple[Client | None, dict[str, Any] | None, ServerError | None]:
    try:
        client = find(url, port, tell=tell)
    except ServerError as error:
        return None, None, error
    try:
        return client, client.request("GET", "status"), None
    except ServerError as error:
        return client, None, error


def arguments_of(pid: int | None) -> list[str]:
    """The command line of a process; empty when it cannot be read. Callers must never print it,
    because it may contain a token."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def _options(words: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """The values of each option ``--Class.trait=value``, by class and trait, in their order."""
    options: dict[tuple[str, str], list[str]] = {}
    for word, following in zip(words, [*words[1:], ""]):
        match = ARGUMENT.fullmatch(word)
        if match:
            value = match["value"] if match["value"] is not None else following
            options.setdefault((match["section"], match["name"]), []).append(value)
    return options


def _deferred(section: str, name: str, values: list[str]) -> Any:
    """The value of an option as traitlets would take it. If the option takes only one value, this
    is the last one; ``invalid_options`` reports that it was given twice."""
    trait = AdminTraits.class_traits(config=True).get(name)
    several = len(values) > 1 and section == provenance.SECTION and accepts_several_values(trait)
    return DeferredConfigList(values) if several else DeferredConfigString(values[-1])


def _config_file(words: Sequence[str]) -> str:
    for word, following in zip(words, [*words[1:], ""]):
        match = CONFIG_OPTION.fullmatch(word)
        if match:
            return match["value"] if match["value"] is not None else following
    return ""


def _reader(name: str, config_file: str = "") -> JupyterApp:
    """An application that reads Jupyter's configuration as a server does, and logs nothing."""
    silent = logging.getLogger("auto_shutdown.doctor")
    silent.addHandler(logging.NullHandler())
    silent.propagate = False
    return JupyterApp(config_file_name=name, config_file=config_file, log=silent)


def _read(
    reader: JupyterApp,
    directories: Sequence[str],
    extension_files: Sequence[str],
    files: Sequence[provenance.ConfigFile],
) -> tuple[Config, str]:
    """Merge all configuration files in the order of ``provenance.read_files``. Returns the result,
    and the problem of a file that cannot be loaded (empty when there is none). A file that does not
    apply to this extension is no problem for it."""
    config, problem = Config(), ""
    for name in reversed(extension_files):
        if name == provenance.EXTENSION_FILE:
            config.merge(Config({provenance.SECTION: provenance.drop_ins(directories)}))
        problem = _load(_reader(name), config) or problem
    problem = _load(reader, config) or problem
    failed = {file.path: _problem_of_python_file(file) for file in files} if problem else {}
    if any(failed.values()):
        applied = [failed[file.path] for file in provenance.applying(files)]
        problem = next(filter(None, applied), "")
    return config, problem


def _load(reader: JupyterApp, config: Config) -> str:
    """Merge the files of one application into ``config``. Returns the problem of a file that cannot
    be loaded."""
    problem = ""
    reader.raise_config_file_errors = True
    try:
        reader.load_config_file(suppress_errors=False)
    except (Exception, SystemExit) as error:
        problem = f"A configuration file cannot be loaded ({type(error).__name__})."
        reader.raise_config_file_errors = False
        with contextlib.suppress(Exception, SystemExit):
            reader.load_config_file()
    config.merge(reader.config)
    return problem


def _problem_of_python_file(file: provenance.ConfigFile) -> str:
    """Why a Python file cannot be run; empty if it can. Jupyter's own error does not name it."""
    if file.problem or file.path.suffix != ".py":
        return ""
    error = precedence.run_python_file(file)[1]
    return f"{file.path} cannot be loaded: {error}." if error else ""


def _apply_precedence(
    config: Config,
    files: Sequence[provenance.ConfigFile],
    options: Mapping[tuple[str, str], list[str]],
) -> str:
    """If the administrator's files overrule the users' files, replace the section of this extension
    in ``config``, as the server does. Returns the error with which the server fails to do so (empty
    when there is none)."""
    ours = {
        name: _deferred(section, name, values)
        for (section, name), values in options.items()
        if section == provenance.SECTION
    }
    try:
        section = precedence.overruling_section(files, ours)
    except TraitError as error:
        return str(error)
    if section is not None:
        config[provenance.SECTION] = Config(section)
    return ""


def _of_this_class(config: Config) -> Config:
    """The section of this extension as a configuration of the class ``AdminTraits``, which has the
    same traits as the extension and needs no server. Unknown names are left out; the module
    ``configuration`` reports them."""
    known = AdminTraits.class_traits(config=True)
    section = {k: v for k, v in config[provenance.SECTION].items() if k in known}
    return Config({AdminTraits.__name__: section})
