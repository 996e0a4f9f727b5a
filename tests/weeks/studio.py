"""The world of a life: what is true, what the product is shown of it, and what its calls do."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jupyter import Jupyter
from truth import NEVER, Host, Oracle, Rules, Thing
from value_world import HandClock

from auto_shutdown.core.marks import Mark
from auto_shutdown.core.model import (
    Answer,
    App,
    IOPubActivity,
    Kernel,
    Ref,
    Resource,
    Snapshot,
    Terminal,
    Unread,
)
from auto_shutdown.core.signals import Signal
from auto_shutdown.core.verdict import Fault, Outcome, Result
from auto_shutdown.world.evidence import HOST_CORES, WORK_CORES, Gauge, Reading
from auto_shutdown.world.judgements import with_shell
from auto_shutdown.world.last_word import MayGo, always, kept
from auto_shutdown.world.own_description import Description
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.shell_probe import ShellAnswer

IMAGE = "arn:aws:sagemaker:us-west-2:1:image/datascience"


class BrokenWorldError(RuntimeError):
    """What a life throws at the product on purpose."""


@dataclass
class Shown:
    """What the product can read of one thing: stamps by the wall clock of whoever writes them.

    ``heard``: its messages are listened to. ``answers``: it can be asked for its work. ``skew``:
    of its host's clock. ``tells_keys``: a terminal's device tells keys from output.
    """

    last_activity: datetime | None = None
    request_at: datetime | None = None
    output_at: datetime | None = None
    input_at: datetime | None = None
    heard: bool = False
    answers: bool = True
    skew: timedelta = timedelta(0)
    tells_keys: bool = True
    created_at: datetime | None = None
    working: bool = False
    spent: float = 0.0
    spent_at: float = 0.0
    gauge: Gauge = field(default_factory=Gauge)


@dataclass
class Removal:
    """One that the product decided: how long after it was due, and what was against it."""

    kind: str
    id: str
    at: float
    late: float
    against: list[str]


class Studio:
    """Drives what the controller takes for its world; the truth is in ``things``."""

    def __init__(self, clock: HandClock, rules: Rules, rng: random.Random, platform: str) -> None:
        self.clock, self.rules, self.rng = clock, rules, rng
        self.t = 0.0
        self.things: dict[str, Thing] = {}
        self.shown: dict[str, Shown] = {}
        self.host = Host()
        self.oracle = Oracle(rules, self.host, self.things)
        self.platform = Platform(platform, "d-1", "ada", region_name="us-west-2")
        self.has_apps = platform == "studio-classic"
        self.description = Description()
        self.beats: dict[str | None, datetime] = {}
        self.mode: dict[str, str] = {"delete": "ok", "shutdown": "ok"}
        self.requested = False
        self.last_minute = 0.0
        self.removals: list[Removal] = []
        self.counts: Counter[str] = Counter()
        self._listed: tuple[App, ...] = ()
        self._kernels: list[Kernel] = []
        self._terminals: tuple[Terminal, ...] = ()
        self._lagging: dict[str, Kernel] = {}
        self._removed: set[str] = set()
        self.looked_at = 0.0
        self.seen_at_work: set[str] = set()
        self.unread_since: dict[str, float] = {}
        self.forgotten: set[str] = set()
        self.jupyter = Jupyter(rng, self.counts)
        #: Called with the id of each kernel or terminal of which the server signals a change.
        self.signal: Callable[[str], None] = lambda _thing_id: None

    # -- what the product reads, beside its snapshots -------------------------------------------

    def recall(self, _marks: Mapping[Ref, Mark]) -> None:
        """A kernel here is listed as starting only while it is."""

    def faults(self, now: datetime) -> list[Fault]:
        return []

    async def report_at_work(self, at: datetime) -> None:
        """No host shuts this server down."""

    # -- what happens ------------------------------------------------------------------------

    def add(self, thing: Thing, shown: Shown) -> Thing:
        """Something new is there, which its app counts as used."""
        self.things[thing.id], self.shown[thing.id] = thing, shown
        self._removed.discard(thing.id)
        shown.last_activity = self.clock.now + shown.skew
        shown.spent_at = self.t
        self.use(thing, Signal.ARRIVAL)
        self.signal(thing.id)
        return thing

    def use(self, thing: Thing, signal: str) -> None:
        """Strong evidence: somebody does something with ``thing``."""
        shown = self.shown[thing.id]
        thing.used(self.t)
        at = self.clock.now
        if signal != Signal.HEARTBEAT:
            shown.last_activity = at + shown.skew
        if signal == Signal.REQUEST:
            shown.request_at = at
        if signal == Signal.INPUT:
            shown.input_at = at

    def prints(self, thing: Thing, at: float | None = None) -> None:
        """It prints, and nobody asked it to."""
        at = self.t if at is None else at
        shown = self.shown[thing.id]
        wall = self.clock.now - timedelta(seconds=self.t - at)
        if thing.cell is None or thing.cell.waits:
            told = shown.heard if thing.kind == "kernel" else shown.tells_keys
            # Where keys cannot be told from output, all of it counts.
            thing.hinted(Signal.OUTPUT, at) if told else thing.used(at)
        shown.output_at = wall
        shown.last_activity = wall + shown.skew

    def _reach_the_app(self, thing: Thing) -> None:
        """What was seen of a thing is its app's, also when the thing is gone."""
        app = self.oracle.app_of(thing)
        if app is not None:
            app.used(thing.strong)
            for signal, at in thing.weak.items():
                app.hinted(signal, at)

    def flow(self, to: float) -> None:
        """Time passes in which nothing begins or ends: what is at work goes on being so."""
        self.t = to
        for thing in self.alive():
            if thing.attended(to) and not self.oracle._stuck_busy(thing, to):
                thing.used(to)
            if thing.cell is not None or thing.work:
                self.spend(thing)

    def work_ends(self, thing: Thing, what: str) -> None:
        """What the product has been told of counts to its end. Of other work nobody knows."""
        thing.work.pop(what, None)
        if what in thing.told:
            thing.told.discard(what)
            thing.used(self.t)
        else:
            self.counts["work between two measurements"] += 1

    def excuse(self, thing: Thing, seconds: float = 0.0) -> None:
        """Something keeps it until now, or for so long."""
        thing.excused = max(thing.excused, self.t + seconds)

    def alive(self) -> list[Thing]:
        return [t for t in self.things.values() if t.gone is None]

    def of_kind(self, kind: str) -> list[Thing]:
        return [t for t in self.alive() if t.kind == kind]

    def end(self, thing: Thing) -> None:
        """It is no longer there; an app takes along what runs in it."""
        for tenant in self.oracle.tenants(thing) if thing.kind == "app" else []:
            self.end(tenant)
        app = self.oracle.app_of(thing)
        if app is not None:
            # It was held until now; and what ended at work counts to its end.
            limit = self.rules.limit(app) if thing.cell is not None else 0.0
            self.excuse(app, limit)
        if thing.id in self.seen_at_work:
            self._reach_the_app(thing)
        elif thing.strong > self.looked_at:
            self.counts["used and closed between two passes"] += 1
        thing.gone = self.t
        if thing.kind != "app" or thing.own:
            del self.things[thing.id]
        self.signal(thing.id)

    def begin_anew(self, forgot: bool) -> None:
        """A new server has read nothing before; it may also know nothing of the earlier one."""
        self.forgotten = {thing.id for thing in self.alive()} if forgot else set()
        self._listed, self._kernels, self._terminals, self._lagging = (), [], (), {}
        self.seen_at_work = set()
        self.jupyter.server_starts()

    # -- what the controller calls -----------------------------------------------------------

    async def observe(self, list_apps: bool, last_look: bool = False) -> Snapshot:
        if self.host.broken:
            raise BrokenWorldError("The world cannot be observed.")
        self._print_what_prints()
        self._see(self.alive())
        self.looked_at = self.t
        unread = {s: Unread(s, "Broken", "It is broken.", "Wait.") for s in self.host.unread}
        if list_apps:
            self.counts["listings"] += 1
            if "apps" not in unread:
                self._list()
        apps = self._listed
        if not self.has_apps:
            apps = tuple(self._app(t) for t in self.of_kind("app"))
        lagging, self._lagging = self._lagging, {}
        # Of a source that cannot be read the last that it gave is shown.
        if "kernels" not in unread:
            self._kernels = [self._kernel(t) for t in self.of_kind("kernel")]
            self._kernels += [k for key, k in lagging.items() if key not in self.things]
        if "terminals" not in unread:
            self._terminals = tuple(self._terminal(t) for t in self.of_kind("terminal"))
        kernels, terminals = list(self._kernels), self._terminals
        self.rng.shuffle(kernels)
        self.counts["looks"] += 1
        return Snapshot(tuple(kernels), terminals, self._with_heartbeats(apps), unread)

    async def observe_kernels(self, kernel_ids: Collection[str]) -> tuple[Kernel, ...] | None:
        if self.host.broken:
            raise BrokenWorldError("The kernels cannot be observed.")
        things = [self.things.get(kernel_id) for kernel_id in kernel_ids]
        if "kernels" in self.host.unread:
            return None
        kernels = [t for t in things if t is not None and t.kind == "kernel" and not t.unreadable]
        if len(kernels) < len(things):
            return None
        self.counts["partial looks"] += 1
        self._print_what_prints()
        self._see(kernels)
        return tuple(map(self._kernel, kernels))

    def _see(self, things: Iterable[Thing]) -> None:
        """What can be read of ``things`` at this look reaches the apps."""
        for thing in things:
            if thing.unreadable or f"{thing.kind}s" in self.host.unread:
                self.unread_since.setdefault(thing.id, self.t)
                continue
            if thing.id in self.forgotten:
                self.forgotten.discard(thing.id)
                self.excuse(thing, self.rules.limit(thing))
            if self.rules.active_until(thing) > self.unread_since.pop(thing.id, self.t):
                # Used while nobody could read it: when, is not believed of a late stamp.
                self.excuse(thing, self.rules.limit(thing))
            self._reach_the_app(thing)
            if thing.attended(self.t):
                self.seen_at_work.add(thing.id)
            elif thing.id in self.seen_at_work:
                # It ended since the last look, and its clock begins at this one.
                self.seen_at_work.discard(thing.id)
                self.excuse(thing, self.rules.limit(thing))

    def _all(self, kind: str) -> list[Thing]:
        return [t for t in self.things.values() if t.kind == kind]

    def _list(self) -> None:
        apps = self._all("app")
        known = {app.id for app in self._listed if app.status == "InService"}
        for app in apps:
            if app.status == "InService" and app.id not in known:
                # Its clock begins at its first sight (docs/decisions/003: 15 minutes late at most).
                self.excuse(app, self.rules.limit(app))
        self._listed = tuple(map(self._app, apps))

    def _print_what_prints(self) -> None:
        for thing in self.alive():
            cell = thing.cell
            if cell is not None and cell.prints:
                last = self.t - (self.t - cell.began) % 30.0
                shown = self.shown[thing.id]
                shown.output_at = self.clock.now - timedelta(seconds=self.t - last)
                shown.last_activity = shown.output_at + shown.skew
            if "a printing thread" in thing.work:
                began = thing.work["a printing thread"]
                self.prints(thing, self.t - (self.t - began) % 45.0)

    def _beat(self, app_id: str | None) -> datetime | None:
        found = [self.beats[key] for key in {None, app_id} if key in self.beats]
        return max(found, default=None)

    def _with_heartbeats(self, apps: tuple[App, ...]) -> tuple[App, ...]:
        def beaten(app: App) -> App:
            at = self._beat(app.id)
            return app if at is None else replace(app, stamps={Signal.HEARTBEAT: at})

        return tuple(map(beaten, apps))

    def _kernel(self, thing: Thing) -> Kernel:
        shown = self.shown[thing.id]
        if thing.unreadable:
            return Kernel(thing.id, unreadable="TraitError when reading its model")
        kernel = Kernel(
            thing.id,
            thing.name,
            self.jupyter.state(thing),
            shown.last_activity,
            thing.connections,
            thing.app,
            thing.instance_type,
            heartbeat_at=self._beat(thing.app),
        )
        return replace(
            self.jupyter.observed(thing, kernel),
            iopub=IOPubActivity(shown.request_at, shown.output_at) if shown.heard else None,
            own_limit=None if thing.own_limit is None else timedelta(seconds=thing.own_limit),
            request_sent_at=None,
        )

    def _terminal(self, thing: Thing) -> Terminal:
        shown = self.shown[thing.id]
        if thing.in_image:
            return Terminal(
                thing.id,
                environment=IMAGE,
                app=thing.app,
                instance_type=thing.instance_type,
                heartbeat_at=self._beat(thing.app),
            )
        return Terminal(
            thing.id,
            shown.last_activity,
            shown.input_at if shown.tells_keys else None,
            shown.output_at if shown.tells_keys else None,
            thing.job,
            heartbeat_at=self._beat(thing.app),
            app=thing.app,
        )

    def _app(self, thing: Thing) -> App:
        kind, _, name = thing.id.partition("/")
        created_at = self.shown[thing.id].created_at
        return App(kind, name, thing.status, thing.instance_type, IMAGE, created_at, own=thing.own)

    # -- questions ---------------------------------------------------------------------------

    async def ask(self, questions: Mapping[Ref, timedelta]) -> tuple[Answer, ...]:
        self.counts["questions"] += len(questions)
        answers = [self._answer(ref, window.total_seconds()) for ref, window in questions.items()]
        return tuple(map(self._with_shell, answers))

    def _with_shell(self, answer: Answer) -> Answer:
        """As the product's own world has it: the shell is asked, too."""
        thing = self.things.get(answer.ref.id)
        if thing is None or thing.kind != "kernel":
            return answer
        kernel = self._kernel(thing)
        if thing.app is not None:
            self.jupyter.answers_a_question(thing)
        shell = ShellAnswer(self.jupyter.shell_answers(thing))
        is_starting = thing.state == "starting"
        if not shell.free and not is_starting:
            self.excuse(thing, self.rules.limit(thing))
        return with_shell(answer, kernel, shell, is_starting)

    def spend(self, thing: Thing) -> None:
        """Bring its processor time up to date."""
        shown = self.shown[thing.id]
        shown.spent += self._cores(thing) * (self.t - shown.spent_at)
        shown.spent_at = self.t

    def _cores(self, thing: Thing) -> float:
        """Used at this instant by it, and for an app by what runs in it."""
        if thing.kind == "app":
            return sum(self._cores(t) for t in self.oracle.tenants(thing))
        cores = 1.0 * len(thing.work)
        return cores + thing.cell.cores if thing.cell is not None else cores

    def _answer(self, ref: Ref, window: float) -> Answer:
        thing = self.things.get(ref.id)
        if thing is None:
            return Answer(ref, conclusive=True, answered=False, detail="it is not there")
        workers = [thing]
        if thing.kind == "app":
            workers = self.oracle.tenants(thing)
            told = thing.own or any(self.shown[t.id].answers for t in workers)
        else:
            told = self.shown[thing.id].answers
            if thing.kind == "terminal":
                workers = [t for t in self.of_kind("terminal") if not t.in_image]
        if not told:
            return Answer(ref, conclusive=True, answered=False, detail="it does not answer")
        total = 0.0
        for worker in workers:
            self.spend(worker)
            total += self.shown[worker.id].spent
        sample = {w.id: Reading(self.shown[w.id].spent) for w in workers}
        used = self.shown[ref.id].gauge.add(self.t, sample, window)
        if used is None:
            return Answer(ref, conclusive=False)
        cores = used.cores
        working = cores >= (HOST_CORES if thing.kind == "app" else WORK_CORES)
        if working or self.shown[ref.id].working:
            # Its clock begins when it is found to have ended; that of all terminals, for whose a
            # detached job is nobody can tell.
            self.excuse(thing, self.rules.limit(thing))
        self.shown[ref.id].working = working
        if working:
            thing.used(self.t)
            thing.told |= set(thing.work)
        stamps = {}
        shown = self.shown[ref.id]
        if thing.kind == "kernel" and thing.app is not None and not shown.heard:
            # Asking a kernel behind a gateway moves its stamp.
            shown.last_activity = self.clock.now + shown.skew
            stamps = {Signal.LAST_ACTIVITY: shown.last_activity}
        return Answer(ref, True, working, cores=cores, detail="CPU", stamps=stamps)

    # -- removals ----------------------------------------------------------------------------

    async def is_gone(self, _resource: Resource) -> bool:
        """Lists that lag behind are read again until they are right (``World.is_gone``)."""
        return True

    async def look_again(self, ref: Ref) -> Snapshot:
        kernels = self.of_kind("kernel")
        if kernels and self.rng.random() < self.last_minute:
            self.counts["used at the last moment"] += 1
            # A moment after the question, whose stamp it would share otherwise.
            self.clock.advance(timedelta(milliseconds=1))
            self.flow(self.t + 0.001)
            self.use(self.rng.choice(kernels), Signal.REQUEST)
        return (await self.observe(list_apps=False)).bearing_on(ref)

    def updated(self, snapshot: Snapshot, looked_at: float) -> Snapshot:
        """Nothing happens in a simulated week between a look and the removal after it."""
        return snapshot

    async def remove(
        self, resource: Resource, only_unmoved: bool, may_go: MayGo = always
    ) -> Outcome:
        if not may_go():
            return kept()
        thing = self.things.get(resource.ref.id)
        if thing is None or (thing.kind == "app" and thing.status != "InService"):
            self.counts["already gone"] += 1
            return Outcome(Result.GONE, "It was already gone.")
        if resource.ref.id in self._removed:
            self.counts["removed twice"] += 1
        if (
            isinstance(resource, Kernel)
            and only_unmoved
            and resource.state == "idle"
            and not self.jupyter.shell_answers(thing)
        ):
            return Outcome(Result.STALE, "Its shell did not answer.")
        if not self.requested:
            self._judge(thing)
        mode = self.mode["delete" if thing.kind == "app" else "shutdown"]
        if mode in ("temporary", "permanent"):
            thing.failed = self.t
            self.counts[f"{mode} failures"] += 1
            return Outcome(Result(mode), "It failed.", "SomeError", "Wait.")
        if mode == "raise":
            thing.failed = self.t
            self.counts["calls that raised"] += 1
            raise BrokenWorldError("The call broke off.")
        if mode == "lag" and thing.kind == "kernel":
            self._lagging[thing.id] = self._kernel(thing)
        self._take_away(thing)
        if mode == "lost":
            self.counts["done, but reported as failed"] += 1
            return Outcome(Result.TEMPORARY, "No answer in time.", "Timeout", "Wait.")
        thing.held_until = NEVER
        return Outcome(Result.REMOVED, "It was removed.")

    def _take_away(self, thing: Thing) -> None:
        self._removed.add(thing.id)
        if thing.kind == "app" and not thing.own:
            for tenant in self.oracle.tenants(thing):
                self.end(tenant)
            thing.status = "Deleting"
            thing.gone = self.t
        else:
            self.end(thing)

    def _judge(self, thing: Thing) -> None:
        late = 0.0 if thing.in_image else max(0.0, self.t - self.oracle.ready(thing))
        against = self.oracle.against(thing, self.t)
        self.removals.append(Removal(thing.kind, thing.id, self.t, late, against))

    def watch(self) -> None:
        """Note until when anything excused what is still there."""
        for thing in self.alive():
            if thing.status not in ("", "InService") or self.oracle.excuse(thing, self.t):
                self.excuse(thing)

    def overdue(self) -> list[tuple[Thing, float]]:
        """What stays although nothing keeps it, and for how long it has."""
        removable = [t for t in self.alive() if t.kind != "app" or self._covered(t)]
        late = [(t, self.t - self.oracle.ready(t)) for t in removable if not t.in_image]
        return [(thing, seconds) for thing, seconds in late if seconds > 0]

    def _covered(self, thing: Thing) -> bool:
        return thing.own or thing.id.startswith("KernelGateway/")
