"""Reads and checks the values that a request sends: a resource, minutes and a note."""

from __future__ import annotations

from typing import Any

from ..config.settings import is_finite_number, json_safe
from ..core.formatting import printable
from ..core.ref import EVERYTHING, Kind, Ref
from ..core.translatable import sentence

#: The longest id of a resource, in characters. The ids of kernels, terminals and apps are far
#: shorter.
LONGEST_ID = 512

#: The longest note on a keep-alive, in characters.
LONGEST_NOTE = 200


class RequestError(Exception):
    """A value in the request is wrong (status 400). ``answer`` names the field, its value and the
    limit that the value exceeds."""

    def __init__(self, message: str, field: str, value: Any, bound: Any = None) -> None:
        super().__init__(message)
        self.answer: dict[str, Any] = {
            "message": message,
            "field": field,
            "value": json_safe(value),
        }
        if bound is not None:
            self.answer["bound"] = bound


def resource(kind: Any, resource_id: Any, allow_all: bool) -> Ref:
    """The resource that ``kind`` and ``resource_id`` name. ``allow_all`` also accepts the kind
    ``all``, which needs no id. Raises RequestError."""
    kinds = [k.value for k in Kind if allow_all or k is not Kind.ALL]
    if kind not in kinds:
        raise RequestError(f"kind must be one of {', '.join(kinds)}.", "kind", kind)
    if kind == Kind.ALL.value:
        return EVERYTHING
    if not isinstance(resource_id, str) or not resource_id:
        raise RequestError("id must be the id of that resource.", "id", resource_id)
    if len(resource_id) > LONGEST_ID:
        message = f"id is longer than {LONGEST_ID} characters."
        raise RequestError(message, "id", f"{resource_id[:40]}…", LONGEST_ID)
    return Ref(Kind(kind), resource_id)


def minutes(value: Any, most: float) -> float:
    """A number of minutes above 0 and at most ``most``. Raises RequestError."""
    if not is_finite_number(value) or not 0 < value <= most:
        message = sentence("minutes must be a number above 0 and at most %1.", f"{most:g}")
        raise RequestError(message, "minutes", value, most)
    return float(value)


def note(value: Any) -> str:
    """A user's note, on one line and without control characters. Raises RequestError."""
    if not isinstance(value, str) or len(value) > LONGEST_NOTE:
        message = sentence("note must be a text of at most %1 characters.", LONGEST_NOTE)
        raise RequestError(message, "note", value, LONGEST_NOTE)
    return printable(" ".join(value.split()))
