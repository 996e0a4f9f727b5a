"""Texts for people that the panel can show in other languages.

A ``Text`` is an English string, so logs, the command line and the audit log use it as it is. It
also remembers the templates and arguments that it was made of. The report and the answers to
refused requests carry them, and the panel looks the templates up in its catalogue
(docs/translations.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Union

from .formatting import duration, iso

#: The places in a template that its arguments fill: ``%1`` is the first argument.
_PLACE = re.compile(r"%(\d)")

#: The template of a text that no catalogue can know, such as the text of an exception.
VERBATIM = "%1"

#: An argument of a template. The panel writes lengths of time, times and other texts in the user's
#: language.
Argument = Union[str, timedelta, datetime]

Part = tuple[str, tuple[Argument, ...]]


class Text(str):
    """An English text. ``parts`` are its sentences, each a template with its arguments."""

    parts: tuple[Part, ...]

    def __new__(cls, text: str = "", parts: Sequence[Part] = ()) -> Text:
        made = super().__new__(cls, text)
        made.parts = tuple(parts)
        return made

    def __str__(self) -> str:
        return self  # str(error) keeps the parts of an exception's message


def sentence(template: str, *arguments: object) -> Text:
    """Fill ``%1``, ``%2`` … of ``template``. The template must be a literal: a test looks for each
    literal in the panel's catalogues. Give a length of time as a ``timedelta`` and a time as a
    ``datetime``: as text, they would stay English in every language."""
    given = tuple(a if isinstance(a, (str, timedelta, datetime)) else str(a) for a in arguments)
    english = _PLACE.sub(lambda place: _in_english(given[int(place[1]) - 1]), template)
    return Text(english, [(template, given)])


def _in_english(argument: Argument) -> str:
    if isinstance(argument, timedelta):
        return duration(argument)
    if isinstance(argument, datetime):
        return f"{argument.astimezone(timezone.utc):%H:%M:%S} UTC"
    return str.__str__(argument)


def joined(*texts: str) -> Text:
    """Several texts with a space between them; empty ones are left out."""
    shown = [text for text in texts if text]
    return Text(" ".join(shown), [part for text in shown for part in _parts(text)])


def parts_of(text: str) -> list[dict[str, Any]]:
    """The parts as JSON: ``[{"text": template, "arguments": [...]}]``. A plain string is one
    argument of a template that only repeats it."""
    return [
        {"text": template, "arguments": [_as_json(argument) for argument in given]}
        for template, given in _parts(text)
    ]


def _as_json(argument: Argument) -> str | dict[str, Any]:
    """A string; ``{"seconds": …}`` for a length of time; ``{"at": …}`` for a time; ``{"parts": …}``
    for a text that is itself made of sentences."""
    if isinstance(argument, timedelta):
        return {"seconds": argument.total_seconds()}
    if isinstance(argument, datetime):
        return {"at": iso(argument)}
    if isinstance(argument, Text) and argument.parts:
        return {"parts": parts_of(argument)}
    return str.__str__(argument)


def _parts(text: str) -> Sequence[Part]:
    if isinstance(text, Text) and text.parts:
        return text.parts
    return [(VERBATIM, (str(text),))] if text else []
