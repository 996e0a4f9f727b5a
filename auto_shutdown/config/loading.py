"""Reads the administrator's limits from all configuration files and the command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import precedence, provenance
from .other_applications import unread_files
from .problems import invalid_options, misspelt_sections, misspelt_sections_of_files, raise_first
from .settings import Limits
from .traits import AdminTraits

#: Runs a blocking function in a thread.
Run = Callable[..., Awaitable[Any]]


async def configured_limits(
    app: AdminTraits,
    run: Run,
    *,
    directories: Sequence[str],
    config_file: str,
    extension_files: Sequence[str],
    failed: Sequence[str] = (),
    merged: Iterable[Mapping[str, Any]],
    command_lines: Iterable[Mapping[str, Any]],
    loaded: Iterable[str] | None,
) -> tuple[Limits, list[str]]:
    """Returns the limits with the source of each trait, and the names of the traits whose value in
    a user's file does not apply.

    ``app`` has the traits as Jupyter set them. If an administrator's file overrules a user's file,
    this function sets the traits of ``app`` again. ``directories`` (most important first),
    ``config_file`` and ``extension_files`` (see ``provenance.read_files``) are where the server
    looks for configuration files. ``failed`` are the enabled extensions that Jupyter could not
    import: an application of theirs may read other files. ``merged`` are the configurations of the
    server and of the extension as Jupyter merged them; ``command_lines`` are their command lines.
    ``loaded`` are the paths of the files that Jupyter loaded (None: this version of Jupyter does
    not list them).

    Raises ConfigurationError when a file or a value that applies cannot be understood.
    """
    merged = list(merged)
    command_line = provenance.merged_section(command_lines)
    files = await run(provenance.read_files, directories, config_file, extension_files)
    files = await run(precedence.evaluated, files)
    if failed:
        others = await run(provenance.read_other_files, directories, config_file, extension_files)
        raise_first(unread_files(failed, others, files))
    section = await run(precedence.overruling_section, files, command_line)
    if loaded is not None:
        raise_first(await run(precedence.failed_to_load, files, list(loaded)))
    raise_first(misspelt_sections_of_files(files))
    for config in merged:
        raise_first(misspelt_sections(config))
    ignored: list[str] = []
    if section is None:
        configured = provenance.merged_section(merged)
        raise_first(invalid_options(configured, app.traits(config=True)))
    else:
        configured = dict(section)
        raise_first(invalid_options(configured, app.traits(config=True)))
        app._config_error = None  # the error is in a value that does not apply
        names = AdminTraits.class_trait_names(config=True)
        ignored = precedence.set_traits(app, names, section)
    sources = provenance.sources(configured, files, command_line)
    return replace(app.limits(), sources=sources), ignored
