"""Converts values between traitlets and plain Python."""

from __future__ import annotations

import ast
from typing import Any

from traitlets import Float, HasTraits
from traitlets.config.loader import DeferredConfig, LazyConfigValue


class NullableFloat(Float):  # type: ignore[type-arg]  # traitlets before 5.10 has no arguments
    """A trait that is a number or None. On the command line, ``null`` and ``none`` mean None."""

    def __init__(self, text: str) -> None:
        super().__init__(None, allow_none=True, help=text)

    def from_string(self, s: str) -> Any:
        return None if s.strip().lower() in ("null", "none", "") else float(s)


def plain(value: Any) -> Any:
    """The value of a trait in plain JSON types. traitlets parses a list of objects on the command
    line into types of its own. A whole number becomes an int, because people read 120 more easily
    than 120.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [dict(item) if isinstance(item, dict) else item for item in value]
    return value


def as_list(value: Any) -> list[str]:
    """The list of names in a trait. For ``--AutoShutdown.locked="['rules']"`` traitlets takes the
    text of the whole list for the first item; this function parses that item."""
    if len(value) == 1 and value[0].lstrip().startswith("["):
        try:
            items = ast.literal_eval(value[0].strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return list(value)
        if isinstance(items, list) and all(isinstance(item, str) for item in items):
            return items
    return list(value)


def set_trait(app: HasTraits, name: str, value: Any) -> None:
    """Set the trait ``name`` to a value from a configuration. Raises TraitError, or the error of a
    value that cannot be parsed."""
    if isinstance(value, DeferredConfig):  # a text from the command line, not parsed yet
        value = value.get_value(app.traits()[name])
    elif isinstance(value, LazyConfigValue):  # a Python file called c.X.trait.append(…)
        value = value.get_value(app.trait_defaults(name))
    setattr(app, name, value)
