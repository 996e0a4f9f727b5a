"""Random histories for the property tests: snapshots, answers, requests of users and failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from scene import NOW

from auto_shutdown.core.advance import advance
from auto_shutdown.core.answers import record_answers
from auto_shutdown.core.decision import Plan
from auto_shutdown.core.ledger import Failure, Hold, Ledger, Veto, add_vetoes, give_notice, note
from auto_shutdown.core.model import (
    EVERYTHING,
    Answer,
    App,
    IOPubActivity,
    Kernel,
    Kind,
    Ref,
    Snapshot,
    Terminal,
    Unread,
)
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.core.planner import decide
from auto_shutdown.core.policy import Policy, Rule
from auto_shutdown.core.questions import questions
from auto_shutdown.core.signals import Signal

MINUTE = timedelta(minutes=1)
BEGIN = NOW - 900 * MINUTE
APPS = tuple(f"KernelGateway/app-{n}" for n in range(2))
OWN = "JupyterLab/default"
KERNELS = tuple(Ref(Kind.KERNEL, f"k{n}") for n in range(1, 4))
TERMINALS = (Ref(Kind.TERMINAL, "1"), Ref(Kind.TERMINAL, "arn:x__1__ml.t3.medium"))
REFS = (*KERNELS, *TERMINALS, *(Ref(Kind.APP, a) for a in (*APPS, OWN)))


def minutes(low: int, high: int) -> st.SearchStrategy[timedelta]:
    return st.integers(low, high).map(lambda m: m * MINUTE)


#: Some before everything, some within it, a few of the future.
instants = st.integers(-600, 960).map(lambda m: BEGIN + m * MINUTE)
maybe = st.none() | instants
some_app = st.sampled_from((None, *APPS, OWN))
kernels = st.builds(
    Kernel,
    id=st.sampled_from([ref.id for ref in KERNELS]),
    name=st.sampled_from(("python3", "julia")),
    state=st.sampled_from(
        ("idle",) * 6 + ("busy",) * 3 + ("starting", "restarting", "dead", "unknown", "dreaming")
    ),
    last_activity=maybe,
    connections=st.integers(0, 1),
    app=some_app,
    instance_type=st.sampled_from((None, "ml.g5.xlarge")),
    image=st.sampled_from((None, "arn:aws:sagemaker:us-west-2:1:image/pytorch")),
    unreadable=st.sampled_from((None,) * 8 + ("TraitError",)),
    iopub=st.none() | st.builds(IOPubActivity, maybe, maybe),
    waiting_for=st.sampled_from((None, None, "input", "debugger")),
    shell_silent=st.booleans(),
    own_limit=st.none() | minutes(1, 300),
    heartbeat_at=st.none() | instants,
)
terminals = st.builds(
    Terminal,
    id=st.sampled_from([ref.id for ref in TERMINALS]),
    last_activity=maybe,
    input_at=maybe,
    output_at=maybe,
    running_job=st.sampled_from((None, None, None, "python")),
    heartbeat_at=st.none() | instants,
    environment=st.sampled_from((None, "arn:x")),
    app=some_app,
    unreadable=st.sampled_from((None,) * 8 + ("OSError",)),
)
apps = st.builds(
    App,
    type=st.sampled_from(("KernelGateway",) * 6 + ("JupyterServer", "Odd")),
    name=st.sampled_from(("app-0", "app-1")),
    status=st.sampled_from(("InService",) * 6 + ("Pending", "Deleting", "Odd")),
    instance_type=st.sampled_from((None, "ml.g5.xlarge")),
    created_at=st.sampled_from((None, BEGIN, BEGIN + 100 * MINUTE)),
    stamps=st.dictionaries(st.just(Signal.HEARTBEAT), instants, max_size=1),
)
own_apps = st.builds(
    App,
    type=st.just("JupyterLab"),
    name=st.just("default"),
    status=st.sampled_from(("InService",) * 5 + ("Deleting",)),
    own=st.just(True),
    stamps=st.dictionaries(
        st.sampled_from((Signal.SAVED, Signal.EXTENSION, Signal.ACTIVITY_FILE)), instants
    ),
)
unread = st.sets(st.sampled_from(("kernels", "sessions", "terminals", "apps")), max_size=1).map(
    lambda names: {name: Unread(name, "x", "x", "x") for name in names}
)


def by_ref(items: Any, most: int) -> Any:
    return st.lists(items, max_size=most, unique_by=lambda item: item.ref).map(tuple)


snapshots = st.builds(
    Snapshot,
    by_ref(kernels, 3),
    by_ref(terminals, 2),
    by_ref(apps | own_apps, 3),
    st.just({}) | st.just({}) | unread,
)


@dataclass(frozen=True)
class Look:
    """One pass: the time since the last pass, its snapshot, and the answers and requests that
    arrive."""

    after: timedelta
    snapshot: Snapshot
    working: frozenset[Ref] = frozenset()
    silent: frozenset[Ref] = frozenset()
    said: tuple[tuple[Ref, str], ...] = ()
    vetoes: frozenset[Ref] = frozenset()


some = st.frozensets(st.sampled_from(REFS), max_size=1)
none = st.just(frozenset())
looks = st.builds(
    Look,
    minutes(1, 240),
    snapshots,
    none | none | some,
    none | none | some,
    st.just(())
    | st.tuples(
        st.tuples(st.sampled_from(REFS), st.sampled_from((Signal.PRESENCE, Signal.HEARTBEAT)))
    ),
    none | some,
)
#: Often nothing changes from one look to the next, and only so things grow old.
repeats = st.lists(st.tuples(looks, st.integers(1, 3)), min_size=1, max_size=4)
histories = repeats.map(lambda pairs: [look for look, times in pairs for _ in range(times)])
rules = st.builds(
    Rule,
    minutes(10, 240),
    instance_type=st.sampled_from((None, "ml.g5.*")),
    kernel_name=st.sampled_from(("jul*", "py*")),
)
policies = st.builds(
    Policy,
    enabled=st.sampled_from((True,) * 7 + (False,)),
    idle_timeout=minutes(10, 240),
    kernel_idle_timeout=st.none() | minutes(10, 240),
    terminal_idle_timeout=st.none() | minutes(10, 240),
    app_idle_timeout=st.none() | minutes(10, 240),
    warn=minutes(0, 10),
    keep_terminals=st.sampled_from((False, False, True)),
    protect_connected=st.sampled_from((False, False, True)),
    rules=st.lists(rules, max_size=2).map(tuple),
    grace=minutes(0, 30),
    startup_grace=minutes(1, 30),
    output_only=minutes(0, 480),
    presence_max=minutes(0, 480),
    suspect_after=minutes(10, 480),
    max_busy=st.none() | minutes(10, 480),
    shortest=minutes(0, 10),
)


@dataclass(frozen=True)
class Past:
    """The memory with which the first pass starts."""

    holds: Mapping[Ref, Hold] = field(default_factory=dict)
    failures: Mapping[Ref, Failure] = field(default_factory=dict)
    quiet_for: timedelta = timedelta(0)
    forgotten: frozenset[str] = frozenset()


FAILED = Outcome(Result.TEMPORARY, "It failed.", "ThrottlingException", "Wait.")
pasts = st.builds(
    Past,
    st.dictionaries(st.sampled_from((*REFS, EVERYTHING)), instants.map(Hold), max_size=1),
    st.dictionaries(
        st.sampled_from(REFS), instants.map(lambda at: Failure(1, at, FAILED)), max_size=1
    ),
    minutes(0, 120),
    st.sampled_from((frozenset(), frozenset({"kernels", "terminals"}))),
)


@dataclass(frozen=True)
class Life:
    """The end of a history: the snapshot, the ledger and the plan of the last pass."""

    snapshot: Snapshot
    ledger: Ledger
    plan: Plan
    now: datetime
    policy: Policy

    @property
    def removed(self) -> set[Ref]:
        return {decision.ref for decision in self.plan.removals}


def ledger_of(past: Past, begin: datetime = BEGIN) -> Ledger:
    by = begin - BEGIN
    return Ledger(
        begin + past.quiet_for,
        holds={ref: Hold(hold.until + by) for ref, hold in past.holds.items()},
        failures={ref: replace(f, retry_at=f.retry_at + by) for ref, f in past.failures.items()},
        forgotten=past.forgotten,
    )


def look(ledger: Ledger, seen: Look, policy: Policy, now: datetime) -> tuple[Ledger, Plan]:
    """Run one pass as the controller does, up to the removals."""
    known = [ref for ref, _ in seen.said if seen.snapshot.find(ref) is not None]
    for ref, signal in seen.said:
        ledger = note(ledger, [ref], signal, now) if ref in known else ledger
    ledger = advance(ledger, seen.snapshot, now)
    plan = decide(seen.snapshot, ledger, policy, now)
    for _ in range(2):  # a window needs two answers; here both come at once
        asked = questions(seen.snapshot, plan, ledger, policy, now)
        answers = [
            Answer(ref, True, ref in seen.working, ref not in seen.silent, cores=0.0)
            for ref in asked
        ]
        ledger = record_answers(ledger, answers, now)
        plan = decide(seen.snapshot, ledger, policy, now)
    objections = {
        decision.ref: Veto("hook", "no", now + MINUTE)
        for decision in plan.removals
        if decision.ref in seen.vetoes
    }
    if objections:
        ledger = add_vetoes(ledger, objections)
        plan = decide(seen.snapshot, ledger, policy, now)
    return give_notice(ledger, plan.decisions, now), plan


def live(history: list[Look], policy: Policy, past: Past, begin: datetime = BEGIN) -> Life:
    """Run the passes."""
    now, ledger, plan = begin, ledger_of(past, begin), Plan()
    for seen in history:
        now += seen.after
        ledger, plan = look(ledger, seen, policy, now)
    return Life(history[-1].snapshot, ledger, plan, now, policy)


def onwards(history: list[Look]) -> list[Look]:
    """``history`` without a time stamp that disappears or moves back. Such a change counts as
    activity only if the ledger remembers the earlier stamp."""
    latest: dict[Any, datetime] = {}
    listened: set[Any] = set()

    def kept(value: Any, key: Any) -> Any:
        if isinstance(value, IOPubActivity) or key in listened:
            value = value or IOPubActivity()
            listened.add(key)
            return replace(
                value,
                **{f.name: kept(getattr(value, f.name), (key, f.name)) for f in fields(value)},
            )
        if isinstance(value, datetime) or (value is None and key in latest):
            latest[key] = max(filter(None, (value, latest.get(key))))
            return latest[key]
        return value

    def tenant(thing: Any) -> Any:
        return replace(
            thing,
            **{f.name: kept(getattr(thing, f.name), (thing.ref, f.name)) for f in fields(thing)},
        )

    def app(thing: App) -> App:
        stamps = {name: kept(at, (thing.ref, name)) for name, at in thing.stamps.items()}
        gone = {name: at for (ref, name), at in latest.items() if ref == thing.ref}
        return replace(thing, stamps={**gone, **stamps})

    def whole(snapshot: Snapshot) -> Snapshot:
        return replace(
            snapshot,
            kernels=tuple(map(tenant, snapshot.kernels)),
            terminals=tuple(map(tenant, snapshot.terminals)),
            apps=tuple(map(app, snapshot.apps)),
        )

    return [replace(seen, snapshot=whole(seen.snapshot)) for seen in history]


def shifted(value: Any, by: timedelta) -> Any:
    """``value`` with every instant in it moved by the same duration."""
    if isinstance(value, datetime):
        return value + by
    if isinstance(value, Ref):
        return value
    if isinstance(value, (tuple, list)):
        return type(value)(shifted(item, by) for item in value)
    if isinstance(value, Mapping):
        return {key: shifted(item, by) for key, item in value.items()}
    if isinstance(value, (Look, Snapshot, Kernel, Terminal, App, IOPubActivity)):
        return replace(
            value, **{f.name: shifted(getattr(value, f.name), by) for f in fields(value)}
        )
    return value


#: Whole lives, drawn from all of the above.
lives = st.builds(live, histories, policies, pasts)
