"""Finds and deletes this package's lifecycle configurations that nothing refers to, in one or more
regions. A region that cannot be read, or a deletion that fails, does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .calls import Calls
from .errors import AttachError
from .names import APP_TYPES
from .survey import left_over, look


@dataclass
class Unused:
    """The names of the unused configurations of one region. ``error`` says why they are not known;
    ``deleted`` and ``failures`` are what became of them."""

    region: str
    calls: Calls | None = None
    names: list[str] = field(default_factory=list)
    error: str = ""
    deleted: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def find_unused(make_calls: Callable[[str], Calls], regions: Iterable[str]) -> list[Unused]:
    """Look at every domain, user profile and space of each region. Raises nothing."""
    return [_find_in(make_calls, region) for region in regions]


def _find_in(make_calls: Callable[[str], Calls], region: str) -> Unused:
    try:
        calls = make_calls(region)
        surveys = [
            look(calls, str(domain["DomainId"]), app_type)
            for domain in calls.list("Domains", calls.region)
            for app_type in APP_TYPES.values()
        ]
        unread = [text for survey in surveys for text in survey.unread]
        if unread:  # a configuration that was not seen may be in use
            raise AttachError(f"not everything could be read: {unread[0]}")
        return Unused(calls.region, calls, left_over(calls, surveys))
    except AttachError as error:
        return Unused(region, error=f"Nothing is deleted in {region or 'this region'}: {error}")


def delete(found: Iterable[Unused]) -> None:
    """Delete all configurations in ``found``. Raises nothing."""
    for each in found:
        if each.calls is None:
            continue
        for name in each.names:
            try:
                each.calls.delete_config(name)
            except AttachError as error:
                each.failures.append(str(error))
            else:
                each.deleted.append(name)
