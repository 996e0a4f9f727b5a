"""The query to a started kernel, because the extension may have missed its first message."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from iopub_channel import FakeKernel, FakeManager, Stream, status
from jupyter_client.session import Session
from one_kernel import Manager, Sessions
from waiting import eventually

from auto_shutdown.core.model import IOPubActivity, Kernel
from auto_shutdown.world import start_questions
from auto_shutdown.world.iopub_subscription import IOPubSubscription
from auto_shutdown.world.kernel_models import state_by_messages
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.requests_by_kernel import Requests
from auto_shutdown.world.start_questions import StartQuestions

STARTING = Kernel("k", "python3", "starting", iopub=IOPubActivity())


class ShellStream(Stream):
    """A stream to the shell channel that stores the sent messages."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[list[bytes]] = []
        self.linger: int | None = None

    def send_multipart(self, parts: list[bytes], **_: Any) -> None:
        self.sent.append([bytes(part) for part in parts])

    def close(self, linger: int | None = None) -> None:
        super().close()
        self.linger = linger


class ShellKernel(FakeKernel):
    """A kernel on this host with a shell channel. ``failure`` is raised when somebody connects."""

    def __init__(self, pid: int | None = 7) -> None:
        super().__init__(pid)
        self.session = Session(key=b"secret")
        self.shells: list[ShellStream] = []

    def connect_shell(self) -> ShellStream:
        if self.failure is not None:
            raise self.failure
        self.shells.append(ShellStream())
        return self.shells[-1]

    @property
    def questions(self) -> list[dict[str, Any]]:
        """The headers of the messages that it has received."""
        return [self._read(parts)["header"] for shell in self.shells for parts in shell.sent]

    def _read(self, parts: list[bytes]) -> dict[str, Any]:
        session = Session(key=b"secret")
        message: dict[str, Any] = session.deserialize(session.feed_identities(parts)[1])
        return message

    def reply(self, parent: dict[str, Any], key: bytes = b"secret") -> None:
        """Reply on the shell channel to the request with the header ``parent``."""
        session = Session(key=key)
        message = session.msg("kernel_info_reply", {}, parent=parent)
        self.shells[-1].listener(session.serialize(message, ident=b"")[1:])


class Scene:
    """One kernel, the questions to it, and the change signals about it."""

    def __init__(self) -> None:
        self.kernel = ShellKernel()
        self.requests, self.signals = Requests(), 0
        self.requests.on_change = self._count
        self.questions = StartQuestions(FakeManager(k=self.kernel), self.requests)

    def _count(self, _kernel_id: str) -> None:
        self.signals += 1

    @property
    def has_come_up(self) -> bool:
        return self.requests.of("k").came_up

    async def look(self, *kernels: Kernel) -> None:
        """A pass, and the time after which a kernel is asked."""
        self.questions.look(kernels)
        self.questions.keep_only({kernel.id for kernel in kernels})
        await asyncio.sleep(0.001)
        await asyncio.sleep(0)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(start_questions, "ASK_AFTER_SECONDS", 0.0)
    return Scene()


async def asked(scene: Scene) -> dict[str, Any]:
    """The header of the question."""
    await scene.look(STARTING)
    await eventually(lambda: scene.kernel.questions, "the question")
    return scene.kernel.questions[-1]


async def test_a_kernel_whose_first_message_was_lost_is_asked_and_has_come_up(scene: Scene) -> None:
    question = await asked(scene)
    assert question["msg_type"] == "kernel_info_request"
    assert not scene.has_come_up
    before = scene.signals
    scene.kernel.reply(question)
    assert scene.has_come_up
    assert scene.signals == before + 1
    (shell,) = scene.kernel.shells
    assert (shell.closed(), shell.linger) == (True, 0)


async def test_the_messages_about_the_question_are_no_activity(scene: Scene) -> None:
    requests = scene.requests.of("k")
    subscription = IOPubSubscription(requests)
    question = await asked(scene)
    for message in status("kernel_info_request", parent_id=question["msg_id"]):
        subscription.receive(message)
    scene.kernel.reply(question)
    assert requests.unfinished == 0
    assert requests.last_ran_at is None
    assert requests.sent_at is None
    assert not subscription.activity.stamps
    assert state_by_messages("starting", requests) == "idle"


async def test_an_answer_ends_no_request(scene: Scene) -> None:
    """A cell that was sent before the question may begin after the answer."""
    requests = scene.requests.of("k")
    requests.sent({"msg_type": "execute_request", "msg_id": "1"})
    for _ in range(3):
        scene.kernel.provisioner.pid += 1
        scene.kernel.reply(await asked(scene))
        requests.came_up = False
    assert requests.unfinished == 1


async def test_a_kernel_that_a_message_shows_to_have_come_up_is_not_asked(scene: Scene) -> None:
    """A page that was opened with the kernel has asked it."""
    scene.requests.of("k").has_status("idle", {"msg_type": "kernel_info_request", "msg_id": "1"})
    await scene.look(STARTING)
    await scene.look(replace(STARTING, state="idle"))
    assert not scene.kernel.shells


NOT_ASKED = {
    "it runs": replace(STARTING, state="idle"),
    "it is busy": replace(STARTING, state="busy"),
    "it is dead": replace(STARTING, state="dead"),
    "its model cannot be read": replace(STARTING, unreadable="TraitError"),
    "its IOPub channel is not read": replace(STARTING, iopub=None),
}


@pytest.mark.parametrize("name", NOT_ASKED)
async def test_other_kernels_are_not_asked(scene: Scene, name: str) -> None:
    await scene.look(NOT_ASKED[name])
    await scene.look(NOT_ASKED[name])
    assert not scene.kernel.shells


async def test_a_kernel_without_a_process_on_this_host_is_not_asked(scene: Scene) -> None:
    scene.kernel.provisioner.pid = None
    await scene.look(STARTING)
    assert not scene.kernel.shells


async def test_each_process_of_a_kernel_is_asked_once(scene: Scene) -> None:
    """A kernel that died and was started again loses its first message as well."""
    await asked(scene)
    for _ in range(3):
        await scene.look(STARTING)
    assert len(scene.kernel.questions) == 1
    await scene.look(replace(STARTING, unreadable="TraitError"))  # at the moment
    await scene.look(STARTING)
    assert len(scene.kernel.questions) == 1
    scene.kernel.provisioner.pid = 8
    await scene.look(STARTING)
    await eventually(lambda: len(scene.kernel.questions) == 2, "the question to the new process")
    assert [shell.closed() for shell in scene.kernel.shells] == [True, False]


@pytest.mark.parametrize("kernels", [(), (replace(STARTING, state="idle"),)], ids=["gone", "runs"])
async def test_an_unanswered_question_is_withdrawn(
    scene: Scene, kernels: tuple[Kernel, ...]
) -> None:
    """Or each kernel would keep a socket for ever."""
    await asked(scene)
    await scene.look(*kernels)
    assert [shell.closed() for shell in scene.kernel.shells] == [True]


async def test_a_question_that_was_not_sent_yet_is_withdrawn(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_questions, "ASK_AFTER_SECONDS", 3600.0)
    await scene.look(STARTING)
    (question,) = scene.questions._questions.values()
    assert question.timer is not None
    scene.questions.close()
    assert question.timer.cancelled()


async def test_a_kernel_that_could_not_be_asked_is_asked_later(scene: Scene) -> None:
    scene.kernel.failure = OSError(24, "Too many open files")
    await scene.look(STARTING)
    await eventually(lambda: not scene.questions._questions, "the failure")
    scene.kernel.failure = None
    scene.kernel.reply(await asked(scene))
    assert scene.has_come_up


async def test_only_the_kernels_own_reply_is_an_answer(scene: Scene) -> None:
    question = await asked(scene)
    scene.kernel.reply({**question, "msg_id": "another"})
    scene.kernel.reply(question, key=b"another")
    scene.kernel.shells[-1].listener([b"no message"])
    assert not scene.has_come_up
    scene.kernel.reply(question)
    assert scene.has_come_up


class StartingKernels(Manager):
    """One kernel on this host, which its manager lists as starting."""

    def __init__(self) -> None:
        super().__init__()
        assert self.model is not None
        self.model["execution_state"] = "starting"
        self.kernel = ShellKernel()

    def get_kernel(self, kernel_id: str) -> Any:
        return self.kernel


async def test_full_and_partial_passes_ask_starting_kernels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(start_questions, "ASK_AFTER_SECONDS", 0.0)
    manager = StartingKernels()
    source, shells = KernelSource(manager, Sessions()), manager.kernel.shells

    async def full_pass() -> None:
        models, unreadable = await source.read()
        source.joined(models, unreadable, [])

    await full_pass()
    await eventually(lambda: len(shells) == 1, "the question of a full pass")
    manager.kernel.provisioner.pid = 8
    await source.read_again(["k"])
    await eventually(lambda: len(shells) == 2, "the question of a partial pass")
    manager.lists, manager.model = False, None
    monkeypatch.setattr(manager, "list_kernels", list)
    await full_pass()
    assert [shell.closed() for shell in shells] == [True, True], "the kernel is gone"


async def test_questions_are_withdrawn_when_the_server_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(start_questions, "ASK_AFTER_SECONDS", 0.0)
    manager = StartingKernels()
    source, shells = KernelSource(manager, Sessions()), manager.kernel.shells
    models, unreadable = await source.read()
    source.joined(models, unreadable, [])
    await eventually(lambda: shells, "the question")
    source.close()
    assert [shell.closed() for shell in shells] == [True]
