"""The administrator's demo, on a smaller account: it tells the truth, and fits a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from auto_shutdown.local_studio import domain_demo
from auto_shutdown.local_studio.large_account import Size

SIZE = Size(people=200, apps=500, notebook_instances=2)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def demo(root: Path) -> tuple[int, str]:
    out = io.StringIO()
    # On a pipe the demo would write each sentence in one line.
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    return domain_demo.run(root, console, SIZE), out.getvalue()


def test_domain_demo_succeeds_and_fits_80_columns(here: Path) -> None:
    code, printed = demo(here)
    assert code == 0, printed
    assert max(len(line.rstrip()) for line in printed.splitlines()) <= 80
    assert "500 apps" in printed
    assert "noticed" in printed
    assert "removed" in printed
    assert "The policy exempts resources with the tag auto-shutdown=keep." in printed
    assert not [line for line in printed.splitlines() if line.startswith("unknown")]
    assert "<title>" in (here / "studio.html").read_text(encoding="utf-8")


def test_domain_demo_fails_when_nothing_is_removed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(domain_demo.POLICY, "orphans", {"delete": False})
    code, printed = demo(here)
    assert code == 1
    assert "FAIL" in printed
