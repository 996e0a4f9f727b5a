"""Reads the facts of all regions: SageMaker's own lists (:mod:`.read_lists`) and, at the same time,
what other AWS services know (:mod:`.read_observations`).

Each source is read separately. If a source fails, ``Facts.unread`` names it with a remedy. Then the
part that was read is kept and shown, but the source never counts as complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime
from functools import partial
from typing import Any

from . import facts as f
from . import read_observations
from .entries import app_of, app_request, is_missing, owner_request
from .errors import CallError
from .facts import Facts
from .pace import Aws
from .read_lists import INSTANCES, TRACKING_SERVERS, Draft, ListReader
from .resources import CANVAS, SPACE, Item
from .scope import Scope, attempt

#: Seconds for which the reading of other services waits for SageMaker's first list at most.
FIRST_LIST_SECONDS = 5.0


class Reader:
    """``aws`` returns the API of a region, ``now`` the time in aware UTC.

    How long a reading takes depends on the rate at which SageMaker permits its List calls. All
    calls with a rate of their own run in other threads at the same time: those of other regions,
    SageMaker's Describe calls, and those of other services.
    """

    def __init__(
        self, aws: Callable[[str], Aws], scope: Scope, now: Callable[[], datetime]
    ) -> None:
        self._aws = aws
        self.scope = scope
        self._now = now

    def read(self, beside: Callable[[], None] | None = None) -> Facts:
        """Read everything, and run ``beside`` in another thread at the same time. A source that
        fails raises nothing; ``Facts.unread`` names it."""
        began_at = self._now()
        regions = [self._aws(region) for region in self.scope.regions]
        drafts = [Draft() for _ in regions]
        works = [
            work
            for aws, draft in zip(regions, drafts)
            for work in (
                partial(self._read_lists, aws, draft),
                partial(self._read_observations, aws, draft, began_at),
            )
        ]
        if beside is not None:
            works.append(partial(_after_first_list, drafts[0], beside))
        _run_beside_each_other(works, regions)
        return Facts(
            at=self._now(),
            began_at=began_at,
            regions=self.scope.regions,
            report_interval=self.scope.report_interval,
            asked=self.scope.sources,
            **_merged(drafts),
        )

    def _read_lists(self, aws: Aws, draft: Draft) -> None:
        lists = ListReader(aws, self.scope, draft)
        # The apps are listed before the user profiles and spaces, so that the owner of each listed
        # app exists when the owners are listed. In the other order, an app whose owner was created
        # in between would look like an app without an owner. Notebook instances are listed early,
        # so that their Describe calls run during the other lists.
        steps: tuple[tuple[str, Callable[[], None], Callable[[], None] | None], ...] = (
            (f.DOMAINS, lists.read_domains, lists.describe_domains),
            (f.INSTANCES, partial(lists.read_items, INSTANCES), lists.describe_instances),
            (f.APPS, lists.read_apps, None),
            (f.CANVAS_METRIC, partial(self._read_canvas, aws, draft), None),
            (f.PROFILES, lists.read_profiles, None),
            (f.SPACES, lists.read_spaces, None),
            (f.TRACKING_SERVERS, partial(lists.read_items, TRACKING_SERVERS), None),
            (f.PROFILE_SETTINGS, lists.read_profile_settings, None),
        )
        with ThreadPoolExecutor(1) as beside:
            running = []
            for source, step, describe in steps:
                if source not in self.scope.sources:
                    continue
                attempt(source, aws, draft.unread, step)
                draft.first_list_is_read.set()
                if describe is not None:
                    running.append(beside.submit(attempt, source, aws, draft.unread, describe))
            draft.first_list_is_read.set()
            draft.lists_are_read.set()
            for future in running:
                future.result()

    def _read_observations(self, aws: Aws, draft: Draft, now: datetime) -> None:
        def enough() -> bool:
            return self.scope.in_time_of_lists and draft.lists_are_read.is_set()

        def work() -> None:
            observations = draft.observations
            read_observations.read(aws, self.scope, now, observations, draft.unread, enough)

        _after_first_list(draft, work)

    def _read_canvas(self, aws: Aws, draft: Draft) -> None:
        apps = [item for item in draft.items.values() if item.type == CANVAS]
        now = self._now()
        since = now - self.scope.points_within
        draft.observations.canvas = read_observations.read_canvas(aws, apps, since, now)

    # -- second looks ------------------------------------------------------------------------

    def look_again(self, item: Item) -> Item | None:
        """The current state of the app; None if it is gone. Raises CallError."""
        try:
            answer = self._aws(item.region).call("sagemaker", "describe_app", **app_request(item))
        except CallError as error:
            if is_missing(error):
                return None
            raise
        return app_of(item.region, {**answer, **owner_request(item), "DomainId": item.domain_id})

    def owner_exists(self, item: Item) -> bool:
        """Whether the user profile or space of an app exists. Raises CallError."""
        method = "describe_space" if item.owner_kind == SPACE else "describe_user_profile"
        request = {"DomainId": item.domain_id, **owner_request(item)}
        try:
            self._aws(item.region).call("sagemaker", method, **request)
        except CallError as error:
            if is_missing(error):
                return False
            raise
        return True


def _after_first_list(draft: Draft, work: Callable[[], None]) -> None:
    """Do ``work`` after the first list was read.

    boto3 needs a quarter of a second to load the model of a service. SageMaker's model is loaded
    first and alone, because the whole reading takes as long as SageMaker's lists.
    """
    draft.first_list_is_read.wait(FIRST_LIST_SECONDS)
    work()


#: The number of threads that read, at most. Each region needs two.
MOST_THREADS = 16


def _run_beside_each_other(works: Sequence[Callable[[], None]], regions: Sequence[Aws]) -> None:
    """Do all ``works``, each in a thread. If one raises, or if the user interrupts, all end."""
    with ThreadPoolExecutor(min(MOST_THREADS, len(works))) as pool:
        running = [pool.submit(work) for work in works]
        try:
            for future in as_completed(running):
                future.result()
        except BaseException:
            for aws in regions:
                aws.pace.stop()
            raise


def _merged(drafts: Sequence[Draft]) -> dict[str, Any]:
    """The members of ``Facts`` for all regions together."""
    observations = [draft.observations for draft in drafts]
    return {
        "domains": _union(draft.domains for draft in drafts),
        "profiles": _union(draft.profiles for draft in drafts),
        "spaces": _union(draft.spaces for draft in drafts),
        "items": tuple(item for draft in drafts for item in draft.items.values()),
        "unread": tuple(unread for draft in drafts for unread in draft.unread),
        "reports": tuple(report for o in observations for report in o.reports),
        "canvas": _union(o.canvas for o in observations),
        "tags": _union(o.tags for o in observations),
        "creations": _union(o.creations for o in observations),
        "creations_since": _union(o.creations_since for o in observations),
    }


def _union(parts: Iterable[Mapping[Any, Any]]) -> dict[Any, Any]:
    return {key: value for part in parts for key, value in part.items()}
