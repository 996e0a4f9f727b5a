"""A table of what the server lists: ``history`` and ``stopped``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..api.server_error import ExitCode
from .options import client_of
from .text import Cell, Column, Page


@dataclass(frozen=True)
class Listing:
    """``path`` is the route, and the member of its answer that holds the entries. ``row`` makes the
    cells of one entry below ``header``. ``nothing`` is the sentence for an empty list."""

    path: str
    header: Sequence[str | Column]
    row: Callable[[Mapping[str, Any]], list[Cell]]
    nothing: str

    def show(self, arguments: argparse.Namespace, **query: Any) -> ExitCode:
        """Ask the server, and show its answer. Raises ServerError."""
        answer = client_of(arguments).request("GET", self.path, query=query)
        page = Page()
        if arguments.json:
            page.json(answer)
        else:
            page.rows(self.header, map(self.row, answer[self.path]), self.nothing)
        return ExitCode.DONE
