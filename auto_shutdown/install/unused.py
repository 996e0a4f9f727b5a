"""Finds and deletes this package's lifecycle configurations that are attached nowhere, in one or
more regions. If a region cannot be read or a deletion fails, the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .calls import Calls
from .domain_survey import left_over, survey_domain
from .errors import AttachError
from .names import APP_TYPES


@dataclass
class Unused:
    """The ``names`` of the unused configurations of one region. If they could not be found,
    ``error`` says why. ``delete`` adds the names that it ``deleted``, and the errors of the
    deletions that failed (``failures``)."""

    region: str
    calls: Calls | None = None
    names: list[str] = field(default_factory=list)
    error: str = ""
    deleted: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def find_unused(make_calls: Callable[[str], Calls], regions: Iterable[str]) -> list[Unused]:
    """Read every domain, user profile and space of each region (an empty text is the region of the
    AWS configuration). Raises nothing."""
    return [_find_in(make_calls, region) for region in regions]


def _find_in(make_calls: Callable[[str], Calls], region: str) -> Unused:
    try:
        calls = make_calls(region)
        surveys = [
            survey_domain(calls, str(domain["DomainId"]), app_type)
            for domain in calls.list("Domains")
            for app_type in APP_TYPES.values()
        ]
        unread = [text for survey in surveys for text in survey.unread]
        if unread:  # a setting that could not be read may name any configuration
            raise AttachError(f"Some settings could not be read. {unread[0]}")
        return Unused(calls.region, calls, left_over(calls, surveys))
    except AttachError as error:
        return Unused(region, error=f"Nothing is deleted in {region or 'this region'}: {error}")


def delete(regions: Iterable[Unused]) -> None:
    """Delete the configurations in ``names`` of each region. Raises nothing."""
    for each in regions:
        if each.calls is None:
            continue
        for name in each.names:
            try:
                each.calls.delete_config(name)
            except AttachError as error:
                each.failures.append(str(error))
            else:
                each.deleted.append(name)
