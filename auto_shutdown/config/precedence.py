"""Which configuration files apply.

Jupyter merges its configuration files so that those in a user's home override those in ``/etc`` or
in the environment. A user could then override an administrator's limits and locks. So if a file of
an administrator has a section for this extension, the files in the user's home are ignored, and the
section is built anew from the other files. The command line always applies, because it belongs to
the person who starts the server. If there is no file to overrule, Jupyter's own order applies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from traitlets import HasTraits
from traitlets.config.loader import PyFileConfigLoader

from .problems import Problem, raise_first, unreadable
from .provenance import SECTION, ConfigFile, applying
from .trait_values import set_trait

Section = Mapping[str, Any]


def overruling_section(files: Sequence[ConfigFile], command_line: Section) -> Section | None:
    """The section of the files that apply, overridden by the values on the ``command_line``. None
    when all files apply; Jupyter's own merged configuration is then right.

    Blocks: it runs an administrator's Python files a second time. Raises ConfigurationError for a
    file that applies and cannot be read.
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
