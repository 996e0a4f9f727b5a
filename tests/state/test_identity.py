"""The keys in the names of a server's files, also for two servers with one identity."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from auto_shutdown.state.identity import MOST_SERVERS, boot_identity, claim_key, server_key


def test_state_key_on_sagemaker_survives_a_new_container(monkeypatch: pytest.MonkeyPatch) -> None:
    studio = ("d-1", "UserProfileName", "ada", "JupyterServer", "default")
    before = server_key(studio, "/a", 1)
    monkeypatch.setattr("socket.gethostname", lambda: "another-container")
    assert server_key(studio, "/b", 2) == before
    assert server_key((*studio[:2], "bob", *studio[3:]), "/a", 1) != before


def test_state_key_elsewhere_consists_of_host_address_and_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = server_key((), "/", 8888)
    assert server_key((None, None), "/", 8888) == before
    assert server_key((), "/", 8889) != before
    assert server_key((), "/x", 8888) != before
    monkeypatch.setattr("socket.gethostname", lambda: "another-host")
    assert server_key((), "/", 8888) != before


def test_second_server_of_an_identity_gets_its_own_state_key(tmp_path: Path) -> None:
    claims = [claim_key(tmp_path, "k") for _ in range(MOST_SERVERS)]
    assert [claim.key for claim in claims] == ["k", *(f"k-{n}" for n in range(2, MOST_SERVERS + 1))]
    assert all({c.key, *c.others} == {c.key for c in claims} for c in claims)
    with pytest.raises(OSError, match="already use the state of this identity"):
        claim_key(tmp_path, "k")
    claims[0].release()
    assert claim_key(tmp_path, "k").key == "k"


def test_next_server_takes_over_the_state_key_of_a_killed_server(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from auto_shutdown.state.identity import claim_key
claim = claim_key(Path({str(tmp_path)!r}), "k")
print(claim.key, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "k"
    assert claim_key(tmp_path, "k").key == "k"


def test_file_system_without_locks_gets_the_state_key_without_a_claim(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "server-k.lock")
    claim = claim_key(tmp_path, "k")
    assert claim.key == "k"
    claim.release()
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    assert claim_key(in_the_way, "k").key == "k"


def test_the_boot_identity_is_stable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert boot_identity() == boot_identity() != ""
    monkeypatch.setattr("auto_shutdown.state.identity.PROC", tmp_path)
    assert boot_identity() is None
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("abc\n")
    (tmp_path / "1").mkdir()
    (tmp_path / "1/stat").write_text("1 (odd) name) " + " ".join(map(str, range(3, 53))))
    assert boot_identity() == "abc-22"
