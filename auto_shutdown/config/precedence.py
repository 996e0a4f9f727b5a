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
from .provenance import SECTION, ConfigFile, counting
from .traits import set_trait

Section = Mapping[str, Any]


def in_force(files: Sequence[ConfigFile], given: Section) -> Section | None:
    """The section as the files that count have it, under what was ``given`` on the command line;
    None where no file is overruled, and Jupyter's own order holds.

    Runs an administrator's Python files a second time, so it may block. Raises ConfigurationError
    for a file that counts and cannot be read.
    """
    raise_first(unreadable(files))
    counted = counting(files)
    if len(counted) == len(files):
        return None
    section: dict[str, Any] = {}
    for file in counted:
        section.update(_values(file))
    return {**section, **given}


def _values(file: ConfigFile) -> Section:
    if SECTION not in file.names:
        return file.section(SECTION)
    values, why = run(file)
    if why:
        message = f"{file.path} is the administrator's, and its content is unknown: {why}."
        raise_first([Problem(message, f"Correct {file.path}, and restart the server.")])
    return {str(name): value for name, value in values.get(SECTION, {}).items()}


def run(file: ConfigFile) -> tuple[Mapping[str, Any], str]:
    """Run a Python configuration file as Jupyter does. Returns what it configures, and why it
    could not be run to its end (empty when it could)."""
    loader = PyFileConfigLoader(file.path.name, str(file.path.parent))
    try:
        return loader.load_config(), ""
    except (Exception, SystemExit) as error:
        return {}, f"it raises {type(error).__name__}"


def failed_to_load(files: Sequence[ConfigFile], loaded: Iterable[str]) -> list[Problem]:
    """The Python files that count and that Jupyter could not run to their end.

    ``loaded`` are the paths that Jupyter lists as loaded. A file that configures nothing is not
    among them either, so a file that may configure something and is not listed is run again.
    """
    listed = {str(path) for path in loaded}
    problems = []
    for file in counting(files):
        if file.problem or not file.may_configure or str(file.path) in listed:
            continue
        values, why = run(file)
        if why or values:
            why = why or "it could not be loaded when the server started"
            message = f"{file.path} is skipped by Jupyter, with all its settings: {why}."
            problems.append(Problem(message, f"Correct {file.path}, and restart the server."))
    return problems


def obey(app: HasTraits, names: Iterable[str], section: Section) -> list[str]:
    """Set the traits ``names`` to what ``section`` says, and all others of them to their defaults.
    Returns the names of those that somebody else had set. Raises TraitError."""
    ignored: list[str] = []
    # The default of state_dir depends on the traits that describe the platform.
    for name in sorted(names, key=lambda name: name == "state_dir"):
        before, default = getattr(app, name), app.trait_defaults(name)
        set_trait(app, name, section.get(name, default))
        if before not in (default, getattr(app, name)):
            ignored.append(name)
    return ignored
