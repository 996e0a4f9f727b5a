"""User profiles and spaces of the local SageMaker API, which moto lacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from .resources import ApiError, Apps, page
from .tags import Tags

Request = dict[str, Any]
Answer = dict[str, Any]
Key = tuple[str, str]

#: The kinds of owner, each with its name in an ARN and the request member with its settings.
KINDS: Mapping[str, tuple[str, str]] = {
    "UserProfile": ("user-profile", "UserSettings"),
    "Space": ("space", "SpaceSettings"),
}


class Owners:
    """The user profiles and spaces of all domains. ``check_domain`` raises ApiError for a domain
    that does not exist; ``arn`` makes an ARN; ``updated`` returns the settings after an update."""

    def __init__(
        self,
        apps: Apps,
        tags: Tags,
        arn: Callable[..., str],
        check_domain: Callable[[str], None],
        updated: Callable[[Answer, Request], Answer],
    ) -> None:
        self._apps, self._tags, self._arn = apps, tags, arn
        self._check_domain, self._updated = check_domain, updated
        self._named: dict[str, dict[Key, Answer]] = {kind: {} for kind in KINDS}
        #: When each owner that is Deleting vanishes; and the vanished owners that a late list still
        #: shows.
        self._ends: dict[tuple[str, Key], float] = {}
        self._ghosts: dict[tuple[str, Key], tuple[float, Answer]] = {}
        self.table: dict[str, Callable[[Request], Answer]] = {}
        for kind in KINDS:
            self.table[f"Create{kind}"] = self._bind(self.create, kind)
            self.table[f"Describe{kind}"] = self._bind(self._describe, kind)
            self.table[f"Update{kind}"] = self._bind(self._update, kind)
            self.table[f"Delete{kind}"] = self._bind(self._delete, kind)
            self.table[f"List{kind}s"] = self._bind(self._list, kind)

    @staticmethod
    def _bind(method: Callable[[str, Request], Answer], kind: str) -> Callable[[Request], Answer]:
        return lambda request: method(kind, request)

    def of(self, kind: str) -> dict[Key, Answer]:
        """The owners of one kind by (domain, name in lower case)."""
        now = time.monotonic()
        for (sort, key), end in list(self._ends.items()):
            if end <= now:
                del self._ends[(sort, key)]
                gone = self._named[sort].pop(key, None)
                if gone is not None:
                    self._ghosts[(sort, key)] = (end, gone)
        return self._named[kind]

    def lose(self, kind: str, domain_id: str, name: str) -> None:
        """Delete an owner that still has apps, as a forced deletion in AWS does."""
        del self._named[kind][_key(domain_id, name)]

    def create(self, kind: str, request: Request) -> Answer:
        domain_id, name = request["DomainId"], request[f"{kind}Name"]
        self._check_domain(domain_id)
        key = _key(domain_id, name)
        if key in self.of(kind):
            raise ApiError("ResourceInUse", f"{kind} [{name}] already exists.")
        now = time.time()
        times = {"CreationTime": now, "LastModifiedTime": now, "Status": "InService"}
        self._named[kind][key] = {**{k: v for k, v in request.items() if k != "Tags"}, **times}
        arn = self._arn(KINDS[kind][0], domain_id, name)
        self._tags.put(arn, request.get("Tags"))
        return {f"{kind}Arn": arn}

    def _get(self, kind: str, request: Request) -> tuple[Key, Answer]:
        name = request[f"{kind}Name"]
        key = _key(request["DomainId"], name)
        found = self.of(kind).get(key)
        # SageMaker ignores the case of the names of user profiles, but not of spaces.
        if found is None or (kind == "Space" and found["SpaceName"] != name):
            raise ApiError("ResourceNotFound", f"{kind} [{name}] does not exist.")
        return key, found

    def _describe(self, kind: str, request: Request) -> Answer:
        _, found = self._get(kind, request)
        arn = self._arn(KINDS[kind][0], found["DomainId"], found[f"{kind}Name"])
        return {**found, f"{kind}Arn": arn}

    def _update(self, kind: str, request: Request) -> Answer:
        _, found = self._get(kind, request)
        word, member = KINDS[kind]
        if member in request:
            request = {**request, member: self._updated(found.get(member) or {}, request[member])}
        name = {f"{kind}Name": found[f"{kind}Name"]}
        found.update({**request, **name}, LastModifiedTime=time.time())
        return {f"{kind}Arn": self._arn(word, found["DomainId"], found[f"{kind}Name"])}

    def _delete(self, kind: str, request: Request) -> Answer:
        key, found = self._get(kind, request)
        name = found[f"{kind}Name"]
        if self._apps.alive(found["DomainId"], (f"{kind}Name", name)):
            message = f"Unable to delete {kind} [{name}] because App(s) are associated with it."
            raise ApiError("ResourceInUse", message)
        if found["Status"] == "Deleting":
            raise ApiError("ResourceInUse", f"{kind} [{name}] is already being deleted.")
        found["Status"] = "Deleting"
        self._ends[(kind, key)] = time.monotonic() + self._apps.delays.deleting
        return {}

    def _list(self, kind: str, request: Request) -> Answer:
        wanted = request.get("DomainIdEquals")
        names = ("DomainId", f"{kind}Name", "Status", "CreationTime", "LastModifiedTime")
        found = [
            {**{n: v for n, v in owner.items() if n in names}, **_summaries(kind, owner)}
            for owner in self._listed(kind)
            if wanted in (None, owner["DomainId"])
        ]
        return page(f"{kind}s", found, request)

    def _listed(self, kind: str) -> list[Answer]:
        """The owners that a list operation shows. It shows changes late, by ``Delays.listing``."""
        late, owners = self._apps.delays.listing, list(self.of(kind).values())
        if not late:
            return owners
        now, ghosts = time.monotonic(), []
        for (sort, _), (end, owner) in list(self._ghosts.items()):
            if sort == kind and now - end < late:
                ghosts.append(owner)
        return [o for o in owners if time.time() - o["CreationTime"] >= late] + ghosts


def _key(domain_id: str, name: str) -> Key:
    return domain_id, name.lower()


def _summaries(kind: str, owner: Answer) -> Answer:
    """The further members of a space in ListSpaces: owner, sharing and a part of the settings."""
    if kind != "Space":
        return {}
    settings = owner.get("SpaceSettings") or {}
    names = ("AppType", "RemoteAccess", "SpaceStorageSettings")
    found = {
        "OwnershipSettingsSummary": owner.get("OwnershipSettings"),
        "SpaceSharingSettingsSummary": owner.get("SpaceSharingSettings"),
        "SpaceSettingsSummary": {n: settings[n] for n in names if n in settings},
    }
    return {name: value for name, value in found.items() if value}
