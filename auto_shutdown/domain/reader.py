"""Reads SageMaker's own lists into facts: domains, apps, user profiles, spaces, notebook instances
and tracking servers, paced (:mod:`.pace`). Meanwhile :mod:`.evidence` reads what other services
know.

Each source is read on its own. A source that fails is named in ``Facts.unread`` with what to do,
and what was read of it so far is kept: shown, but never taken for complete.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from . import evidence
from . import facts as f
from .entries import (
    app_of,
    app_request,
    is_missing,
    living,
    owner_request,
    profile_of,
    space_of,
    utc,
)
from .errors import CallError, OutOfTimeError
from .facts import Domain, DomainKey, Facts, Item, OwnerKey, Profile, Space, Unread
from .pace import Aws

PAGE_SIZE = 100

#: What every command reads. The others are read where a command needs them.
LISTS = frozenset({f.DOMAINS, f.APPS, f.PROFILES, f.SPACES, f.INSTANCES, f.TRACKING_SERVERS})
#: Seconds for which the evidence waits at most for the first list.
FIRST_LIST_SECONDS = 5.0

EVIDENCE = frozenset({f.CANVAS_METRIC, f.REPORTS, f.TAGS, f.CREATIONS})


@dataclass(frozen=True)
class Scope:
    """What is read. ``domains`` empty: all. ``created_within``: how far back CloudTrail is read for
    creations of apps. ``points_within``: how far back the Canvas metric is read. ``describe_most``:
    so many user profiles or notebook instances are described one by one (5 a second); above that
    they count as unread. ``in_time_of_lists``: CloudTrail, which has two calls a second for 50
    events each, is read no longer than the lists are, so that a day with very many new apps does
    not delay a report."""

    regions: tuple[str, ...]
    domains: frozenset[str] = frozenset()
    sources: frozenset[str] = LISTS | EVIDENCE
    report_window: timedelta = timedelta(hours=24)
    report_interval: timedelta = timedelta(minutes=15)
    log_group: str = "/aws/sagemaker/studio"
    created_within: timedelta = timedelta(hours=72)
    points_within: timedelta = timedelta(hours=1)
    describe_most: int = 500
    in_time_of_lists: bool = False


@dataclass(frozen=True)
class ItemList:
    """A list of resources that belong to no domain. ``method`` is boto3's name of the operation,
    ``member`` holds its entries, and the members of an entry begin with ``prefix``."""

    kind: str
    type: str
    method: str
    member: str
    prefix: str


INSTANCES = ItemList(
    f.NOTEBOOK_INSTANCE,
    "NotebookInstance",
    "list_notebook_instances",
    "NotebookInstances",
    "NotebookInstance",
)
TRACKING_SERVERS = ItemList(
    f.TRACKING_SERVER,
    "MLflowTrackingServer",
    "list_mlflow_tracking_servers",
    "TrackingServerSummaries",
    "TrackingServer",
)


@dataclass
class _Draft:
    """The facts of one region while they are read."""

    domains: dict[DomainKey, Domain] = field(default_factory=dict)
    profiles: dict[OwnerKey, Profile] = field(default_factory=dict)
    spaces: dict[OwnerKey, Space] = field(default_factory=dict)
    items: dict[f.ItemKey, Item] = field(default_factory=dict)
    evidence: evidence.Evidence = field(default_factory=evidence.Evidence)
    first_list_is_read: threading.Event = field(default_factory=threading.Event)
    lists_are_read: threading.Event = field(default_factory=threading.Event)
    unread: list[Unread] = field(default_factory=list)


#: Reads a part of one region into its draft.
_Step = Callable[[Aws, _Draft], None]


class Reader:
    """``aws`` gives the API of a region; ``now`` the time in aware UTC.

    The rate of the lists decides how long a reading takes. So whatever has a rate of its own is
    read meanwhile, in other threads: the regions beside each other, and beside the lists of
    SageMaker its descriptions and the evidence of other services.
    """

    def __init__(
        self, aws: Callable[[str], Aws], scope: Scope, now: Callable[[], datetime]
    ) -> None:
        self._aws = aws
        self.scope = scope
        self._now = now

    def read(self, beside: Callable[[], None] | None = None) -> Facts:
        """Read everything, and do ``beside`` in another thread. Never raises for a source that
        fails."""
        began_at = self._now()
        regions = [self._aws(region) for region in self.scope.regions]
        drafts = [_Draft() for _ in regions]
        works = [
            work
            for aws, draft in zip(regions, drafts)
            for work in (
                partial(self._read_lists, aws, draft),
                partial(self._read_evidence, aws, draft, began_at),
            )
        ]
        if beside is not None:
            works.append(partial(_after_first_list, drafts[0], beside))
        _run_beside_each_other(works, regions)
        found = _merged(drafts)
        return Facts(
            at=self._now(),
            began_at=began_at,
            regions=self.scope.regions,
            report_interval=self.scope.report_interval,
            asked=self.scope.sources,
            **found,
        )

    def _read_lists(self, aws: Aws, draft: _Draft) -> None:
        # Apps before their owners: an owner made meanwhile is then known, and its app no orphan.
        # The instances are listed early, for their descriptions to be read beside the other lists.
        steps: tuple[tuple[str, _Step, _Step | None], ...] = (
            (f.DOMAINS, self._read_domains, self._describe_domains),
            (f.INSTANCES, partial(_read_items, INSTANCES), self._describe_instances),
            (f.APPS, self._read_apps, None),
            (f.CANVAS_METRIC, self._read_canvas, None),
            (f.PROFILES, self._read_profiles, None),
            (f.SPACES, self._read_spaces, None),
            (f.TRACKING_SERVERS, partial(_read_items, TRACKING_SERVERS), None),
            (f.PROFILE_SETTINGS, self._read_profile_settings, None),
        )
        with ThreadPoolExecutor(1) as beside:
            running = []
            for source, step, describe in steps:
                if source not in self.scope.sources:
                    continue
                attempt(source, aws, draft.unread, partial(step, aws, draft))
                draft.first_list_is_read.set()
                if describe is not None:
                    work = partial(describe, aws, draft)
                    running.append(beside.submit(attempt, source, aws, draft.unread, work))
            draft.first_list_is_read.set()
            draft.lists_are_read.set()
            for future in running:
                future.result()

    def _read_evidence(self, aws: Aws, draft: _Draft, now: datetime) -> None:
        def enough() -> bool:
            return self.scope.in_time_of_lists and draft.lists_are_read.is_set()

        work = partial(evidence.read, aws, self.scope, now, draft.evidence, draft.unread, enough)
        _after_first_list(draft, work)

    def _read_canvas(self, aws: Aws, draft: _Draft) -> None:
        apps = [item for item in draft.items.values() if item.type == f.CANVAS]
        now = self._now()
        draft.evidence.canvas = evidence.read_canvas(aws, apps, now - self.scope.points_within, now)

    # -- lists -------------------------------------------------------------------------------

    def _by_domain(self, aws: Aws, method: str, member: str) -> Iterator[Mapping[str, Any]]:
        filters: list[dict[str, str]] = [{"DomainIdEquals": d} for d in sorted(self.scope.domains)]
        for chosen in filters or [{}]:
            for entry in aws.pages("sagemaker", method, member, MaxResults=PAGE_SIZE, **chosen):
                if isinstance(entry, Mapping) and entry.get("DomainId"):
                    yield entry

    def _read_domains(self, aws: Aws, draft: _Draft) -> None:
        for entry in aws.pages("sagemaker", "list_domains", "Domains", MaxResults=PAGE_SIZE):
            domain_id = str(entry.get("DomainId"))
            if self.scope.domains and domain_id not in self.scope.domains:
                continue
            domain = Domain(
                aws.region, domain_id, str(entry.get("DomainName", "")), str(entry.get("Status"))
            )
            draft.domains[domain.key] = domain

    def _describe_domains(self, aws: Aws, draft: _Draft) -> None:
        for key, domain in list(draft.domains.items()):
            settings = aws.call("sagemaker", "describe_domain", DomainId=domain.id)
            draft.domains[key] = replace(domain, settings=settings)

    def _read_apps(self, aws: Aws, draft: _Draft) -> None:
        for entry in self._by_domain(aws, "list_apps", "Apps"):
            item = app_of(aws.region, entry)
            if item is not None:
                draft.items[item.key] = living(draft.items.get(item.key), item)

    def _read_profiles(self, aws: Aws, draft: _Draft) -> None:
        for entry in self._by_domain(aws, "list_user_profiles", "UserProfiles"):
            profile = profile_of(aws.region, entry)
            draft.profiles[profile.key] = profile

    def _read_spaces(self, aws: Aws, draft: _Draft) -> None:
        for entry in self._by_domain(aws, "list_spaces", "Spaces"):
            space = space_of(aws.region, entry)
            draft.spaces[space.key] = space
            item = Item(
                f.SPACE,
                aws.region,
                "SpaceStorage",
                space.name,
                space.status,
                domain_id=space.domain_id,
                owner_kind=f.SPACE,
                owner=space.name,
                created_at=space.created_at,
                storage_gb=space.storage_gb,
            )
            draft.items[item.key] = item

    def _describe_instances(self, aws: Aws, draft: _Draft) -> None:
        found = [i for i in list(draft.items.values()) if i.kind == f.NOTEBOOK_INSTANCE]
        for item in found[: self.scope.describe_most]:
            description = aws.call(
                "sagemaker", "describe_notebook_instance", NotebookInstanceName=item.name
            )
            draft.items[item.key] = replace(
                item,
                storage_gb=description.get("VolumeSizeInGB"),
                platform=description.get("PlatformIdentifier"),
            )

    def _read_profile_settings(self, aws: Aws, draft: _Draft) -> None:
        """One description for each user profile; only ``domain check`` needs them."""
        profiles = list(draft.profiles.values())
        if len(profiles) > self.scope.describe_most:
            raise CallError(
                "TooMany",
                f"{len(profiles)} user profiles were not described one by one.",
                f"--describe {len(profiles)} does it; it takes {len(profiles) // 5 // 60 + 1} min.",
            )
        for profile in profiles:
            answer = aws.call(
                "sagemaker",
                "describe_user_profile",
                DomainId=profile.domain_id,
                UserProfileName=profile.name,
            )
            settings = answer.get("UserSettings") or {}
            draft.profiles[profile.key] = replace(profile, settings=settings)

    # -- second looks ------------------------------------------------------------------------

    def look_again(self, item: Item) -> Item | None:
        """The app as it is at this moment; None when it is gone. Raises CallError."""
        try:
            answer = self._aws(item.region).call("sagemaker", "describe_app", **app_request(item))
        except CallError as error:
            if is_missing(error):
                return None
            raise
        return app_of(item.region, {**answer, **owner_request(item), "DomainId": item.domain_id})

    def owner_exists(self, item: Item) -> bool:
        """Whether the user profile or space of an app exists. Raises CallError."""
        method = "describe_space" if item.owner_kind == f.SPACE else "describe_user_profile"
        request = {"DomainId": item.domain_id, **owner_request(item)}
        try:
            self._aws(item.region).call("sagemaker", method, **request)
        except CallError as error:
            if is_missing(error):
                return False
            raise
        return True


def _read_items(of: ItemList, aws: Aws, draft: _Draft) -> None:
    for entry in aws.pages("sagemaker", of.method, of.member, MaxResults=PAGE_SIZE):
        item = Item(
            of.kind,
            aws.region,
            of.type,
            str(entry.get(f"{of.prefix}Name")),
            str(entry.get(f"{of.prefix}Status")),
            instance_type=entry.get("InstanceType"),
            created_at=utc(entry.get("CreationTime")),
            changed_at=utc(entry.get("LastModifiedTime")),
        )
        draft.items[item.key] = item


def _after_first_list(draft: _Draft, work: Callable[[], None]) -> None:
    """boto3 takes a quarter of a second to load the description of a service. Load the one of the
    lists first and alone, because their time decides how long the whole reading takes."""
    draft.first_list_is_read.wait(FIRST_LIST_SECONDS)
    work()


#: Threads that read at most. Each region has two.
MOST_THREADS = 16


def _run_beside_each_other(works: Sequence[Callable[[], None]], regions: Sequence[Aws]) -> None:
    """Do all ``works``, each in a thread. Where one raises, or the user interrupts, all end."""
    with ThreadPoolExecutor(min(MOST_THREADS, len(works))) as pool:
        running = [pool.submit(work) for work in works]
        try:
            for future in as_completed(running):
                future.result()
        except BaseException:
            for aws in regions:
                aws.pace.stop()
            raise


def _merged(drafts: Sequence[_Draft]) -> dict[str, Any]:
    """The members of ``Facts``, of all regions."""
    evidences = [draft.evidence for draft in drafts]
    return {
        "domains": _union(draft.domains for draft in drafts),
        "profiles": _union(draft.profiles for draft in drafts),
        "spaces": _union(draft.spaces for draft in drafts),
        "items": tuple(item for draft in drafts for item in draft.items.values()),
        "unread": tuple(unread for draft in drafts for unread in draft.unread),
        "reports": tuple(report for e in evidences for report in e.reports),
        "canvas": _union(e.canvas for e in evidences),
        "tags": _union(e.tags for e in evidences),
        "creations": _union(e.creations for e in evidences),
        "creations_since": _union(e.creations_since for e in evidences),
    }


def _union(parts: Iterable[Mapping[Any, Any]]) -> dict[Any, Any]:
    return {key: value for part in parts for key, value in part.items()}


def attempt(source: str, aws: Aws, unread: list[Unread], work: Callable[[], None]) -> None:
    """Do ``work``; a failure is named in ``unread``."""
    try:
        work()
    except CallError as error:
        unread.append(Unread(source, aws.region, error.code, error.message, error.remedy))
    except OutOfTimeError:
        message = f"The time of the run was over before {source} were read."
        unread.append(Unread(source, aws.region, "OutOfTime", message, "Give it more time."))


def regions_of(session: Any, chosen: Iterable[str], all_regions: bool) -> tuple[str, ...]:
    """The regions to read: those given, all that botocore knows, or the session's own."""
    if all_regions:
        return tuple(sorted(session.get_available_regions("sagemaker")))
    found = tuple(dict.fromkeys(chosen)) or ((session.region_name,) if session.region_name else ())
    if not found:
        raise CallError("NoRegion", "No region is given.", "Give --region, or set AWS_REGION.")
    return found
