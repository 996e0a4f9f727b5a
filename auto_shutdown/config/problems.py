"""Problems in the configuration that keep the extension from starting.

Jupyter skips a file that it cannot load, and traitlets drops all options that follow an option that
it cannot read. The server then runs with defaults that nobody chose. This extension would remove
resources although somebody wrote ``enabled=false`` or ``dry_run=true``. So the extension refuses to
start while there is such a problem, and names the problem (docs/decisions/022).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from traitlets import TraitError, TraitType
from traitlets.config.loader import DeferredConfigList

from .provenance import ADMINISTRATOR, SECTION, STARTER, USER, ConfigFile, applying

#: How a message names a file, by its owner.
OWNER_NAMES = {
    USER: "a configuration file",
    ADMINISTRATOR: "the administrator's file",
    STARTER: "the file that --config names",
}

RESTART = "and restart the server; until then nothing is shut down."


@dataclass(frozen=True)
class Problem:
    """``message`` names the file or trait, ``remedy`` says what to do. ``name`` is the name of the
    trait; empty if the problem does not concern a single trait."""

    message: str
    remedy: str
    name: str = ""


class ConfigurationError(TraitError):
    """A part of the configuration cannot be understood. The extension does not start."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy or f"Correct it, {RESTART}"


def raise_first(problems: Iterable[Problem]) -> None:
    """Raise ConfigurationError for the first problem. Its message gives the number of the
    others."""
    all_problems = list(problems)
    if all_problems:
        others = len(all_problems) - 1
        more = f" ({others} more: see jupyter auto-shutdown doctor.)" if others else ""
        raise ConfigurationError(f"{all_problems[0].message}{more}", all_problems[0].remedy)


def unreadable(files: Sequence[ConfigFile]) -> Iterator[Problem]:
    """A problem for each file that applies and cannot be read. Such a file may forbid removals."""
    for file in applying(files):
        if file.problem:
            yield Problem(
                f"{file.path} is {OWNER_NAMES[file.owner]}, and its content is unknown: "
                f"{file.problem}.",
                f"{file.correction}, {RESTART}",
            )


def misspelt_sections(
    config: Mapping[str, Any], where: str = "The configuration"
) -> Iterator[Problem]:
    """A problem for each section that is meant for this extension but that Jupyter ignores: because
    of its name, such as ``auto_shutdown``, or because it lies within another section. ``where``
    begins the message."""
    for name, value in config.items():
        if name != SECTION and _resembles_the_section(name):
            message = f"{where} has a section {name}, which Jupyter ignores; it is {SECTION}."
            yield Problem(message, f"Write {SECTION} for {name}, {RESTART}")
        yield from _misplaced_sections(str(name), value, where)


def _resembles_the_section(name: object) -> bool:
    return re.sub(r"[^a-z]", "", str(name).lower()) == SECTION.lower()


def _misplaced_sections(outer: str, content: Any, where: str) -> Iterator[Problem]:
    """A problem for each section for this extension within the section ``outer``, at any depth. A
    similar name counts only directly in ``outer``: below that, names belong to other programs."""
    if isinstance(content, Mapping):
        for name, value in content.items():
            path = f"{outer}.{name}"
            resembles = name == SECTION or ("." not in outer and _resembles_the_section(name))
            if resembles and isinstance(value, Mapping) and value:
                message = (
                    f"{where} has the section {name} within {outer}, where Jupyter ignores it."
                )
                yield Problem(message, f"Move it out of {outer} and name it {SECTION}, {RESTART}")
            yield from _misplaced_sections(path, value, where)


def misspelt_sections_of_files(files: Iterable[ConfigFile]) -> Iterator[Problem]:
    """The problems of ``misspelt_sections`` in each file, also in files that do not apply."""
    for file in files:
        yield from misspelt_sections(file.content, str(file.path))


def accepts_several_values(trait: TraitType[Any, Any] | None) -> bool:
    """Whether an option for this trait may be given more than once on the command line."""
    return hasattr(trait, "from_string_list")


def invalid_options(
    section: Mapping[str, Any], traits: Mapping[str, TraitType[Any, Any]]
) -> Iterator[Problem]:
    """A problem for each option of the section that is no trait, or that the command line gives
    more than once although its trait takes one value."""
    for name, value in section.items():
        trait = traits.get(str(name))
        if trait is None:
            import difflib  # only for a mistake, and not at each start

            close = difflib.get_close_matches(str(name), traits, 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            message = f"{SECTION}.{name} is configured, and there is no such trait.{hint}"
            yield Problem(message, f"Correct the name {name}, or take it out, {RESTART}", name)
        elif isinstance(value, DeferredConfigList) and not accepts_several_values(trait):
            values = ", ".join(map(str, value))
            message = (
                f"{SECTION}.{name} is given {len(value)} times on the command line ({values}): "
                "it is unknown which value applies."
            )
            yield Problem(message, f"Give --{SECTION}.{name} once, {RESTART}", name)
