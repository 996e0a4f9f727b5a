"""The layers of the house: who may import whom, and that the core is pure."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from purity import impurities

PACKAGE = Path(__file__).resolve().parents[1] / "auto_shutdown"

#: From the top; each may import those below it and its own.
LAYERS = (
    {"__main__"},
    {"cli"},
    {"doctor", "install", "domain"},
    {"extension"},
    {"assembly"},
    {"api"},
    {"cycle"},
    {"state"},
    {"config", "world"},
    {"safe_files"},
    {"core"},
)
MODULES = sorted(
    p
    for p in PACKAGE.rglob("*.py")
    if p.relative_to(PACKAGE).parts[0] not in ("local_studio", "__init__.py", "_version.py")
)


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Each imported module's name, and whether it is of this package (then without its name)."""
    depth = len(path.relative_to(PACKAGE).parts) - 1
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                own = alias.name.split(".")[0] == "auto_shutdown"
                yield alias.name.removeprefix("auto_shutdown."), own
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level == 0:
                yield module.removeprefix("auto_shutdown."), module.startswith("auto_shutdown")
            elif node.level == depth + 1:
                yield module or node.names[0].name, True
            # any other level stays inside its own folder


def layer_of(name: str) -> int:
    top = name.split(".")[0]
    return next(index for index, names in enumerate(LAYERS) if top in names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_lower_layers(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name, ours in imports(path):
        top = name.split(".")[0]
        if ours and top not in (own, "_version"):
            assert layer_of(name) > layer_of(own), f"{own} imports {name}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").glob("*.py")), ids=lambda p: p.name)
def test_core_imports_no_io_and_no_clock(path: Path) -> None:
    assert impurities(path.read_text()) == []


#: The modules of ``domain/`` that do I/O. All others there are pure: facts, findings and actions.
DOMAIN_IO = (
    "__init__", "connection", "deletion", "notices", "pace", "page", "permissions", "read_account",
    "read_lists", "read_observations", "reader", "remedies", "scope", "stores", "teardown", "tidy",
)  # fmt: skip


@pytest.mark.parametrize(
    "path",
    sorted(p for p in (PACKAGE / "domain").glob("*.py") if p.stem not in DOMAIN_IO),
    ids=lambda p: p.name,
)
def test_pure_modules_of_domain_import_no_io_and_no_clock(path: Path) -> None:
    assert impurities(path.read_text()) == []
    assert {name.split(".")[0] for name, ours in imports(path) if ours} <= {"core", "_version"}
    siblings = {
        name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for name in ([node.module] if node.module else [alias.name for alias in node.names])
    }
    assert not siblings & set(DOMAIN_IO), "a pure module imports one that does I/O"


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import os.path",
        "import requests",
        "import sqlite3",
        "import socket",
        "import time",
        "import threading as datetime",
        "import json, random",
        "import collections.abc, urllib.request",
        "from os import environ",
        "from time import time",
        "from pathlib import Path",
        "from importlib import import_module",
        "def f(p):\n    import subprocess",
        "if TYPE_CHECKING:\n    import logging",
        "open(path)",
        "read = open",
        "print(x)",
        "input()",
        "eval(text)",
        "exec(text)",
        "__import__('os')",
        "__builtins__['open']",
        "id(x)",
        "hash(x)",
        "globals()",
        "from datetime import datetime\ndatetime.now()",
        "from datetime import datetime\ndatetime.now(timezone.utc)",
        "from datetime import datetime\nx = field(default_factory=datetime.now)",
        "from datetime import datetime as dt\nclock = dt.utcnow",
        "import datetime\nclock = datetime.datetime.now",
        "import datetime as d\nd.date.today()",
        "date.today()",
        "instant.astimezone()",
        "datetime.fromtimestamp(seconds)",
        "def f():\n    global count",
        "async def f(): pass",
    ],
)
def test_each_impure_line_is_found(source: str) -> None:
    assert impurities(source)


@pytest.mark.parametrize(
    "source",
    [
        "from __future__ import annotations",
        "from collections.abc import Mapping",
        "from datetime import datetime, time, timedelta, timezone",
        "from ..core.model import Ref",
        "from auto_shutdown.core.model import Ref",
        "context.now - mark.idle_since",
        "instant.astimezone(timezone.utc)",
        "datetime.fromtimestamp(seconds, tz=timezone.utc)",
        "re.compile('a')",
        "ref.id",
        "Item(id=1)",
    ],
)
def test_pure_lines_pass(source: str) -> None:
    assert impurities(source) == []


def test_local_studio_and_the_product_do_not_import_each_other() -> None:
    for path in (PACKAGE / "local_studio").rglob("*.py"):
        for name, ours in imports(path):
            assert not ours or name.split(".")[0] == "local_studio", f"{path.name} imports {name}"
    for path in MODULES:
        assert not any(ours and name.startswith("local_studio") for name, ours in imports(path))


@pytest.mark.parametrize("module", ["auto_shutdown", "auto_shutdown.extension"])
def test_importing_the_extension_loads_no_boto3(module: str) -> None:
    code = f"import sys, {module}; print([m for m in sys.modules if m.startswith('boto')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_files_of_tests_have_different_names() -> None:
    """pytest imports them by their bare names, and cannot run two of one name together."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
