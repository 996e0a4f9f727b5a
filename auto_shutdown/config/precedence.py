"""Whose configuration counts.

Jupyter merges its configuration files so that what lies in a user's home wins over what lies in
``/etc`` or in the environment. For limits that an administrator sets that will not do: where a file
of theirs speaks of this extension, the files in the user's home count for nothing, and the section
is put together anew from those that do. The command line counts in any case: whoever has that in
their hands has the server. Where there is nothing to overrule, what Jupyter merged stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from traitlets import HasTraits, TraitError
from traitlets.config.loader import DeferredConfig, LazyConfigValue, PyFileConfigLoader

from .provenance import ADMINISTRATOR, SECTION, ConfigFile, counting

Section = Mapping[str, Any]


def in_force(files: Sequence[ConfigFile], given: Section) -> Section | None:
    """The section as the files that count have it, with what was ``given`` on the command line
    over it; None where no file is overruled, and Jupyter's own order holds.

    Raises TraitError for a file of an administrator that cannot be read: what it forbids is not
    known."""
    for file in files:
        if file.whose == ADMINISTRATOR and file.problem:
            raise _unknown(file, file.problem)
    counted = counting(files)
    if len(counted) == len(files):
        return None
    section: dict[str, Any] = {}
    for file in counted:
        section.update(_values(file))
    return {**section, **given}


def _values(file: ConfigFile) -> Section:
    """What a file sets. Python has to be run for that, a second time."""
    if SECTION not in file.names:
        return file.section(SECTION)
    try:
        found = PyFileConfigLoader(file.path.name, str(file.path.parent)).load_config()
    except (Exception, SystemExit) as error:
        raise _unknown(file, f"it raises {type(error).__name__}") from None
    return {str(name): value for name, value in found.get(SECTION, {}).items()}


def _unknown(file: ConfigFile, why: str) -> TraitError:
    return TraitError(f"{file.path} is the administrator's, and what it says is not known: {why}.")


def obey(app: HasTraits, names: Iterable[str], section: Section) -> list[str]:
    """Set the traits ``names`` to what ``section`` says, all others of them to their defaults. The
    names of those that somebody else had set. Raises TraitError."""
    ignored: list[str] = []
    # The default of the state's place goes by what is said of the platform.
    for name in sorted(names, key=lambda name: name == "state_dir"):
        before, default = getattr(app, name), app.trait_defaults(name)
        _set(app, name, section.get(name, default))
        if before not in (default, getattr(app, name)):
            ignored.append(name)
    return ignored


def _set(app: HasTraits, name: str, value: Any) -> None:
    if isinstance(value, DeferredConfig):  # of the command line: a text until its trait is known
        value = value.get_value(app.traits()[name])
    elif isinstance(value, LazyConfigValue):  # of Python: what was added to the default
        value = value.get_value(app.trait_defaults(name))
    setattr(app, name, value)
