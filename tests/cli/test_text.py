"""What people read: columns that align, cuts that fit, colours only where they are wanted."""

from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone

import pytest

from auto_shutdown.cli.text import Page, columns, fitted, left_until

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(stream: io.StringIO) -> str:
    page = Page(stream)
    page.line("all is well", "good")
    page.table(("A", "WHY", "B"), [[("x", ""), ("a long reason " * 9, "bad"), ("end", "")]], 1)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_terminal_has_colours_and_an_edge() -> None:
    text = written(Terminal())
    assert "\x1b[32mall is well\x1b[0m" in text
    plain = [line for line in text.replace("\x1b[0m", "").split("\n") if "reason" in line]
    assert "…" in plain[0]
    assert plain[0].endswith("  end")
    assert columns(plain[0].replace("\x1b[31m", "")) == 60


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_declined(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert "\x1b" not in written(Terminal())


def test_a_file_has_neither() -> None:
    text = written(io.StringIO())
    assert "\x1b" not in text
    assert "…" not in text
    assert "a long reason " * 8 in text


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("ab", 4, "ab  "),
        ("abcdef", 4, "abc…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日… "),
        ("e\u0301", 2, "e\u0301 "),
    ],
)
def test_columns_are_those_of_a_terminal(text: str, width: int, expected: str) -> None:
    assert fitted(text, width) == expected
    assert columns(fitted(text, width)) == width


def test_control_characters_are_written_out() -> None:
    stream = io.StringIO()
    page = Page(stream)
    name, shown = "a\x1b]0;b\x07\nc", "a\\x1b]0;b\\x07\\nc\n"
    page.table(("N",), [[(name, "")]], 0)
    page.line(name)
    assert stream.getvalue() == f"N\n{shown}{shown}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ""),
        ("2026-03-01T13:30:00.000Z", "1 h 30 m"),
        ("2026-03-01T11:59:59.000Z", "now"),
        ((NOW + timedelta(seconds=42)).isoformat(), "42 s"),
    ],
)
def test_the_time_left(text: str | None, expected: str) -> None:
    assert left_until(text, NOW) == expected
