"""Finds what makes the result of a module depend on more than the arguments of its functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

#: Modules of the standard library without I/O, clock, chance or threads. A pure module may import
#: these and no others, so that whoever adds one here has to think about it.
PURE_MODULES = {
    "__future__", "collections", "collections.abc", "dataclasses", "datetime", "difflib", "enum",
    "fnmatch", "functools", "itertools", "json", "math", "operator", "re", "typing",
}  # fmt: skip

#: ``id`` and ``hash`` are here because their values differ from one process to the next.
FORBIDDEN_BUILTINS = {
    "__builtins__", "__import__", "breakpoint", "compile", "eval", "exec", "globals", "hash", "id",
    "input", "open", "print",
}  # fmt: skip

READS_THE_CLOCK = {"now", "today", "utcnow"}


def impurities(source: str) -> list[str]:
    """The imports, names and calls in ``source`` that a pure module may not have.

    Imports of this package (relative or absolute) are left to the test of the layers.
    """
    nodes = list(ast.walk(ast.parse(source)))
    dates = {
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module == "datetime"
        for alias in node.names
        if alias.name in ("date", "datetime")
    }
    return [text for node in nodes for text in _of(node, dates)]


def _of(node: ast.AST, dates: set[str]) -> Iterator[str]:
    """``dates``: the names that the module gives to the classes ``date`` and ``datetime``."""
    if isinstance(node, ast.Import):
        yield from (f"imports {a.name}" for a in node.names if not _may_be_imported(a.name))
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        if not _may_be_imported(node.module or ""):
            yield f"imports {node.module}"
    elif isinstance(node, ast.Name):
        # Any use of the name: ``read = open`` is found as well as ``open(path)``.
        if node.id in FORBIDDEN_BUILTINS and isinstance(node.ctx, ast.Load):
            yield f"uses {node.id}"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        yield from _of_method_call(node.func.attr, len(node.args) + len(node.keywords))
    elif isinstance(node, ast.Attribute) and node.attr in READS_THE_CLOCK:
        # ``field(default_factory=datetime.now)`` reads the clock and has no call of ``now``.
        base = ast.unparse(node.value)
        if base in dates or base.endswith((".datetime", ".date")):
            yield f"uses {base}.{node.attr}"
    elif isinstance(node, ast.Global):
        yield f"changes the global {', '.join(node.names)}"
    elif isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)):
        yield "is asynchronous"


def _may_be_imported(name: str) -> bool:
    return name in PURE_MODULES or name.split(".")[0] == "auto_shutdown"


def _of_method_call(name: str, arguments: int) -> Iterator[str]:
    if name in READS_THE_CLOCK:
        yield f"calls {name}()"
    # The timezone is the last argument of both. Without it they use the machine's timezone.
    elif arguments < {"astimezone": 1, "fromtimestamp": 2}.get(name, 0):
        yield f"calls {name}() without a timezone"
