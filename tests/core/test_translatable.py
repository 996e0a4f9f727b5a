"""Texts for users carry their templates, and each template has a translation."""

from __future__ import annotations

import ast
import copy
import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import auto_shutdown
from auto_shutdown.core.translatable import Text, joined, parts_of, sentence

PACKAGE = Path(auto_shutdown.__file__).parent
CATALOGUES = sorted(PACKAGE.glob("locale/*/LC_MESSAGES/*.json"))

#: In the catalogues, the context of the server's sentences.
CONTEXT = "server\u0004"

#: What the panel shows of the server. Each takes a message, and most take a remedy.
SHOWN = {
    "Fault", "Unread", "RefusedError", "StoreError", "FileProblem", "Stop", "UnreadableError",
    "ProgramState", "works", "judge_use",
}  # fmt: skip

#: How the source of a fault begins where it is written in place.
SOURCES = ("f'setting {", "f'veto hook {", "f'connection of {", "f'shutdown of {")

#: Packages of the command line, whose texts the panel does not show.
ELSEWHERE = {"cli", "doctor", "domain", "install", "local_studio"}


def calls() -> list[tuple[str, ast.Call, str]]:
    """Each call of a plain name in the package: where it is, the call, and the name."""
    return [
        (f"{path.relative_to(PACKAGE)}:{node.lineno}", node, node.func.id)
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in ELSEWHERE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]


def templates() -> set[str]:
    found = set()
    for where, call, name in calls():
        if name == "sentence":
            template = call.args[0]
            assert isinstance(template, ast.Constant), f"{where}: the template is no literal"
            found.add(template.value)
    return found


def places(text: str) -> set[str]:
    return set(re.findall(r"%\d", text))


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_each_sentence_of_the_server_is_translated(path: Path) -> None:
    catalogue = json.loads(path.read_text(encoding="utf-8"))
    translations = {
        text[len(CONTEXT) :]: forms for text, forms in catalogue.items() if text.startswith(CONTEXT)
    }
    assert translations.keys() == templates()
    for template, forms in translations.items():
        assert len(forms) == 1, template
        assert places(forms[0]) == places(template), template


def test_catalogues_and_sentences_are_found() -> None:
    assert len(CATALOGUES) == 3
    assert len(templates()) > 100


def test_every_text_of_the_server_in_the_panel_consists_of_sentences() -> None:
    """A message that the code writes in place has no translation."""
    written_in_place = [
        where
        for where, call, name in calls()
        if name in SHOWN
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]
        if isinstance(argument, (ast.JoinedStr, ast.Constant))
        and " " in ast.unparse(argument)
        # The source of a fault names its cause; it is no sentence.
        and not ast.unparse(argument).startswith(SOURCES)
    ]
    assert written_in_place == []


def test_a_sentence_is_its_english_text() -> None:
    text = sentence("Cannot write %1: %2.", Path("/a"), "full")
    assert text == "Cannot write /a: full."
    assert json.dumps(text) == '"Cannot write /a: full."'
    assert parts_of(text) == [{"text": "Cannot write %1: %2.", "arguments": ["/a", "full"]}]


def test_a_sentence_keeps_its_arguments_unchanged() -> None:
    assert sentence("%1 and %2", "%2", "%1") == "%2 and %1"


def test_durations_instants_and_sentences_in_a_sentence_stay_what_they_are() -> None:
    """The panel writes them in the user's language."""
    at = datetime(2026, 3, 29, 1, 2, 3, tzinfo=timezone.utc)
    why = sentence("no answer within %1 (%2)", timedelta(seconds=40), "TimedOut")
    text = sentence("Since %1, for %2: %3.", at, timedelta(minutes=90), why)
    assert text == "Since 01:02:03 UTC, for 1 h 30 m: no answer within 40 s (TimedOut)."
    (part,) = parts_of(text)
    assert part["arguments"] == [
        {"at": "2026-03-29T01:02:03.000Z"},
        {"seconds": 5400.0},
        {
            "parts": [
                {"text": "no answer within %1 (%2)", "arguments": [{"seconds": 40.0}, "TimedOut"]}
            ]
        },
    ]
    json.dumps(part)


#: Functions whose result is a length of time or a time in English.
ENGLISH_TIMES = {"duration", "strftime", "left_until", "local_time"}

#: A number with an English unit, as in ``f"{seconds:g} s"`` and in the template ``"%1 s"``.
ENGLISH_UNIT = re.compile(r"(\}|%\d) ?(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)\b")


def english_durations(source: str) -> list[str]:
    """The sentences in ``source`` that contain an English duration or time, and the texts that may
    become part of one."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "sentence":
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            if names & ENGLISH_TIMES or ENGLISH_UNIT.search(ast.unparse(node.args[0])):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.JoinedStr) and ENGLISH_UNIT.search(ast.unparse(node)):
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("sentence('no answer within %1 s', 40)", 1),
        ("sentence('quiet for %1', duration(span))", 1),
        ("f'no answer within {limit:g} s'", 1),
        ("sentence('no answer within %1', timedelta(seconds=40))", 0),
        ("f'{seconds} steps'", 0),
    ],
)
def test_english_durations_are_found(code: str, count: int) -> None:
    assert len(english_durations(code)) == count


#: Texts for logs and for the ``duration`` function itself, which the panel does not show.
ONLY_ENGLISH = {"core/formatting.py"}


def test_no_duration_reaches_the_panel_as_english_text() -> None:
    found = {
        str(path.relative_to(PACKAGE)): english
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in ELSEWHERE
        and (english := english_durations(path.read_text()))
    }
    assert found.keys() == ONLY_ENGLISH, found


def test_texts_are_joined_with_their_parts() -> None:
    text = joined(sentence("It was set aside."), "", "50 %1 of it")
    assert text == "It was set aside. 50 %1 of it"
    assert parts_of(text) == [
        {"text": "It was set aside.", "arguments": []},
        {"text": "%1", "arguments": ["50 %1 of it"]},
    ]


def test_a_plain_string_is_one_part() -> None:
    assert parts_of("as it is") == [{"text": "%1", "arguments": ["as it is"]}]
    assert parts_of("") == []


@pytest.mark.parametrize(
    "through",
    [lambda text: str(ValueError(text)), copy.copy, copy.deepcopy, str],
    ids=["the message of an exception", "copy", "deepcopy", "str"],
)
def test_a_text_keeps_its_parts(through) -> None:  # type: ignore[no-untyped-def]
    text = sentence("The app has the status %1.", "Pending")
    assert isinstance(through(text), Text)
    assert parts_of(through(text)) == parts_of(text)
