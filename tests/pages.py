"""The commands that a page of the documentation prints, for tests that type them as printed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass(frozen=True)
class Command:
    """One command of a page. ``line`` is its text, ``words`` are its arguments, and ``output`` is
    the file that takes its standard output (empty: none)."""

    line: str
    words: tuple[str, ...]
    output: str = ""

    @property
    def is_ours(self) -> bool:
        return self.words[:2] == ("jupyter", "auto-shutdown")


def blocks(text: str, language: str = "") -> list[str]:
    """The fenced blocks of a page in ``language``; by default those without one, which hold
    commands. A block may be indented, as in a list."""
    fenced = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [content for found, content in fenced if found == language]


def commands(text: str, values: dict[str, str] | None = None) -> list[Command]:
    """The commands of a page in its order. ``values`` stand for the words in capitals that a
    reader replaces."""
    found = []
    for block in blocks(text):
        for line in _whole_lines(block):
            words = shlex.split(_filled(line, values or {}), comments=True)
            if not words or words[0] not in ("jupyter", "aws", "pip"):
                continue
            output = ""
            if ">" in words:
                at = words.index(">")
                words, output = words[:at], words[at + 1]
            found.append(Command(line, tuple(words), output))
    return found


def _whole_lines(block: str) -> list[str]:
    """The lines of ``block``: one that ends in a backslash, or inside quotes, goes on in the
    next."""
    whole, open_line = [], ""
    for line in block.splitlines():
        open_line += line
        if open_line.endswith("\\"):
            open_line = open_line[:-1] + " "
            continue
        try:
            shlex.split(open_line, comments=True)
        except ValueError:
            open_line += "\n"
            continue
        whole.append(open_line)
        open_line = ""
    return whole


def _filled(line: str, values: dict[str, str]) -> str:
    return re.sub(r"\b[A-Z]{3,}\b", lambda found: values.get(found[0], found[0]), line)
