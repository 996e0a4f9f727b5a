"""The texts that findings share. Pure.

A finding names a few resources and counts the others: with 500 users, a mail must not have 500
lines. ``domain report`` lists all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..core.finding import Finding, Level
from .facts import Facts
from .resources import (
    SPACE,
    Item,
)

#: The number of names in a finding; the others are counted.
NAMES = 5


def summary(
    check: str, level: Level, items: list[str], what: str, remedy: str, fine: str
) -> Iterator[Finding]:
    """One finding on all ``items``, which are sorted by importance. If there are none, a finding of
    the level OK with the text ``fine``."""
    if not items:
        yield Finding(check, Level.OK, fine)
        return
    names = ", ".join(items[:NAMES])
    more = f" and {len(items) - NAMES} more" if len(items) > NAMES else ""
    yield Finding(check, level, f"{what}: {len(items)} ({names}{more}).", remedy, len(items))


def named(item: Item, facts: Facts) -> str:
    """The name of a resource for people, with the parts by which the AWS console lists it."""
    if not item.domain_id:
        return f"{item.name} ({item.region})"
    person = facts.person(item)
    whose = f"{item.domain_id}/{item.owner}"
    of_person = f" of {person}" if person and item.owner_kind == SPACE else ""
    name = "" if item.name in ("default", item.owner) else f"/{item.name}"
    return f"{whose}/{item.type}{name}{of_person}"
