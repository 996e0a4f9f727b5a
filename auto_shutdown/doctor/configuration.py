"""Checks the configuration: files that Jupyter skips, unknown names, invalid values, and the file
with which an administrator stops all removals. Names the file that sets each trait."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

from ..config import provenance
from ..config.other_applications import WELL_KNOWN
from ..config.problems import misspelt_sections, misspelt_sections_of_files
from ..config.traits import AdminTraits
from ..core.finding import Finding, failure, ok, warning
from ..core.formatting import printable
from ..world.stop_switch import Stop, StopSwitch
from .installation import enabled_extensions
from .situation import Situation

CHECK = "configuration"


def examine(situation: Situation) -> Iterator[Finding]:
    problems = [*_unreadable(situation), *_error(situation), *_misunderstood(situation)]
    yield from problems or [ok(CHECK, f"{len(situation.files)} files read, all understood")]
    yield from _overruled(situation)
    yield from _read_by_some_servers(situation)
    yield from _stop_file(situation)
    yield from _settings(situation)


def _unreadable(situation: Situation) -> Iterator[Finding]:
    for file in situation.files:
        if file.problem:
            effect = "is skipped"
            if file.owner == provenance.ADMINISTRATOR:
                effect = "is the administrator's, and keeps the extension from starting"
            text = f"{file.path} {effect}: {file.problem}"
            yield failure(CHECK, text, f"{file.correction}, and restart the server.")


def _error(situation: Situation) -> Iterator[Finding]:
    unreadable = any(file.problem for file in situation.files)
    if situation.config_error and not unreadable:
        remedy = "Correct it, and restart the server. Until then nothing is shut down."
        yield failure(CHECK, situation.config_error, remedy)


def _misunderstood(situation: Situation) -> Iterator[Finding]:
    """Each name with which the extension refuses to start, and the file that sets it. The extension
    uses the same functions to find these names."""
    in_json = list(misspelt_sections_of_files(situation.files))
    for problem in in_json or misspelt_sections(situation.config):
        yield failure(CHECK, problem.message, problem.remedy)
    for problem in situation.invalid_options:
        source = situation.source(provenance.SECTION, problem.name)
        where = f" It is set by {source}." if source else ""
        yield failure(CHECK, f"{problem.message}{where}", problem.remedy)


def _overruled(situation: Situation) -> Iterator[Finding]:
    applied = provenance.applying(situation.files)
    overruling = [
        str(file.path)
        for file in applied
        if file.owner == provenance.ADMINISTRATOR and file.section(provenance.SECTION)
    ]
    for file in situation.files:
        if file not in applied and file.section(provenance.SECTION):
            text = f"{file.path} does not apply, because of {', '.join(overruling)}"
            remedy = (
                f"Remove AutoShutdown from {file.path}; change what is allowed in the settings."
            )
            yield warning(CHECK, text, remedy)


def _read_by_some_servers(situation: Situation) -> Iterator[Finding]:
    """Each file of another application, such as ``jupyter_lab_config.py``, that sets something for
    this extension, if that application is not enabled. Only ``jupyter lab`` reads it then."""
    if any(file.problem for file in situation.files):
        return  # the enabled extensions are then unknown
    enabled = enabled_extensions(situation)
    for name, packages in WELL_KNOWN.items():
        if any(map(enabled.get, packages)):
            continue
        for file in situation.files:
            is_of_application = file.path.stem == name and file.owner != provenance.STARTER
            if is_of_application and file.section(provenance.SECTION):
                text = (
                    f"{file.path} sets AutoShutdown, and `jupyter server` does not read it, "
                    f"because {' or '.join(packages)} is not enabled"
                )
                place = file.path.with_name(provenance.SERVER_FILE + file.path.suffix)
                yield warning(CHECK, text, f"Move AutoShutdown to {place}, which applies always.")


def _stop_file(situation: Situation) -> Iterator[Finding]:
    """Whether the administrator's stop file allows removals. The doctor reads the file, because a
    server reads it only when a removal is due."""
    path = situation.traits.stop_file
    if not path:
        return
    stop = asyncio.run(_read_stop_file(path))
    if stop is None:
        yield ok(CHECK, f"stop_file {path} allows removals")
    else:
        report = warning if stop.known else failure
        yield report(CHECK, printable(stop.message), printable(stop.remedy))


async def _read_stop_file(path: str) -> Stop | None:
    switch = StopSwitch(file=path)
    try:
        return await switch.read()
    finally:
        switch.close()


def _settings(situation: Situation) -> Iterator[Finding]:
    """Each trait that is set, the file that sets it, and the file that this overrides."""
    for name in sorted(AdminTraits.class_traits(config=True)):
        source = situation.source(provenance.SECTION, name)
        if not source:
            continue
        text = f"{name} = {_shown(situation, name)}, set by {source}"
        protected = _protected(situation, name, source)
        if protected:
            yield warning(
                CHECK,
                f"{text}, which overrides {protected}",
                f"This user can change {source}. To enforce {protected}, put it into a directory "
                "that comes first (jupyter --paths) and that users cannot write.",
            )
        else:
            yield ok(CHECK, text)


def _shown(situation: Situation, name: str) -> str:
    return json.dumps(getattr(situation.traits, name), default=str)


def _protected(situation: Situation, name: str, source: str) -> str:
    """The path of a file that users cannot change, and whose trait ``name`` is overridden by
    ``source``, a file that they can change. Empty if there is no such file."""
    applied = provenance.applying(situation.files)
    setting = [file.path for file in applied if name in file.section(provenance.SECTION)]
    if not setting or str(setting[-1]) != source or not _writable(setting[-1]):
        return ""
    others = [path for path in setting[:-1] if not _writable(path)]
    return str(others[-1]) if others else ""


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK) or os.access(path.parent, os.W_OK)
