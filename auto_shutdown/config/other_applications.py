"""The configuration of the other applications on the same server, such as JupyterLab.

Jupyter merges the file of each extension application (``jupyter_lab_config.py``) into the server's
configuration, but after this extension has taken its own values from there, or not at all if that
application fails to load. So users set ``c.AutoShutdown`` in that file as they set ``c.ServerApp``,
and Jupyter applies only ``ServerApp``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from traitlets.config import Config

from . import provenance
from .problems import RESTART, Problem
from .provenance import EXTENSION_FILE, SECTION, ConfigFile, merged_section

#: The applications of the Jupyter project that can start a server: their packages, by the name of
#: the file that they read.
WELL_KNOWN = {
    "jupyter_lab_config": ("jupyterlab",),
    "jupyter_notebook_config": ("notebook", "nbclassic"),
}


def extension_applications(server: Any, own: Any) -> list[Any]:
    """The enabled extension applications of the server, in the order in which the server links
    them. ``own`` is the application of this extension; it is the last one if the server does not
    list it."""
    manager = server.extension_manager
    # jupyter_server links extensions by name. An extension can link others before their turn.
    linked = [name for name in manager.linked_extensions if name in manager.extensions]
    names = dict.fromkeys([*linked, *sorted(manager.extensions)])
    packages = [manager.extensions[name] for name in names]
    points = [
        point
        for package in packages
        if package.enabled
        for point in package.extension_points.values()
    ]
    applications = [point.app for point in points if point.app]
    return applications if own in applications else [*applications, own]


def failed_packages(server: Any) -> list[str]:
    """The enabled extensions that Jupyter could not import. It knows neither whether they have an
    application, nor which file that would read."""
    loaded = server.extension_manager.extensions
    enabled = [name for name, is_on in server.jpserver_extensions.items() if is_on]
    return sorted(name for name in enabled if name not in loaded)


def unread_files(
    failed: Sequence[str], others: Sequence[ConfigFile], files: Sequence[ConfigFile]
) -> Iterator[Problem]:
    """A problem for each file that may configure this extension, that the server does not read, and
    that an application of the ``failed`` packages may read. ``others`` are the files that the
    server does not read, ``files`` those that it reads."""
    applied = provenance.applying([*files, *others])
    for file in others:
        if file not in applied or not (file.problem or file.section(SECTION)):
            continue
        place = file.path.with_name(provenance.SERVER_FILE + file.path.suffix)
        content = f"sets {SECTION}"
        remedy = (
            f"Move {SECTION} to {place}, which applies always, or repair the extension (the "
            "server's log has the error)"
        )
        if file.problem:
            content, remedy = f"cannot be read ({file.problem})", file.correction
        message = (
            f"{file.path} {content}, and Jupyter could not load the application that may read it "
            f"(the enabled extension {' or '.join(failed)})."
        )
        yield Problem(message, f"{remedy}, {RESTART}")


def file_names(applications: Iterable[Any], own: Any) -> list[str]:
    """The name of the configuration file of each application, without directory and suffix."""
    return [EXTENSION_FILE if app is own else str(app.config_file_name) for app in applications]


def well_known_files() -> list[str]:
    """The names of the files of the installed well-known applications, and of this extension. For
    a caller that cannot ask a server which applications it has loaded."""
    installed = [name for name, packages in WELL_KNOWN.items() if any(map(find_spec, packages))]
    return [EXTENSION_FILE, *installed]


def late_section(configs: Sequence[Mapping[str, Any]], own: Mapping[str, Any]) -> Config:
    """The values for this extension that it has not taken over, because Jupyter merged them too
    late. ``configs`` are those of the other applications in the order of linking, then that of the
    server, which wins. ``own`` is the configuration that this extension has."""
    values = merged_section(configs)
    taken_over = own.get(SECTION, {})
    return Config({name: value for name, value in values.items() if name not in taken_over})
