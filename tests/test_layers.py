"""The layers of the house: who may import whom, and that the core is pure."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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

#: What would make a decision depend on more than its arguments.
IMPURE = {
    "asyncio", "datetime.now", "http", "io", "logging", "os", "pathlib", "random", "socket",
    "subprocess", "tempfile", "threading", "time", "tornado", "jupyter_server", "boto3", "psutil",
}  # fmt: skip


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
    assert not {name.split(".")[0] for name, ours in imports(path) if not ours} & IMPURE
    calls = [
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert not {"now", "utcnow", "today"} & set(calls)


#: The pure modules of ``domain/``: facts, findings and actions.
DOMAIN_CORE = (
    "actions", "configuration_findings", "costs", "entries", "facts", "finding_texts", "findings",
    "memory", "observations", "policy", "policy_exceptions", "report", "report_lines",
    "resource_findings", "resources", "rules",
)  # fmt: skip


@pytest.mark.parametrize("name", DOMAIN_CORE)
def test_pure_modules_of_domain_import_no_io_and_no_clock(name: str) -> None:
    path = PACKAGE / "domain" / f"{name}.py"
    assert not {module.split(".")[0] for module, ours in imports(path) if not ours} & IMPURE
    assert {m.split(".")[0] for m, ours in imports(path) if ours} <= {"core", "_version"}


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
