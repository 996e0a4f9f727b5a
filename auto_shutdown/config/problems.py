"""Problems in the configuration because of which the extension does not start.

Jupyter skips a file that it cannot load, and traitlets drops all options after one that it cannot
read. The server then runs with defaults that nobody chose, and this extension would remove
resources although somebody wrote ``enabled=false`` or ``dry_run=true``. So it does not start while
there is such a problem, and names it (docs/decisions/022).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from traitlets import TraitError, TraitType
from traitlets.config.loader import DeferredConfigList

from .provenance import ADMINISTRATOR, SECTION, STARTER, USER, ConfigFile, counting

#: How a message names a file, by whose it is.
WHOSE = {
    USER: "a configuration file",
    ADMINISTRATOR: "the administrator's file",
    STARTER: "the file that --config names",
}

RESTART = "and restart the server; until then nothing is shut down."


@dataclass(frozen=True)
class Problem:
    """``message`` names the file or trait, ``remedy`` says what to do."""

    message: str
    remedy: str


class ConfigurationError(TraitError):
    """The configuration is not understood as a whole; the extension does not start."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy or f"Correct it, {RESTART}"


def raise_first(problems: Iterable[Problem]) -> None:
    """Raise ConfigurationError for the first problem, with the number of the others."""
    found = list(problems)
    if found:
        more = f" ({len(found) - 1} more: see jupyter auto-shutdown doctor.)" if found[1:] else ""
        raise ConfigurationError(f"{found[0].message}{more}", found[0].remedy)


def unreadable(files: Sequence[ConfigFile]) -> Iterator[Problem]:
    """The files that apply and cannot be read. What they forbid is unknown."""
    for file in counting(files):
        if file.problem:
            yield Problem(
                f"{file.path} is {WHOSE[file.whose]}, and its content is unknown: {file.problem}.",
                f"Correct {file.path}, {RESTART}",
            )


def misspelt_sections(names: Iterable[str], where: str = "The configuration") -> Iterator[Problem]:
    """Sections that can only be meant for this extension, under a name that Jupyter ignores."""
    for name in names:
        if name != SECTION and re.sub(r"[^a-z]", "", str(name).lower()) == SECTION.lower():
            message = f"{where} has a section {name}, which Jupyter ignores; it is {SECTION}."
            yield Problem(message, f"Write {SECTION} for {name}, {RESTART}")


def misspelt_sections_of_files(files: Iterable[ConfigFile]) -> Iterator[Problem]:
    """The same, file by file, also in files that do not count."""
    for file in files:
        yield from misspelt_sections(file.content, str(file.path))


def misunderstood(
    section: Mapping[str, Any], traits: Mapping[str, TraitType[Any, Any]]
) -> Iterator[Problem]:
    """Options of the section without a trait, or with more values than their trait takes."""
    for name, value in section.items():
        trait = traits.get(str(name))
        if trait is None:
            close = difflib.get_close_matches(str(name), traits, 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            message = f"{SECTION}.{name} is configured, and there is no such trait.{hint}"
            yield Problem(message, f"Correct the name {name}, or take it out, {RESTART}")
        elif isinstance(value, DeferredConfigList) and not hasattr(trait, "from_string_list"):
            values = ", ".join(map(str, value))
            message = (
                f"{SECTION}.{name} is given {len(value)} times on the command line ({values}): "
                "it is unknown which one applies."
            )
            yield Problem(message, f"Give --{SECTION}.{name} once, {RESTART}")
