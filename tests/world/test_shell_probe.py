"""Queries to a kernel's shell by its connection file, with real kernels."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

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
    free = ask_shells({"k": connection}, 60.0, {"k": []})["k"]
    assert free == ShellAnswer(True, "", "ipython", subshells=living)
    flag.unlink()
    free = ask_shells({"k": connection}, 60.0, {"k": [subshell]})["k"]
    assert free == ShellAnswer(True, "", "ipython", subshells=living)
    control(client, "delete_subshell_request", subshell_id=subshell)
    free = ask_shells({"k": connection}, 60.0, {"k": [subshell]})["k"]
    assert free == ShellAnswer(True, "", "ipython", subshells=frozenset())


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
