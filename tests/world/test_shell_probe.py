"""Queries to a kernel's shell by its connection file, with real kernels."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import zmq
from jupyter_client.manager import start_new_kernel
from jupyter_client.session import Session

from auto_shutdown.world import foreign_kernels, shell_probe
from auto_shutdown.world.foreign_kernels import ForeignKernel
from auto_shutdown.world.processes import Process
from auto_shutdown.world.shell_probe import ShellAnswer, ask_shells, read_connection_file


@pytest.fixture
def kernel() -> Iterator[tuple[Any, Any]]:
    manager, client = start_new_kernel()
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def ask(path: str, seconds: float) -> ShellAnswer:
    connection = read_connection_file(Path(path))
    assert connection is not None
    return ask_shells({"k": connection}, seconds)["k"]


def ask_foreign(path: str, seconds: float) -> ShellAnswer:
    process = Process(1, 0, 1, 1, 1, 0.0, "python3")
    connection = read_connection_file(Path(path))
    kernel = ForeignKernel(process, Path(path), "papermill", connection)
    return foreign_kernels.ask([kernel], seconds)[kernel]


@pytest.mark.slow
def test_shell_answers_only_while_no_cell_runs(kernel: tuple[Any, Any], tmp_path: Path) -> None:
    manager, client = kernel
    assert ask(manager.connection_file, 60.0) == ShellAnswer(True, "", "ipython")
    flag = tmp_path / "cell-runs"
    flag.touch()
    client.execute(f"import os, time\nwhile os.path.exists({str(flag)!r}): time.sleep(0.02)")
    while client.get_iopub_msg(timeout=60)["msg_type"] != "execute_input":
        pass
    assert ask(manager.connection_file, 0.5) == ShellAnswer(False)
    flag.unlink()
    assert ask(manager.connection_file, 60.0) == ShellAnswer(True, "", "ipython")


@pytest.mark.slow
def test_several_kernels_are_asked_at_once(kernel: tuple[Any, Any]) -> None:
    manager, _ = kernel
    free = read_connection_file(Path(manager.connection_file))
    assert free is not None
    nobody = {**free, "shell_port": 1}
    begun = time.monotonic()
    answers = ask_shells({"free": free, **{f"nobody {n}": nobody for n in range(90)}}, 1.0)
    # One after the other, the questions would take 90 seconds.
    assert time.monotonic() - begun < 80
    assert answers.pop("free").free
    assert set(answers.values()) == {ShellAnswer(False)}


def control(client: Any, kind: str, **content: Any) -> Any:
    request = client.session.msg(kind, content)
    client.control_channel.send(request)
    while True:
        reply = client.get_control_msg(timeout=60)
        if reply["parent_header"].get("msg_id") == request["header"]["msg_id"]:
            return reply["content"]


@pytest.mark.slow
def test_subshell_has_to_answer_as_long_as_it_exists(
    kernel: tuple[Any, Any], tmp_path: Path
) -> None:
    manager, client = kernel
    info = client.kernel_info(reply=True, timeout=60)["content"]
    if "kernel subshells" not in info.get("supported_features", ()):
        pytest.skip("this ipykernel has no subshells")
    connection = read_connection_file(Path(manager.connection_file))
    assert connection is not None
    subshell = control(client, "create_subshell_request")["subshell_id"]
    flag = tmp_path / "cell-runs"
    flag.touch()
    code = f"import os, time\nwhile os.path.exists({str(flag)!r}): time.sleep(0.02)"
    cell = client.session.msg("execute_request", {"code": code, "silent": False})
    cell["header"]["subshell_id"] = subshell
    client.shell_channel.send(cell)
    while client.get_iopub_msg(timeout=60)["msg_type"] != "execute_input":
        pass
    living = frozenset([subshell])
    busy = ask_shells({"k": connection}, 1.0, {"k": [subshell]})["k"]
    assert busy == ShellAnswer(False, subshells=living)
    # Another program's kernel: this server does not know which of its subshells were used.
    assert ask_foreign(manager.connection_file, 1.0) == ShellAnswer(False, subshells=living)
    free = ask_shells({"k": connection}, 60.0, {"k": []})["k"]
    assert free == ShellAnswer(True, "", "ipython", subshells=living)
    flag.unlink()
    free = ShellAnswer(True, "", "ipython", subshells=living)
    assert ask_foreign(manager.connection_file, 60.0) == free
    free = ask_shells({"k": connection}, 60.0, {"k": [subshell]})["k"]
    assert free == ShellAnswer(True, "", "ipython", subshells=living)
    control(client, "delete_subshell_request", subshell_id=subshell)
    free = ask_shells({"k": connection}, 60.0, {"k": [subshell]})["k"]
    assert free == ShellAnswer(True, "", "ipython", subshells=frozenset())


class FakeKernel:
    """A kernel whose shells answer, except the ``silent`` subshell. It lists these ``subshells``
    (None: it does not answer the request for the list)."""

    def __init__(
        self, features: object, subshells: Sequence[str] | None = None, silent: str = ""
    ) -> None:
        self.features, self.subshells, self.silent = features, subshells, silent
        self.kinds: list[str] = []
        self._session = Session(key=b"secret")
        self._sockets = [zmq.Context.instance().socket(zmq.ROUTER) for _ in range(2)]
        shell, control = (socket.bind_to_random_port("tcp://127.0.0.1") for socket in self._sockets)
        self.connection = {
            "ip": "127.0.0.1",
            "transport": "tcp",
            "shell_port": shell,
            "control_port": control,
            "key": "secret",
            "signature_scheme": "hmac-sha256",
        }
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> FakeKernel:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._ends.is_set():
            for socket in self._sockets:
                while socket.poll(10):
                    self._answer(socket)
        for socket in self._sockets:
            socket.close(linger=0)

    def _answer(self, socket: Any) -> None:
        identity, request = self._session.recv(socket)
        kind = request["header"]["msg_type"]
        self.kinds.append(kind)
        if kind == "kernel_info_request":
            content = {"implementation": "fake", "supported_features": self.features}
            answers = request["header"].get("subshell_id", "main") != self.silent
        else:
            content, answers = {"subshell_id": self.subshells}, self.subshells is not None
        if answers:
            reply = kind.replace("request", "reply")
            self._session.send(socket, reply, content, parent=request, ident=identity)


@pytest.mark.parametrize("features", [None, [], ["debugger"], "kernel subshells"])
def test_kernel_without_subshells_is_not_asked_for_them(features: object) -> None:
    """Such a kernel does not answer the request for the list (ipykernel 6, IRkernel)."""
    with FakeKernel(features) as kernel:
        answer = ask_shells({"k": kernel.connection}, 60.0, every_subshell=True)["k"]
    assert answer == ShellAnswer(True, "", "fake")
    assert kernel.kinds == ["kernel_info_request"]


@pytest.mark.parametrize(
    ("subshells", "silent", "free"),
    [
        ([], "", True),
        (["a", "b"], "", True),
        (["a", "b"], "b", False),
        (["a"], "main", False),
        (None, "", False),  # nobody knows in which subshell a cell runs
    ],
)
def test_every_subshell_has_to_answer(
    subshells: Sequence[str] | None, silent: str, free: bool
) -> None:
    seconds = 60.0 if free else 0.5
    with FakeKernel(["kernel subshells"], subshells, silent) as kernel:
        answer = ask_shells({"k": kernel.connection}, seconds, every_subshell=True)["k"]
    assert (answer.free, answer.failure) == (free, "")
    if free:
        assert answer.subshells == frozenset(subshells or ())


def test_subshells_that_cannot_be_asked_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """For example because no file descriptor is left."""

    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(shell_probe._Questions, "_ask_for_list", fail)
    with FakeKernel(["kernel subshells"], []) as kernel:
        answer = ask_shells({"k": kernel.connection}, 60.0, every_subshell=True)["k"]
    assert (answer.free, "OSError" in answer.failure) == (False, True)


def test_malformed_connection_is_a_failed_answer_and_no_exception() -> None:
    answer = ask_shells({"k": {"transport": "none", "ip": 7}}, 0.1)["k"]
    assert (answer.free, bool(answer.failure)) == (False, True)
    assert ask_shells({}, 0.1) == {}


@pytest.mark.parametrize("content", ["[]", "{}", json.dumps({"ip": "127.0.0.1", "key": "x"}), "7"])
def test_json_of_another_kind_is_not_a_connection_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    assert read_connection_file(path) is None


def test_a_file_that_is_not_json_raises(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="Expecting"):
        read_connection_file(path)
