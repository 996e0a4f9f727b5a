"""The target of a lifecycle configuration (a domain, user profile or space), and the names and
patterns that choose targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .errors import UsageError

_NOUNS = {"domain": "Domain", "user-profile": "UserProfile", "space": "Space"}


@dataclass(frozen=True)
class Target:
    """A domain, a user profile or a space. ``kind`` is ``domain``, ``user-profile`` or ``space``;
    ``name`` is empty for a domain."""

    kind: str
    domain_id: str
    name: str = ""

    @property
    def noun(self) -> str:
        """The kind as the names of the API's operations spell it, such as ``UserProfile``."""
        return _NOUNS[self.kind]

    @property
    def key(self) -> dict[str, str]:
        """The members of a request that identify the target."""
        own = {} if self.kind == "domain" else {f"{self.noun}Name": self.name}
        return {"DomainId": self.domain_id, **own}

    @property
    def title(self) -> str:
        """The kind and the name, for sentences that are about one domain."""
        kind = self.kind.replace("-", " ")
        return f"{kind} {self.name}" if self.name else f"domain {self.domain_id}"

    def __str__(self) -> str:
        return self.title if self.kind == "domain" else f"{self.title} of domain {self.domain_id}"


def split(text: str) -> list[str]:
    """The names and patterns in the value of an option: ``a,b*`` has two."""
    return [word for word in (part.strip() for part in text.split(",")) if word]


def is_pattern(word: str) -> bool:
    """Whether ``word`` is a shell pattern and not a name."""
    return any(character in word for character in "*?[")


def choose(
    words: Iterable[str], what: str, known: Callable[[], Iterable[tuple[str, ...]]]
) -> list[str]:
    """The names that ``words`` choose, each once: a word that is no pattern is a name itself, and a
    pattern chooses each known name that it matches. ``known`` is called only if there is a pattern.
    Each of its entries begins with the name; a pattern may also match the further texts of an
    entry. Raises UsageError for a pattern that matches no entry; ``what`` names it there."""
    names: list[str] = []
    entries: list[tuple[str, ...]] | None = None
    for word in words:
        if not is_pattern(word):
            names.append(word)
            continue
        if entries is None:
            entries = sorted(known())
        matching = [e[0] for e in entries if any(fnmatchcase(text, word) for text in e)]
        if not matching:
            raise UsageError(f"No {what} matches {word!r}.")
        names += matching
    return list(dict.fromkeys(names))
