"""What a lifecycle configuration is attached to, and how names and patterns choose it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .errors import UsageError

_NOUNS = {"domain": "Domain", "user-profile": "UserProfile", "space": "Space"}


@dataclass(frozen=True)
class Target:
    """A domain, a user profile or a space, as ``kind`` says."""

    kind: str
    domain_id: str
    name: str = ""

    @property
    def noun(self) -> str:
        """As in the names of the API's operations."""
        return _NOUNS[self.kind]

    @property
    def key(self) -> dict[str, str]:
        """The members of a request that identify it."""
        own = {} if self.kind == "domain" else {f"{self.noun}Name": self.name}
        return {"DomainId": self.domain_id, **own}

    def __str__(self) -> str:
        where = f"domain {self.domain_id}"
        kind = self.kind.replace("-", " ")
        return where if self.kind == "domain" else f"{kind} {self.name} of {where}"


def split(text: str) -> list[str]:
    """The names and patterns of an option: ``a,b*`` is two."""
    return [word for word in (part.strip() for part in text.split(",")) if word]


def is_pattern(word: str) -> bool:
    return any(character in word for character in "*?[")


def choose(
    words: Iterable[str], what: str, known: Callable[[], Iterable[tuple[str, ...]]]
) -> list[str]:
    """The names that ``words`` mean: a plain word stands for itself, a pattern for each known one
    that it matches. ``known`` is called for patterns only; each entry begins with the name, and
    further texts also match. Raises UsageError for a pattern that matches nothing."""
    found: list[str] = []
    entries: list[tuple[str, ...]] | None = None
    for word in words:
        if not is_pattern(word):
            found.append(word)
            continue
        if entries is None:
            entries = sorted(known())
        matching = [e[0] for e in entries if any(fnmatchcase(text, word) for text in e)]
        if not matching:
            raise UsageError(f"No {what} matches {word!r}.")
        found += matching
    return list(dict.fromkeys(found))
