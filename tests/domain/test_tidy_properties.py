"""Nothing in use is deleted by whole runs of ``tidy`` over random domains: several apps, and a
clock that goes on with every call, so that things happen between the plan and the deletion.

The stories and their judge are those of test_domain_properties. AWS is played by ``World``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from account import DOMAIN, REGION
from hypothesis import event, given
from hypothesis import strategies as st
from test_domain_properties import IDLE, MINUTE, RULES, START, Story, at, judge, stories

from auto_shutdown.core.outcome import Result
from auto_shutdown.domain.actions import TidyDecision
from auto_shutdown.domain.errors import CallError
from auto_shutdown.domain.facts import Facts
from auto_shutdown.domain.memory import Memory, Notice
from auto_shutdown.domain.pace import Pace
from auto_shutdown.domain.policy import DomainPolicy
from auto_shutdown.domain.reader import Reader
from auto_shutdown.domain.resources import SPACE, Domain, Item, ItemKey
from auto_shutdown.domain.scope import Scope
from auto_shutdown.domain.tidy import Run, Tidy

ARN = f"arn:aws:sagemaker:{REGION}:1:domain/{DOMAIN}"
Answer = dict[str, Any]


class World:
    """An account with one app for each story, of which each has another person. ``ticks``: how
    many minutes each call takes, in turn. It is reader, API, store and audit log."""

    region = REGION

    def __init__(self, drawn: Sequence[Story], ticks: Sequence[float]) -> None:
        self.stories = {self._name(n, story): story for n, story in enumerate(drawn)}
        self.minute = 0.0
        self._ticks, self._calls = ticks, 0
        self.memory, self.version = Memory(), 0
        self.notices: dict[ItemKey, Notice] = {}
        self.pace = Pace(monotonic=lambda: 0.0, sleep=lambda seconds: None)
        self.send = self.call
        self.entries: list[Answer] = []
        self.deleted: dict[str, int] = {}
        self.scope = Scope((REGION,))
        self._looks = Reader(lambda region: self, self.scope, self.now)  # type: ignore[arg-type,return-value]

    @staticmethod
    def _name(number: int, story: Story) -> str:
        return "Kept" if story.owner == "Kept" else f"user-{number}"

    def now(self) -> datetime:
        return START + timedelta(minutes=self.minute)

    # -- the reader ------------------------------------------------------------------------------

    def read(self) -> Facts:
        began = int(self.minute)
        parts = [self._facts(name, story, began) for name, story in self.stories.items()]
        domain = Domain(REGION, DOMAIN, "one", "InService", {"DomainArn": ARN})
        whole = replace(
            parts[0],
            began_at=at(began),
            domains={domain.key: domain},
            items=tuple(i for part in parts for i in part.items if self._is_alive(i)),
            **{
                name: {k: v for part in parts for k, v in getattr(part, name).items()}
                for name in ("profiles", "spaces", "canvas", "creations", "tags")
            },
            reports=tuple(r for part in parts for r in part.reports),
        )
        self._tick()
        return replace(whole, at=self.now())

    def _facts(self, name: str, story: Story, minute: int) -> Facts:
        """The facts of one story, whose app, space and tags have this person's names."""
        found = replace(story, owner=name).facts(minute, "")
        space = f"Lab-{name}"
        spaces = {
            key._replace(name=space.lower()): replace(s, name=space)
            for key, s in found.spaces.items()
        }
        items = tuple(self._item(name, item) for item in found.items)
        renamed = {old.key: new.key for old, new in zip(found.items, items)}
        return replace(
            found,
            items=items,
            spaces=spaces,
            canvas={renamed[key]: points for key, points in found.canvas.items()},
            creations={renamed[key]: when for key, when in found.creations.items()},
            reports=tuple(
                replace(r, owner=f"LAB-{name}" if r.owner == "LAB" else r.owner)
                for r in found.reports
            ),
        )

    @staticmethod
    def _item(name: str, item: Item) -> Item:
        return replace(item, owner=f"lab-{name}") if item.owner_kind == SPACE else item

    def _is_alive(self, item: Item) -> bool:
        return self._person(item.owner) not in self.deleted

    @staticmethod
    def _person(owner: str) -> str:
        return owner.lower().removeprefix("lab-").replace("kept", "Kept")

    def look_again(self, item: Item) -> Item | None:
        return self._looks.look_again(item)

    def owner_exists(self, item: Item) -> bool:
        return self._looks.owner_exists(item)

    # -- the API ---------------------------------------------------------------------------------

    def _tick(self) -> None:
        self.minute += self._ticks[self._calls % len(self._ticks)]
        self._calls += 1

    def call(self, service: str, method: str, **request: Any) -> Answer:
        self._tick()
        answer: Answer = getattr(self, f"_{method}")(request)
        return answer

    def pages(self, service: str, method: str, member: str, **request: Any) -> Iterator[Any]:
        yield from self.call(service, method, **request)[member]

    def answers(self, service: str, method: str, **request: Any) -> Iterator[Answer]:
        yield self.call(service, method, **request)

    def _story(self, request: Answer) -> tuple[str, Story]:
        owner = request.get("UserProfileName") or request["SpaceName"]
        name = self._person(owner)
        return name, self.stories[name]

    def _describe_app(self, request: Answer) -> Answer:
        name, story = self._story(request)
        item = replace(story, owner=name).item(int(self.minute))
        if item is None or name in self.deleted:
            raise CallError("ResourceNotFound", "Gone.", "")
        return {**request, "Status": "InService", "CreationTime": item.created_at}

    def _describe_user_profile(self, request: Answer) -> Answer:
        _, story = self._story(request)
        if not story.owned[0] <= self.minute < story.owned[1]:
            raise CallError("ResourceNotFound", "Gone.", "")
        return {}

    def _lookup_events(self, request: Answer) -> Answer:
        events = []
        for name, story in self.stories.items():
            of_space = story.type == "JupyterLab"
            owner = {"spaceName": f"lab-{name}"} if of_space else {"userProfileName": name}
            names = {"domainId": DOMAIN, "appType": story.type, "appName": "default", **owner}
            source = {"eventSource": "sagemaker.amazonaws.com", "requestParameters": names}
            for start, _ in story.lives:
                if start + story.trail_delay <= self.minute and at(start) >= request["StartTime"]:
                    events.append({"EventTime": at(start), "CloudTrailEvent": json.dumps(source)})
        return {"Events": events}

    def _get_metric_data(self, request: Answer) -> Answer:
        (query,) = request["MetricDataQueries"]
        dimensions = query["MetricStat"]["Metric"]["Dimensions"]
        (name,) = [d["Value"] for d in dimensions if d["Name"] == "UserProfileName"]
        points = self.stories[self._person(name)].points(int(self.minute))
        times, values = [p.at for p in points], [p.idle.total_seconds() for p in points]
        return {"MetricDataResults": [{"Id": query["Id"], "Timestamps": times, "Values": values}]}

    def _filter_log_events(self, request: Answer) -> Answer:
        owner = request["logStreamNamePrefix"].split("/")[1]
        story = self.stories[self._person(owner)]
        first, last = request["startTime"] / 1000, request["endTime"] / 1000
        lines = [m for m in story.lines if first <= at(m).timestamp() <= last and m <= self.minute]
        stream = f"{DOMAIN}/{owner}/JupyterLab/default"
        return {
            "events": [
                {
                    "logStreamName": stream,
                    "message": json.dumps(
                        {"auto_shutdown_report": 1, "at": at(m).isoformat()}, separators=(",", ":")
                    ),
                }
                for m in lines
            ]
        }

    def _get_resources(self, request: Answer) -> Answer:
        (key,) = [each["Key"] for each in request["TagFilters"]]
        tagged = [
            name
            for name, story in self.stories.items()
            if story.tagged_at is not None and story.tagged_at <= self.minute
        ]
        prefix = f"arn:aws:sagemaker:{REGION}:1:user-profile/{DOMAIN}"
        tags = [{"Key": key, "Value": "keep"}]
        return {
            "ResourceTagMappingList": [
                {"ResourceARN": f"{prefix}/{name}", "Tags": tags} for name in tagged
            ]
        }

    def _list_tags(self, request: Answer) -> Answer:
        assert request == {"ResourceArn": ARN}
        return {"Tags": []}

    def _delete_app(self, request: Answer) -> Answer:
        """Raise for a deletion that the story does not allow."""
        name, story = self._story(request)
        assert name not in self.deleted, "deleted twice"
        (key,) = [k for k in self.notices if self._person(k.owner) == name]
        assert key not in self.memory.notices, "a crash now could lead to a second deletion"
        notice = self.notices[key]
        begun = self.entries[-1]
        assert (begun["event"], begun["rule"]) == ("delete", notice.rule)
        assert self.now() - notice.given_at >= RULES.notice
        # What happens within the minutes of the last calls cannot be known any more.
        seen = int(self.minute - self._recent())
        if story.life_at(seen) is not None:
            earlier = replace(notice, given_at=notice.given_at - (self.now() - at(seen)))
            judge(replace(story, owner=name), notice.rule, seen, earlier, "")
        self.deleted[name] = int(self.minute)
        return {}

    def _recent(self) -> float:
        """The minutes of the calls of one second look and its deletion: at most eight calls."""
        return sum(self._ticks[(self._calls - n - 1) % len(self._ticks)] for n in range(8))

    # -- store and audit log -----------------------------------------------------------------------

    def load(self) -> tuple[Memory, str]:
        return self.memory, str(self.version)

    def save(self, memory: Memory, version: str) -> str:
        assert version == str(self.version)
        self.memory, self.version = memory, self.version + 1
        self.notices.update(memory.notices)
        return str(self.version)

    def write(self, *entries: Answer) -> None:
        self.entries += entries

    def run(self) -> Run:
        given: Any = self
        notifier = Notifications(self._tick)
        return Tidy(given, RULES, given, given, notifier, lambda region: given, self.now).run(False)


class Notifications:
    """The notifier of a world."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick

    def send(self, decisions: Sequence[TidyDecision], facts: Facts, policy: DomainPolicy) -> None:
        self._tick()


@st.composite
def worlds(draw: Any) -> World:
    drawn = draw(st.lists(stories(), min_size=1, max_size=4))
    kept = [story for story in drawn if story.owner == "Kept"][:1]
    drawn = [story for story in drawn if story.owner != "Kept"] + kept
    return World(drawn, draw(st.lists(st.sampled_from([0.0, 0.1, 0.4]), min_size=1, max_size=7)))


GAPS = st.lists(st.sampled_from([5, 15, 15, 15, 31, 60]), min_size=15, max_size=30)
FIRST = st.sampled_from([10, 190, 20 * 60, 26 * 60, 40 * 60])


@given(worlds(), FIRST, GAPS)
def test_tidy_never_deletes_an_app_in_use(world: World, first: int, gaps: list[int]) -> None:
    for gap in (first, *gaps):
        world.minute = int(world.minute) + gap
        run = world.run()
        removed = [a for a in run.attempts if a.result is Result.REMOVED]
        event(f"{len(removed)} removed, {len(run.attempts) - len(removed)} kept at the last look")


def test_tidy_deletes_idle_apps_of_each_kind() -> None:
    old = ((5, 90_000),)
    drawn = [
        replace(IDLE, type=kind, lives=old)
        for kind in ("Canvas", "RSessionGateway", "TensorBoard", "JupyterLab")
    ]
    world = World([*drawn, replace(IDLE, type="TensorBoard", lives=old, owned=(0, 1))], [0.1])
    for _ in range(60):
        world.minute = int(world.minute) + 60
        world.run()
    assert len(world.deleted) == 5
    outcomes = [e["outcome"] for e in world.entries if e["event"] == "outcome"]
    assert outcomes == ["removed"] * 5
    assert timedelta(minutes=1) == MINUTE
