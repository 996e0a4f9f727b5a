"""Nothing in use is deleted: random histories of apps, run by run, against what really happened.

The truth is a story in minutes: when the app lived, when it was used, when its server reported. A
run sees of it what AWS would show: points of a metric with gaps, CreationTimes that survive a new
creation, CloudTrail events that come late, sources that cannot be read. The oracle knows the story.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from operator import add
from typing import Any

from account import DOMAIN, REGION, account, all_on
from hypothesis import event, example, given
from hypothesis import strategies as st

from auto_shutdown.domain import facts as f
from auto_shutdown.domain.actions import CLOUDTRAIL_DELAY, Step, plan, still_valid
from auto_shutdown.domain.facts import Facts, Unread
from auto_shutdown.domain.memory import Memory, Notice
from auto_shutdown.domain.observations import Point, ServerReport
from auto_shutdown.domain.policy import DomainPolicy
from auto_shutdown.domain.resources import (
    APP,
    IN_SERVICE,
    SPACE,
    USER_PROFILE,
    Item,
    Profile,
    Space,
)

START = datetime(2026, 11, 2, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)

#: Minutes.
LIMIT, NOTICE, POINT_AGE, AGE = 120, 60, 10, 24 * 60
BLIND = int(CLOUDTRAIL_DELAY / MINUTE)

RULES = all_on(
    notice_minutes=NOTICE,
    canvas={"delete": True, "idle_minutes": LIMIT, "point_age_minutes": POINT_AGE},
    rstudio_sessions={"delete": True, "age_hours": 24},
    tensorboard={"delete": True, "age_hours": 24},
    without_extension={"delete": True, "age_hours": 24},
    orphans={"delete": True, "age_hours": 24},
    exceptions={"owners": ["kept"], "tags": {"auto-shutdown": "keep"}},
)


def at(minute: int) -> datetime:
    return START + minute * MINUTE


@dataclass(frozen=True)
class Story:
    """``lives`` are (start, end) in minutes; ``old_stamp``: AWS keeps the first CreationTime.
    ``used`` are minutes of activity, ``gaps`` (from, to) without points, ``lines`` minutes of
    report lines, ``owned`` (from, to) in which the owner exists."""

    type: str
    owner: str
    lives: tuple[tuple[int, int], ...]
    old_stamp: bool
    used: tuple[int, ...]
    gaps: tuple[tuple[int, int], ...]
    lines: tuple[int, ...]
    owned: tuple[int, int]
    trail_delay: int
    tagged_at: int | None

    def life_at(self, minute: int) -> tuple[int, int] | None:
        return next(((a, b) for a, b in self.lives if a <= minute < b), None)

    def last_used(self, minute: int) -> int:
        life = self.life_at(minute)
        assert life is not None
        return max([life[0], *(u for u in self.used if life[0] <= u <= minute)])

    def stamp(self, life: tuple[int, int]) -> int:
        """CreationTime: that of the earlier life, if it ended less than 24 hours before."""
        if not self.old_stamp:
            return life[0]
        index = self.lives.index(life)
        while index and self.lives[index][0] - self.lives[index - 1][1] < AGE:
            index -= 1
        return self.lives[index][0]

    def item(self, minute: int) -> Item | None:
        """The app as it is listed; Pending for its first minutes is left out."""
        life = self.life_at(minute)
        if life is None:
            return None
        kind = SPACE if self.type == "JupyterLab" else USER_PROFILE
        return Item(
            APP,
            REGION,
            self.type,
            "default",
            IN_SERVICE,
            domain_id=DOMAIN,
            owner_kind=kind,
            owner=self.owner if kind == USER_PROFILE else "lab",
            instance_type="ml.t3.medium",
            created_at=at(self.stamp(life)),
        )

    def points(self, minute: int) -> tuple[Point, ...]:
        return tuple(
            Point(at(m), (m + 1 - self.last_used(m)) * MINUTE)
            for m in range(minute - 60, minute)
            if self.life_at(m) and not any(a <= m < b for a, b in self.gaps)
        )

    def facts(self, minute: int, unread: str) -> Facts:
        item = self.item(minute)
        owner = Profile(REGION, DOMAIN, self.owner)
        # The same name in another domain is somebody else.
        other = Profile(REGION, "d-two", self.owner)
        profiles = {other.key: other}
        if self.owned[0] <= minute < self.owned[1]:
            profiles[owner.key] = owner
        space = Space(REGION, DOMAIN, "Lab", owner=self.owner)
        # Lines of somebody else arrive from this domain, and this server's in any spelling.
        reports = [ServerReport(REGION, DOMAIN, "other", "JupyterLab", "default", at(minute - 1))]
        seen = [m for m in self.lines if minute - AGE <= m <= minute]
        if seen:
            own = ServerReport(REGION, DOMAIN, "LAB", "JupyterLab", "default", at(max(seen)))
            reports.append(own)
        created = [a for a, _ in self.lives if a + self.trail_delay <= minute]
        tags: dict[str, Any] = {}
        if self.tagged_at is not None and self.tagged_at <= minute:
            tags = {f"user-profile/{DOMAIN}/{self.owner}".lower(): {"auto-shutdown": "keep"}}
        failed = Unread(unread, REGION, "AccessDenied", "No.", "Allow it.")
        points = self.points(minute) if item is not None and self.type == "Canvas" else ()
        keys = {} if item is None else {item.key: points}
        return replace(
            account(*([] if item is None else [item])),
            at=at(minute),
            profiles=profiles,
            spaces={} if unread == f.SPACES else {space.key: space},
            canvas=keys if points and unread != f.CANVAS_METRIC else {},
            creations={item.key: at(max(created))} if item is not None and created else {},
            creations_since={} if unread == f.CREATIONS else {REGION: at(minute - 30 * 60)},
            reports=() if unread == f.REPORTS else tuple(reports),
            tags=tags,
            unread=(failed,) if unread else (),
        )


#: Most things happen soon before or after the first runs: a rule that is wrong shows only there.
NEAR_A_RUN = st.builds(
    add, st.sampled_from([190, 20 * 60, 26 * 60, 40 * 60]), st.integers(-70, 130)
)


@st.composite
def stories(draw: Any) -> Story:
    lives, end = [], 0
    for _ in range(draw(st.integers(1, 3))):
        start = end + draw(st.sampled_from([5, 6, 20, 300, 30 * 60]))
        lasts = draw(st.sampled_from([30, 300, 30 * 60, 60 * 60, 60 * 60]))
        end = max(start + 30, draw(st.one_of(NEAR_A_RUN, st.just(start + lasts))))
        lives.append((start, end))
    minutes = st.one_of(NEAR_A_RUN, NEAR_A_RUN, st.integers(0, end))
    spans = st.tuples(minutes, st.integers(1, 400)).map(lambda x: (x[0], x[0] + x[1]))
    kinds = ["Canvas", "Canvas", "RSessionGateway", "TensorBoard", "JupyterLab"]
    return Story(
        type=draw(st.sampled_from(kinds)),
        owner=draw(st.sampled_from(["ada", "ada", "Kept"])),
        lives=tuple(lives),
        old_stamp=draw(st.booleans()),
        used=tuple(draw(st.lists(minutes, max_size=6))),
        gaps=tuple(draw(st.lists(spans, max_size=2))),
        lines=tuple(draw(st.lists(minutes, max_size=2))),
        owned=(0, draw(st.one_of(st.just(10**6), st.just(10**6), minutes))),
        trail_delay=draw(st.sampled_from([0, 5, 15])),
        tagged_at=draw(st.one_of(st.none(), st.none(), minutes)),
    )


SOURCES = [f.APPS, f.CANVAS_METRIC, f.CREATIONS, f.TAGS, f.SPACES, f.REPORTS]
UNREAD = [""] * 12 + SOURCES

#: The first run comes late enough for something to be old; then one about every quarter.
RUNS = st.tuples(
    st.sampled_from([10, 190, 20 * 60, 26 * 60, 40 * 60]),
    st.lists(
        st.tuples(st.sampled_from([5, 15, 15, 15, 31, 60]), st.sampled_from(UNREAD)),
        min_size=20,
        max_size=50,
    ),
).map(lambda drawn: [(drawn[0], ""), *drawn[1]])


def judge(story: Story, rule: str, minute: int, notice: Notice, unread: str) -> None:
    """Raise for a deletion that the story does not allow."""
    life = story.life_at(minute)
    assert life is not None
    given_at = round((notice.given_at - START) / MINUTE)
    assert minute - given_at >= NOTICE
    assert story.owner != "Kept"
    assert story.tagged_at is None or story.tagged_at > minute
    assert unread not in (f.APPS, f.CREATIONS, f.TAGS)
    blind = story.old_stamp and minute - life[0] <= BLIND
    if not blind:
        assert life[0] <= given_at, "the notice was given for an earlier app"
    if rule == "canvas":
        assert unread != f.CANVAS_METRIC
        known_to = minute - POINT_AGE
        assert blind or known_to - story.last_used(max(known_to, life[0])) >= LIMIT - POINT_AGE - 1
        used = [u for u in story.used if given_at < u <= known_to and life[0] <= u]
        assert not used, "it was used after the notice"
        return
    if not blind:
        assert minute - life[0] >= AGE
    if rule == "without_extension":
        assert unread not in (f.REPORTS, f.SPACES)
        assert not [m for m in story.lines if minute - AGE <= m <= minute]
    if rule == "orphans":
        assert not story.owned[0] <= minute < story.owned[1]


def live(story: Story, runs: list[tuple[int, str]], rules: DomainPolicy) -> int:
    """Run after run; how many deletions there were."""
    memory, minute, deleted = Memory(), 0, 0
    for gap, unread in runs:
        minute += gap
        if deleted:
            break
        facts = story.facts(minute, unread)
        memory = still_valid(memory, facts, rules)
        found = plan(facts, rules, memory)
        for decision in found.of_step(Step.DELETE):
            notice = memory.notices[decision.item.key]
            judge(story, decision.rule, minute, notice, unread)
            deleted += 1
        notices = {
            d.item.key: Notice(d.rule, facts.at, d.item.created_at)
            for d in found.of_step(Step.NOTICE)
        }
        memory = memory.with_notices(notices)
    return deleted


IDLE = Story("Canvas", "ada", ((5, 9000),), False, (), (), (), (0, 10**6), 0, None)
EVERY_QUARTER = [(15, "")] * 40


@given(stories(), RUNS)
@example(IDLE, EVERY_QUARTER)
@example(replace(IDLE, lives=((5, 200), (205, 9000)), old_stamp=True), EVERY_QUARTER)
@example(replace(IDLE, used=(150,)), EVERY_QUARTER)
def test_app_in_use_is_never_deleted(story: Story, runs: list[tuple[int, str]]) -> None:
    deleted = live(story, runs, RULES)
    event(f"{deleted} deletions of {story.type}")


def test_each_rule_deletes_in_a_story_in_which_it_should() -> None:
    """Each rule does delete in a story in which it should."""
    old, day = ((5, 90_000),), [(60, "")] * 60
    for kind, more in (
        ("Canvas", {}),
        ("RSessionGateway", {}),
        ("TensorBoard", {}),
        ("JupyterLab", {}),
        ("TensorBoard", {"owned": (0, 1)}),
    ):
        assert live(replace(IDLE, type=kind, lives=old, **more), day, RULES) == 1, kind


@given(stories(), RUNS)
def test_a_dry_policy_deletes_nothing(story: Story, runs: list[tuple[int, str]]) -> None:
    off = replace(RULES, **{n: replace(r, delete=False) for n, r in RULES.rules.items()})
    assert live(story, runs, off) == 0


@given(stories(), RUNS, st.integers(0, 59))
def test_lost_memory_only_delays_deletions(
    story: Story, runs: list[tuple[int, str]], lost_at: int
) -> None:
    """A run without the notices of the earlier ones deletes nothing."""
    minute = sum(gap for gap, _ in runs[: lost_at % len(runs) + 1])
    assert plan(story.facts(minute, ""), RULES, Memory()).of_step(Step.DELETE) == ()
