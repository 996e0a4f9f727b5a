"""Which exception of the policy covers an app. Pure."""

from __future__ import annotations

from .facts import SPACES, TAGS, Facts
from .policy import DomainPolicy
from .resources import SPACE, Item
from .rules import Kept


def exception_of(item: Item, facts: Facts, policy: DomainPolicy) -> Kept | None:
    """The exception that covers an app; None if there is none. If it is unknown whether an
    exception covers the app, the app is kept."""
    exceptions = policy.exceptions
    person = facts.person(item)
    if person is None and (exceptions.owners or exceptions.tags):
        # A tag of the owner counts, too.
        if not facts.was_read(SPACES, item.region, item.domain_id):
            return Kept("Its owner is unknown, and the policy has exceptions.", unknown=True)
    elif person is not None and _named(item.domain_id, person, exceptions.owners):
        return Kept(f"The policy excepts the owner {person}.")
    if item.owner_kind == SPACE and _named(item.domain_id, item.owner, exceptions.spaces):
        return Kept(f"The policy excepts the space {item.owner}.")
    if exceptions.tags and not facts.was_read(TAGS, item.region):
        why = "Tags could not be read, and the policy has exceptions by tag."
        return Kept(why, unknown=True)
    for name, wanted in exceptions.tags.items():
        values = facts.tag_values(item, name)
        if wanted in values or (wanted == "*" and values):
            return Kept(f"The policy exempts resources with the tag {name}={wanted}.")
    return None


def _named(domain_id: str, name: str, names: frozenset[str]) -> bool:
    return bool({name.lower(), f"{domain_id}/{name}".lower()} & names)
