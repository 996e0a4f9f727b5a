"""The scene that every table starts from: a user of Studio Classic has an app on a GPU instance. A
notebook in the app has been idle past its limit. Nothing keeps the notebook or the app."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from auto_shutdown.core.advance import advance
from auto_shutdown.core.decision import Decision, Plan
from auto_shutdown.core.ledger import Ledger
from auto_shutdown.core.marks import Mark, Work
from auto_shutdown.core.model import App, Kernel, Program, Ref, Snapshot, Terminal, Unread
from auto_shutdown.core.planner import decide
from auto_shutdown.core.policy import Policy

NOW = datetime(2026, 3, 29, 0, 59, 30, tzinfo=timezone.utc)  # half a minute before a DST change
LIMIT = timedelta(minutes=120)
IMAGE = "arn:aws:sagemaker:us-west-2:236514542706:image/pytorch-1.8"


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


APP = App(
    "KernelGateway", "pytorch-1-8-ml-g5-xlarge-1", "InService", "ml.g5.xlarge", IMAGE, ago(days=1)
)
KERNEL = Kernel(
    "k1",
    "python3",
    "idle",
    ago(hours=3),
    connections=1,
    app=APP.id,
    instance_type="ml.g5.xlarge",
    image=IMAGE,
    paths=("train.ipynb",),
)
TERMINAL = Terminal("1", ago(hours=3))
IMAGE_TERMINAL = Terminal(
    f"{IMAGE}__1__ml.g5.xlarge", environment=IMAGE, app=APP.id, instance_type="ml.g5.xlarge"
)


#: What a space's server runs in.
OWN = App("JupyterLab", "default", "InService", own=True)

POLICY = Policy(warn=timedelta(0))


@dataclass(frozen=True)
class Scene:
    """A scene in which every resource is due. ``decide()`` returns its plan."""

    kernel: Kernel = KERNEL
    app: App = APP
    terminal: Terminal = TERMINAL
    image_terminal: Terminal = IMAGE_TERMINAL
    policy: Policy = POLICY
    ledger: Ledger = field(default_factory=lambda: settled_ledger())
    unread: tuple[str, ...] = ()
    more_kernels: tuple[Kernel, ...] = ()
    programs: tuple[Program, ...] = ()
    now: datetime = NOW

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(
            (self.kernel, *self.more_kernels),
            (self.terminal, self.image_terminal),
            (self.app,),
            {s: Unread(s, "Broken", "It is broken.", "Mend it.") for s in self.unread},
            programs=self.programs,
        )

    def plan(self) -> Plan:
        ledger = advance(self.ledger, self.snapshot, self.now)
        return decide(self.snapshot, ledger, self.policy, self.now)

    def of(self, ref: Ref) -> Decision:
        found = self.plan().of(ref)
        assert found is not None
        return found


#: Asked a moment ago, and nothing works in the background.
ASKED = Work(NOW, NOW, "none", "CPU 0.2 % of a core")


def mark(
    since: datetime,
    state: str = "",
    app: str | None = None,
    signal: str = "last-activity",
    **more: object,
) -> Mark:
    base = Mark(since, since, since, signal, {signal: since}, {}, state, since, app, work=ASKED)
    return replace(base, **more)  # type: ignore[arg-type]


def settled_ledger() -> Ledger:
    """The ledger after a pass three hours ago, when every resource had just been used."""
    since = ago(hours=3)
    return Ledger(
        quiet_until=ago(hours=3),
        marks={
            KERNEL.ref: mark(since, "idle", APP.id),
            TERMINAL.ref: mark(since, "prompt"),
            IMAGE_TERMINAL.ref: mark(since, "prompt", APP.id, stamps={}),
            APP.ref: mark(
                since,
                "InService",
                stamps={},
                incarnation=APP.created_at.isoformat() if APP.created_at else "",
            ),
        },
    )


def with_ledger(scene: Scene, **changes: object) -> Scene:
    return replace(scene, ledger=replace(scene.ledger, **changes))  # type: ignore[arg-type]


def with_policy(scene: Scene, **changes: object) -> Scene:
    return replace(scene, policy=replace(scene.policy, **changes))  # type: ignore[arg-type]


def with_kernel(scene: Scene, **changes: object) -> Scene:
    return replace(scene, kernel=replace(scene.kernel, **changes))  # type: ignore[arg-type]


def with_marks(scene: Scene, **changes: object) -> Scene:
    marks = {ref: replace(m, **changes) for ref, m in scene.ledger.marks.items()}  # type: ignore[arg-type]
    return with_ledger(scene, marks=marks)


def with_mark(scene: Scene, of: Ref, **changes: object) -> Scene:
    marks = dict(scene.ledger.marks)
    marks[of] = replace(marks[of], **changes)  # type: ignore[arg-type]
    return with_ledger(scene, marks=marks)


def other(**changes: object) -> Kernel:
    return replace(KERNEL, id="k2", paths=("eval.ipynb",), **changes)  # type: ignore[arg-type]


def joined(scene: Scene, kernel: Kernel) -> Scene:
    """The scene's ledger, in which ``kernel`` entered the app together with the first kernel."""
    marks = {**scene.ledger.marks, kernel.ref: mark(ago(hours=3), kernel.state, kernel.app)}
    return replace(with_ledger(scene, marks=marks), more_kernels=(kernel,))


#: A mark in which every field has a value.
FULL_MARK = Mark(
    ago(hours=9),
    ago(minutes=1),
    ago(hours=3),
    "input",
    stamps={"input": ago(hours=3)},
    weak={"output": ago(hours=2)},
    state="busy",
    state_since=ago(hours=4),
    app=APP.id,
    incarnation="i",
    quiet_since=ago(hours=1),
    alone=True,
    work=Work(ago(minutes=2), ago(minutes=3), "none", "CPU"),
)
