"""Texts for users carry their templates, and each template has a translation."""

from __future__ import annotations

import ast
import copy
import json
import re
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
