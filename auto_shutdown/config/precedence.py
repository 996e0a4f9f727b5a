"""Which configuration files apply.

Jupyter merges its configuration files so that those in a user's home override those in ``/etc`` or
in the environment. A user could then override an administrator's limits and locks. So if a file of
an administrator has a section for this extension, the files in the user's home are ignored, and the
section is built anew from the other files. The command line always applies, because it belongs to
the person who starts the server. If there is no file to overrule, Jupyter's own order applies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from traitlets import HasTraits
from traitlets.config.loader import LazyConfigValue, PyFileConfigLoader

from .problems import Problem, raise_first, unreadable
from .provenance import ADMINISTRATOR, SECTION, ConfigFile, applying
from .trait_values import set_trait

Section = Mapping[str, Any]


def evaluated(files: Sequence[ConfigFile]) -> Sequence[ConfigFile]:
    """The ``files``, with the section that each Python file of an administrator sets on this host.

    Such a file may name the extension and set nothing for it, for example because of a condition
    that is false. It must not discard a user's ``enabled=false``. A file that fails is left as it
    is; ``overruling_section`` reports it. Blocks: it runs these files a second time, unless all
    files apply anyway.
    """
    if len(applying(files)) == len(files):
        return files
    return [_evaluated(file) if file.owner == ADMINISTRATOR else file for file in files]


def _evaluated(file: ConfigFile) -> ConfigFile:
    if SECTION not in file.names:
        return file
    values, error = run_python_file(file)
    if error:
        return file
    section = {
        str(name): value
        for name, value in values.get(SECTION, {}).items()
        if not _is_only_read(value)
    }
    return replace(file, content={SECTION: section}, names=frozenset())


def _is_only_read(value: Any) -> bool:
    """Whether a program read the trait and did not set it. traitlets then adds an empty value."""
    return isinstance(value, LazyConfigValue) and not value.to_dict()


def overruling_section(files: Sequence[ConfigFile], command_line: Section) -> Section | None:
    """The section of the files that apply, overridden by the values on the ``command_line``. None
    when all files apply; Jupyter's own merged configuration is then right. ``files`` are those that
    ``evaluated`` returned.

    Blocks: it runs the Python files that apply and are not evaluated. Raises ConfigurationError for
    a file that applies and cannot be read.
    """
    raise_first(unreadable(files))
    applied = applying(files)
    if len(applied) == len(files):
        return None
    section: dict[str, Any] = {}
    for file in applied:
        section.update(_values(file))
    return {**section, **command_line}


def _values(file: ConfigFile) -> Section:
    if SECTION not in file.names:
        return file.section(SECTION)
    values, error = run_python_file(file)
    if error:
        message = f"{file.path} is the administrator's, and its content is unknown: {error}."
        raise_first([Problem(message, f"Correct {file.path}, and restart the server.")])
    return {str(name): value for name, value in values.get(SECTION, {}).items()}


def run_python_file(file: ConfigFile) -> tuple[Mapping[str, Any], str]:
    """Run a Python configuration file as Jupyter does. Returns its configuration, and why it failed
    (empty if it did not fail)."""
    loader = PyFileConfigLoader(file.path.name, str(file.path.parent))
    try:
        return loader.load_config(), ""
    except (Exception, SystemExit) as error:
        return {}, f"it raises {type(error).__name__}"


def failed_to_load(files: Sequence[ConfigFile], loaded: Iterable[str]) -> list[Problem]:
    """The Python files that apply and that failed when Jupyter ran them.

    ``loaded`` are the paths that Jupyter lists as loaded. Jupyter lists neither a file that failed
    nor a file that sets nothing. So this function runs a file that is not listed again, to find out
    whether it fails.
    """
    listed = {str(path) for path in loaded}
    problems = []
    for file in applying(files):
        if file.problem or not file.may_configure or str(file.path) in listed:
            continue
        values, error = run_python_file(file)
        if error or values:
            error = error or "it could not be loaded when the server started"
            message = f"{file.path} is skipped by Jupyter, with all its settings: {error}."
            problems.append(Problem(message, f"Correct {file.path}, and restart the server."))
    return problems


def set_traits(app: HasTraits, names: Iterable[str], section: Section) -> list[str]:
    """Set each trait in ``names`` to its value in ``section``, or to its default where ``section``
    has no value. Returns the names of the traits whose value from a user's file no longer applies:
    it was not the default, and is replaced. Raises TraitError."""
    ignored: list[str] = []
    # The default of state_dir depends on the traits that describe the platform.
    for name in sorted(names, key=lambda name: name == "state_dir"):
        before, default = getattr(app, name), app.trait_defaults(name)
        set_trait(app, name, section.get(name, default))
        if before not in (default, getattr(app, name)):
            ignored.append(name)
    return ignored
