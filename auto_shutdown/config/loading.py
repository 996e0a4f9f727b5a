"""The administrator's limits, from everything that configures a running server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import precedence, provenance
from .problems import misspelt_sections, misspelt_sections_of_files, misunderstood, raise_first
from .settings import Limits
from .traits import AdminTraits

#: Runs a function that blocks.
Run = Callable[..., Awaitable[Any]]


async def configured_limits(
    app: AdminTraits,
    run: Run,
    *,
    directories: Sequence[str],
    config_file: str,
    merged: Iterable[Mapping[str, Any]],
    command_lines: Iterable[Mapping[str, Any]],
    loaded: Iterable[str] | None,
) -> tuple[Limits, list[str]]:
    """The limits by whoever's configuration counts, with the source of each trait; and the names
    that a user has set and that do not count.

    ``app`` has the traits as Jupyter set them; where an administrator's file overrules a user's,
    they are set anew. ``merged`` are the configurations as Jupyter put them together,
    ``command_lines`` what was given there. ``loaded`` are the paths of the files that Jupyter
    loaded; None where it does not say.

    Raises ConfigurationError unless all that counts is understood.
    """
    section_name, merged = provenance.SECTION, list(merged)
    given: dict[str, Any] = {}
    for config in command_lines:
        given.update(config.get(section_name, {}))
    files = await run(provenance.read_files, directories, config_file)
    section = await run(precedence.in_force, files, given)
    if loaded is not None:
        raise_first(await run(precedence.failed_to_load, files, list(loaded)))
    raise_first(misspelt_sections_of_files(files))
    for config in merged:
        raise_first(misspelt_sections(config))
    ignored: list[str] = []
    if section is None:
        configured: dict[str, Any] = {}
        for config in merged:
            configured.update(config.get(section_name, {}))
        raise_first(misunderstood(configured, app.traits(config=True)))
    else:
        configured = dict(section)
        raise_first(misunderstood(configured, app.traits(config=True)))
        app._config_error = None  # of a value that does not count
        names = AdminTraits.class_trait_names(config=True)
        ignored = precedence.obey(app, names, section)
    sources = provenance.sources(configured, files, given)
    return replace(app.limits(), sources=sources), ignored
