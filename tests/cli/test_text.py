"""The output for people: aligned columns, text cut to the width, and colours only where they are
wanted."""

from __future__ import annotations

import io
import re
from datetime import datetime, timedelta, timezone

import pytest

from auto_shutdown.cli import status
from auto_shutdown.cli.findings import show_findings
from auto_shutdown.cli.text import Column, Page, columns, fitted, left_until, wrapped
from auto_shutdown.core.finding import failure, ok, warning

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(stream: io.StringIO, name: str = "x") -> str:
    page = Page(stream)
    page.line("all is well", "good")
    header = ("KIND", Column("NAME", keep_end=True), Column("WHY", sentences=True), "LEFT")
    page.table(header, [[("app", ""), (name, ""), ("a long reason " * 9, "bad"), ("end", "")]])
    return stream.getvalue()


def plain(text: str) -> list[str]:
    return re.sub(r"\x1b\[\d*m", "", text).splitlines()


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_output_to_a_terminal_has_colours_and_fits_its_width() -> None:
    text = written(Terminal())
    assert "\x1b[32mall is well\x1b[0m" in text
    assert "\x1b[2mKIND\x1b[0m" in text
    assert max(map(columns, plain(text))) <= 60


@pytest.mark.parametrize("width", [28, 40, 60, 80, 200])
def test_a_table_fits_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path keeps its end. A sentence is complete at every width: in its column, or below its
    row."""
    monkeypatch.setenv("COLUMNS", str(width))
    lines = plain(written(Terminal(), "projects/of/last/year/deep/train.ipynb"))
    assert max(map(columns, lines)) <= width
    row = next(line for line in lines if line.startswith("app"))
    assert "n.ipynb" in row
    assert " ".join(lines).split().count("reason") == 9
    assert not any("reason" in line and "…" in line for line in lines[2:])
    if width <= 60:
        assert lines[3].startswith("    a long reason")
    if width == 200:
        assert "  a long reason a long reason" in row


def test_a_table_is_a_list_where_not_even_its_shortest_columns_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A state or a time is never cut."""
    monkeypatch.setenv("COLUMNS", "18")
    lines = plain(written(Terminal(), "deep/train.ipynb"))
    assert lines[1:4] == ["KIND: app", "NAME:", "deep/train.ipynb"]
    assert lines[-1] == "LEFT: end"
    assert max(map(columns, lines)) <= 18
    assert " ".join(lines).split().count("reason") == 9


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_declined(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert "\x1b" not in written(Terminal())


def test_output_to_a_file_has_no_colours_and_full_lines() -> None:
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
def test_width_of_text_is_counted_in_terminal_columns(text: str, width: int, expected: str) -> None:
    assert fitted(text, width) == expected
    assert columns(fitted(text, width)) == width


def test_control_characters_are_written_out() -> None:
    stream = io.StringIO()
    page = Page(stream)
    name, shown = "a\x1b]0;b\x07\nc", "a\\x1b]0;b\\x07\\nc\n"
    page.table(("N",), [[(name, "")]])
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
def test_time_left_in_words(text: str | None, expected: str) -> None:
    assert left_until(text, NOW) == expected


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a bc", ["a bc"]),
        ("  one two three", ["  one two", "  three"]),
        ("  onetwothreefour", ["  onetwoth", "  reefour"]),
        ("日本語日本語", ["日本語日本", "語"]),
        ("a  b.ipynb", ["a  b.ipynb"]),
        ("one   two three", ["one   two", "three"]),
    ],
)
def test_lines_are_broken_between_words(text: str, lines: list[str]) -> None:
    assert wrapped(text, 10) == lines


FINDINGS = [
    ok("platform", "local"),
    warning("idle-without-a-limit", "No server " + "of this user " * 5 + "runs.", "Start one."),
    failure("日本", "a word " + "w" * 50, "Say `it` " + "again and again " * 6),
]


@pytest.mark.parametrize("colours", [True, False])
@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_findings_keep_their_columns_in_a_terminal(
    width: int, colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "" if colours else "1")
    stream = Terminal()
    show_findings(Page(stream), FINDINGS)
    assert ("\x1b[33mwarning\x1b[0m" in stream.getvalue()) is colours
    lines = plain(stream.getvalue())
    assert max(map(columns, lines)) <= width
    assert "…" not in stream.getvalue(), "every sentence is whole"
    assert lines[0].startswith("ok       platform")
    indent = 4 if width < 61 else len("warning  idle-without-a-limit  ")
    if indent > 4:
        assert lines[0][indent:] == "local"
    for line in lines:
        assert line.startswith((" " * indent, "ok  ", "warning  ", "failure  ")), line
    (remedy,) = (line for line in lines if "Start one." in line)
    assert remedy == " " * indent + "-> Start one."


def test_findings_in_a_file_have_one_line_for_each_sentence() -> None:
    stream = io.StringIO()
    show_findings(Page(stream), FINDINGS)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 5
    assert lines[0] == "ok       platform              local"
    assert lines[2] == " " * 31 + "-> Start one."


@pytest.mark.parametrize(
    ("outcome", "name"),
    [
        (
            {"kind": "kernel", "id": "k" * 36, "name": "python3", "paths": ["a/b.ipynb"]},
            "a/b.ipynb",
        ),
        ({"kind": "kernel", "id": "k" * 36, "name": "python3", "paths": []}, "python3 kkkkkkkk"),
        ({"kind": "terminal", "id": "1", "name": "1", "paths": []}, "1"),
        ({"kind": "terminal", "id": "1"}, "1"),
    ],
)
def test_an_outcome_is_shown_with_the_name_that_people_know(
    outcome: dict[str, object], name: str
) -> None:
    assert status._name_of(outcome) == name


def test_programs_beside_the_server_have_a_table_of_their_own() -> None:
    kernel = {
        "kind": "kernel",
        "id": "k9",
        "name": "python3",
        "started_by": "papermill",
        "state": "busy",
        "started_at": "2026-03-01T11:00:00Z",
        "keeps_app": True,
        "reason": "background-work",
        "detail": "It runs a cell.",
    }
    pane = {**kernel, "kind": "terminal", "id": "pts/3", "name": "less", "started_at": None}
    unknown = {**kernel, "started_by": "", "keeps_app": False}
    stream = io.StringIO()
    report = {"now": "2026-03-01T12:00:00Z", "programs": [kernel, pane, unknown]}
    status._show_programs(report, Page(stream))
    _, title, header, *rows = stream.getvalue().splitlines()
    assert title == "Other programs in this server's app. auto_shutdown does not end them:"
    assert header.split()[:5] == ["PROGRAM", "STATE", "SINCE", "KEEPS", "APP"]
    assert [row.split("  ")[0] for row in rows] == [
        "kernel of papermill (python3)",
        "less in pts/3",
        "kernel of an unknown program (python3)",
    ]
    assert "1 h ago" in rows[0]
    assert rows[0].endswith("background-work: It runs a cell.")
    empty = io.StringIO()
    status._show_programs({"now": report["now"]}, Page(empty))
    assert empty.getvalue() == "", "an older server has no programs"
