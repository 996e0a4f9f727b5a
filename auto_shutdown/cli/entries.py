"""Shows a list of the server as a table, for the commands ``history`` and ``stopped``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..api.server_error import ExitCode
from .options import client_of
from .text import Cell, Column, Page


def show_entries(
    arguments: argparse.Namespace,
    path: str,
    header: Sequence[str | Column],
    row: Callable[[Mapping[str, Any]], list[Cell]],
    nothing: str,
    **query: Any,
) -> ExitCode:
    """Request the list ``path`` with ``query`` from the server that ``arguments`` choose, and print
    it: as JSON with ``--json``, else as a table. ``path`` is also the member of the answer that
    contains the entries. ``row`` makes the cells of one entry below ``header``. ``nothing`` is the
    sentence for an empty list. Raises ServerError."""
    answer = client_of(arguments).request("GET", path, query=query)
    page = Page()
    if arguments.json:
        page.json(answer)
    else:
        page.rows(header, map(row, answer[path]), nothing)
    return ExitCode.DONE
