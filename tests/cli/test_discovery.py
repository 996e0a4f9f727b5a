"""The choice of a server: with one or several running servers, and with --url and --port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_server import TOKEN, closed_port, error_of_find, list_server, serving

from auto_shutdown.api.discovery import find
from auto_shutdown.api.server_error import ExitCode, ServerError


@contextmanager
def other_process() -> Iterator[int]:
    """The id of a process that is no ancestor of this one."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid


def test_only_server_with_the_extension_is_chosen(runtime: Path) -> None:
    with serving() as other, serving() as ours:
        other.status, other.body = 404, b""
        for url in (f"http://127.0.0.1:{closed_port()}/", other.url, ours.url):
            list_server(runtime, url)
        assert find().server.url == ours.url


def test_two_servers_with_the_extension_are_a_usage_error(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as one, serving() as two:
        list_server(runtime, one.url)
        list_server(runtime, two.url)
        error = error_of_find()
        assert error.code is ExitCode.USAGE
        assert one.url in error.remedy
        assert two.url in error.remedy
        assert find(port=two.port).server.url == two.url
        assert find(url=one.url.replace("127.0.0.1", "localhost")).server.token == TOKEN
        # In a terminal of one of the servers, the command uses that server.
        monkeypatch.setenv("JUPYTER_SERVER_URL", two.url.rstrip("/"))
        assert find().server.url == two.url


def test_command_that_acts_needs_a_choice_beside_a_server_that_refuses_access(
    runtime: Path,
) -> None:
    """The other server may have the extension, and the user may mean that one."""
    with serving() as ours, serving() as locked:
        locked.status = 302
        list_server(runtime, ours.url, root_dir="/home/ada")
        list_server(runtime, locked.url, token="", root_dir="/srv")
        error = error_of_find()
        assert (error.code, str(error)) == (
            ExitCode.USAGE,
            "2 servers have auto_shutdown, or may have it.",
        )
        assert f"{ours.url} (files in /home/ada)" in error.remedy
        assert (
            f"{locked.url} (files in /srv; it refuses access and may want a password)"
            in error.remedy
        )
        assert find(port=ours.port).server.url == ours.url
        assert find(url=locked.url).server.url == locked.url


def test_command_that_shows_names_the_shown_server_and_the_others(runtime: Path) -> None:
    with serving() as ours, serving() as locked, serving() as unstarted, serving() as plain:
        locked.status, unstarted.status, plain.status = 403, 503, 404
        locked.body, unstarted.body = b"", b'{"message": "it is starting"}'
        for fake in (ours, locked, unstarted, plain):
            list_server(runtime, fake.url, root_dir="/home")
        told: list[str] = []
        assert find(tell=told.append).server.url == ours.url
        (sentence,) = told
        assert sentence == (
            f"This is the server at {ours.url} (files in /home). Not shown: {locked.url} (files in "
            f"/home; it refuses access and may want a password); {unstarted.url} (files in /home; "
            "its extension has not started). Choose a server with --port or --url."
        )
        assert find(port=ours.port, tell=told.append).server.url == ours.url
        assert len(told) == 1


def test_two_readable_servers_are_a_usage_error_also_for_a_command_that_shows(
    runtime: Path,
) -> None:
    with serving() as one, serving() as two:
        list_server(runtime, one.url)
        list_server(runtime, two.url)
        with pytest.raises(ServerError, match="2 servers have auto_shutdown") as caught:
            find(tell=lambda _: None)
        assert caught.value.code is ExitCode.USAGE


def test_server_of_this_terminal_counts_although_it_is_not_listed(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its runtime file was deleted. A command in its terminal must not act on another server."""
    with serving() as unlisted, serving() as other:
        unlisted.status = 403
        list_server(runtime, other.url)
        monkeypatch.setenv("JUPYTER_SERVER_URL", unlisted.url)
        assert find().server.url == unlisted.url
    with serving() as other:
        list_server(runtime, other.url)
        assert find().server.url == other.url, "the server of this terminal has ended"


#: Starts a server's process (a child of this test), and the command in a terminal of that server.
COMMAND = """
import json, os, pathlib, subprocess, sys
path, command = sys.argv[1:]
described = json.loads(pathlib.Path(path).read_text())
pathlib.Path(path).write_text(json.dumps({**described, "pid": os.getpid()}))
sys.exit(subprocess.call([sys.executable, "-c", command]))
"""
FIND = "from auto_shutdown.api.discovery import find; print(find().server.url)"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("inherited", ["JPY_PARENT_PID", "JUPYTER_SERVER_URL"])
def test_server_that_another_server_started_is_that_of_its_terminals_and_kernels(
    inherited: str, runtime: Path
) -> None:
    """The inner server inherits the variables of the outer one."""
    with serving() as outer, serving() as inner:
        list_server(runtime, outer.url)
        path = runtime / "jpserver-inner.json"
        path.write_text(json.dumps({"url": inner.url, "token": TOKEN}))
        by_kernel = {"JPY_PARENT_PID": str(os.getpid()), "JUPYTER_SERVER_URL": inner.url}
        code, command = COMMAND, FIND
        if inherited == "JUPYTER_SERVER_URL":
            by_kernel = {"JUPYTER_SERVER_URL": outer.url}
            command = "import os; os.environ['JPY_PARENT_PID'] = str(os.getppid()); " + FIND
        done = subprocess.run(
            [sys.executable, "-c", code, str(path), command],
            env={**os.environ, **by_kernel},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.stdout.strip(), done.stderr) == (inner.url, "")


def test_command_that_acts_needs_a_choice_if_it_is_unclear_which_server_started_it(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as one, serving() as two, other_process() as pid:
        list_server(runtime, one.url, pid=os.getpid())
        list_server(runtime, two.url, pid=pid)
        monkeypatch.setenv("JPY_PARENT_PID", str(os.getpid()))
        monkeypatch.setenv("JUPYTER_SERVER_URL", two.url)
        error = error_of_find()
        assert "names 2 servers as its own" in str(error)
        assert one.url in error.remedy
        assert two.url in error.remedy
        monkeypatch.setenv("JUPYTER_SERVER_URL", one.url)
        assert find().server.url == one.url


def test_runtime_file_that_cannot_be_read_may_be_that_of_another_server(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with serving() as one, other_process() as pid:
        list_server(runtime, one.url)
        unreadable = runtime / f"jpserver-{pid}.json"
        unreadable.mkdir()
        error = error_of_find()
        assert error.code is ExitCode.USAGE
        assert f"Another server may run: {unreadable} cannot be read" in str(error)
        assert one.url in error.remedy
        assert find(tell=told.append).server.url == one.url
        assert str(unreadable) in told[0]
        assert find(port=one.port).server.url == find(url=one.url).server.url == one.url
        monkeypatch.setenv("JUPYTER_SERVER_URL", one.url)
        assert find().server.url == one.url
        monkeypatch.delenv("JUPYTER_SERVER_URL")
    with serving() as one:
        list_server(runtime, one.url)
        assert find().server.url == one.url, "the process of the unreadable file has ended"


def test_left_over_runtime_file_of_the_same_address_is_no_second_server(runtime: Path) -> None:
    with serving() as one, serving() as two:
        two.status = 404
        list_server(runtime, one.url, token="of an earlier server")
        list_server(runtime, one.url)
        list_server(runtime, two.url)
        assert find().server.url == one.url


def test_error_when_no_server_has_the_extension(runtime: Path) -> None:
    with serving() as one, serving() as two:
        for fake in (one, two):
            fake.status = 404
            list_server(runtime, fake.url)
        assert "none of them with auto_shutdown" in str(error_of_find())


def test_a_port_without_a_server_is_an_error_that_lists_the_servers(runtime: Path) -> None:
    with serving() as one:
        list_server(runtime, one.url)
        error = error_of_find(port=closed_port())
        assert (error.code, one.url in error.remedy) == (ExitCode.NO_SERVER, True)


def test_unlisted_server_is_reached_by_its_url(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as one:
        monkeypatch.setenv("JUPYTER_TOKEN", TOKEN)
        found = find(url=one.url + "jupyter/default")
        found.request("GET", "status")
        assert one.requests[0]["path"] == "/jupyter/default/auto-shutdown/status"
        assert one.requests[0]["Authorization"] == f"token {TOKEN}"


def test_token_in_the_address_that_jupyter_server_list_prints_is_used(runtime: Path) -> None:
    with serving() as one:
        found = find(url=f"{one.url}jupyter/default?token={TOKEN}")
        found.request("GET", "status")
        assert found.server.url == f"{one.url}jupyter/default/"
        assert one.requests[0]["path"] == "/jupyter/default/auto-shutdown/status"
        assert one.requests[0]["Authorization"] == f"token {TOKEN}"


@pytest.mark.parametrize(
    "url", ["localhost:8888", "http://", "ftp://x/", "http://x:y/", "http://x:99999/", "http://[x"]
)
def test_a_url_that_is_no_address_is_a_usage_error(url: str, runtime: Path) -> None:
    error = error_of_find(url=f"{url}?token={TOKEN}")
    assert (error.code, url in str(error)) == (ExitCode.USAGE, True)
    assert "http://localhost:8888/" in error.remedy
