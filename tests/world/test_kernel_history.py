"""The code of a kernel's cells, from its history reply. Two kernels are real."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager, start_new_kernel

from auto_shutdown.world import kernel_history
from auto_shutdown.world.kernel_history import cells_of
from auto_shutdown.world.shell_probe import ask_history, read_connection_file

REPLIES: dict[str, tuple[dict[str, Any], tuple[str, ...] | None]] = {
    "code alone": ({"history": [[0, 1, "x = 1"], [0, 2, "x"]]}, ("x = 1", "x")),
    "code and output": ({"history": [[0, 1, ["x", "1"]]]}, ("x",)),
    "an empty cell": ({"history": [[0, 1, ""], [0, 2, " \n"], [0, 3, "x"]]}, ("x",)),
    "nothing was run": ({"history": []}, ()),
    "an error": ({"status": "error", "history": []}, None),
    "no history": ({}, None),
    "of another type": ({"history": "x"}, None),
    "entries of another type": ({"history": [1]}, None),
    "entries of another length": ({"history": [[0, "x"]]}, None),
    "code of another type": ({"history": [[0, 1, 5]]}, None),
    "code that is an empty pair": ({"history": [[0, 1, []]]}, None),
}


@pytest.mark.parametrize(("content", "cells"), REPLIES.values(), ids=REPLIES)
def test_cells_of_a_history_reply(content: dict[str, Any], cells: tuple[str, ...] | None) -> None:
    assert cells_of(content) == cells


def test_reply_with_too_many_entries_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_history, "MOST_ENTRIES", 2)
    assert cells_of({"history": [[0, n, "x"] for n in range(2)]}) == ("x", "x")
    assert cells_of({"history": [[0, n, "x"] for n in range(3)]}) is None


def test_unreachable_kernel_has_no_history() -> None:
    assert ask_history({"transport": "none", "ip": 7}, 0.1) is None


def connection_to(manager: Any) -> Any:
    found = read_connection_file(Path(manager.connection_file))
    assert found is not None
    return found


@pytest.fixture
def kernel() -> Iterator[tuple[Any, Any]]:
    manager, client = start_new_kernel()
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.slow
def test_a_kernel_answers_with_the_code_of_its_cells_in_order(kernel: tuple[Any, Any]) -> None:
    manager, client = kernel
    for code in ("x = 1", "%time x", "raise ValueError(x)", "x = 1"):
        # After an error a kernel aborts the requests that wait. IPython replies before it ends that
        # phase, so a request sent right after the reply may be aborted too. The failed cell
        # therefore says that the kernel should abort nothing.
        reply = client.execute(code, reply=True, timeout=60, stop_on_error=False)
        assert reply["content"]["status"] == ("error" if "raise" in code else "ok")
    assert ask_history(connection_to(manager), 60.0) == (
        "x = 1",
        "%time x",
        "raise ValueError(x)",
        "x = 1",
    )
    client.execute("import time; time.sleep(600)")
    while client.get_iopub_msg(timeout=60)["msg_type"] != "execute_input":
        pass
    assert ask_history(connection_to(manager), 0.3) is None, "the kernel runs a cell"


@pytest.mark.slow
def test_history_of_ten_thousand_cells_is_read(kernel: tuple[Any, Any]) -> None:
    manager, client = kernel
    fill = "get_ipython().history_manager.input_hist_raw += ['y = %d' % n for n in range(10_000)]"
    client.execute(fill, reply=True, timeout=60, store_history=False)
    cells = ask_history(connection_to(manager), 60.0)
    assert cells is not None
    assert (len(cells), cells[-1]) == (10_000, "y = 9999")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "cells"), [("calysto_bash", None), ("xpython", ("x=1", "x"))], ids=["bash", "xeus"]
)
def test_history_of_kernels_other_than_ipython(
    module: str, cells: tuple[str, ...] | None, tmp_path: Path
) -> None:
    """The extension rejects the history of a kernel that answers with the cells of all sessions of
    its user."""
    pytest.importorskip(module)  # the environments of tests/compat have Jupyter alone
    argv = [sys.executable, "-m", module, "-f", "{connection_file}"]
    manager: Any = KernelManager(kernel_name=module)
    manager._kernel_spec = KernelSpec(argv=argv, language="x", display_name=module)
    if module == "xpython":
        manager = KernelManager(kernel_name="xpython")
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        for code in ("x=1", "x"):
            client.execute(code, reply=True, timeout=60)
        assert ask_history(connection_to(manager), 60.0) == cells
        assert client.execute("x", reply=True, timeout=60)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
