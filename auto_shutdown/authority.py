"""Whose configuration counts.

Jupyter merges its configuration files so that what lies in a user's home wins over what lies in
``/etc`` or in the environment, and of the files in ``jupyter_server_config.d`` it reads nothing but
which extensions there are. For limits that an administrator sets neither will do. Here the section
``AutoShutdown`` is read anew, those files included; and where an administrator has one, the files
in the user's home count for nothing. The command line counts in any case: whoever has that in their
hands has the server.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from traitlets import HasTraits, TraitError
from traitlets.config.loader import (
    ConfigFileNotFound,
    DeferredConfig,
    JSONFileConfigLoader,
    PyFileConfigLoader,
)

SECTION = "AutoShutdown"

#: Files of Jupyter in a directory of its configuration, by their stem; of two the later wins.
STEMS = ("jupyter_config", "jupyter_server_config", "jupyter_auto_shutdown_config")

Section = Mapping[str, Any]


def is_users(directory: Path, home: Path, config_dir: Path) -> bool:
    """Whether a user may be expected to write there: it is the configuration of their own
    (``JUPYTER_CONFIG_DIR``), or lies in their home."""
    found = directory.resolve()
    return found == config_dir.resolve() or home.resolve() in (found, *found.parents)


def administrators(directories: Iterable[Path]) -> dict[str, Any]:
    """The section of an administrator's directories, the first of which wins. Raises TraitError
    for a file that cannot be read: what it forbids is not known."""
    section: dict[str, Any] = {}
    for directory in reversed(list(directories)):
        for path in _files(directory):
            section.update(read_section(path))
    return section


def users(directories: Iterable[Path]) -> dict[str, Any]:
    """What Jupyter itself does not read of a user's: the files in ``jupyter_server_config.d``. A
    broken one counts for nothing."""
    section: dict[str, Any] = {}
    for directory in reversed(list(directories)):
        for path in _drop_ins(directory):
            try:
                section.update(read_section(path))
            except TraitError:
                continue
    return section


def _files(directory: Path) -> Iterator[Path]:
    for stem in STEMS:
        if stem == STEMS[1]:
            yield from _drop_ins(directory)
        yield directory / f"{stem}.py"
        yield directory / f"{stem}.json"


def _drop_ins(directory: Path) -> Sequence[Path]:
    return sorted((directory / "jupyter_server_config.d").glob("*.json"))


def read_section(path: Path) -> Section:
    """The section of one file, empty where there is none. Raises TraitError."""
    loader = PyFileConfigLoader if path.suffix == ".py" else JSONFileConfigLoader
    try:
        found = loader(path.name, str(path.parent)).load_config().get(SECTION, {})
        return {str(name): value for name, value in found.items()}
    except (ConfigFileNotFound, FileNotFoundError):
        return {}
    except Exception as error:
        why = "is not JSON" if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise TraitError(f"{path} cannot be read ({why}).") from None


def obey(
    app: HasTraits, names: Iterable[str], administrator: Section, explicit: Section
) -> list[str]:
    """Set the traits ``names`` to what the administrator says, and over that what was given when
    the server was started (``explicit``); all others to their defaults. The names of those that
    somebody else had set. Raises TraitError."""
    for name in administrator:
        if not app.has_trait(name):
            raise TraitError(f"{SECTION} has no {name}: see its traits in the README.")
    ignored: list[str] = []
    wanted = {**administrator, **explicit}
    for name in names:
        before, default = getattr(app, name), app.trait_defaults(name)
        _set(app, name, wanted.get(name, default))
        if before not in (default, getattr(app, name)):
            ignored.append(name)
    return ignored


def fill_in(app: HasTraits, section: Section) -> None:
    """Set what nobody else has set. Raises TraitError."""
    for name, value in section.items():
        if app.has_trait(name) and getattr(app, name) == app.trait_defaults(name):
            _set(app, name, value)


def _set(app: HasTraits, name: str, value: Any) -> None:
    if isinstance(value, DeferredConfig):  # of the command line: a text until its trait is known
        value = value.get_value(app.traits()[name])
    setattr(app, name, value)
