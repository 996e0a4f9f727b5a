"""The documentation agrees with the code, and its references lead somewhere."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from auto_shutdown.config.settings import FIELDS
from auto_shutdown.config.traits import AdminTraits
from auto_shutdown.core.decision import REMOVING, Reason
from auto_shutdown.core.signals import Signal

ROOT = Path(__file__).resolve().parents[1]
DECISIONS = ROOT / "docs" / "decisions"
REFERENCE = ROOT / "docs" / "reference"

#: The texts whose references are checked.
SUFFIXES = {".md", ".py", ".sh", ".ts", ".tsx", ".yml", ".yaml"}

#: A path with a folder, and a file name without one.
NAMED_PATH = re.compile(r"(?<![\w./~$*{-])([\w-]+(?:/[\w.-]+)*/[\w.-]+)")
NAMED_MODULE = re.compile(r"(?<![\w./~$*{<>-])([\w-]+\.(?:py|md|tsx?))(?![\w.])")

#: Pages that docs/hooks.py makes.
GENERATED = {"reference/help.md", "reference/rest.md", "reference/event-schemas.md"}

#: Files of Jupyter, of users and of other tools.
OF_OTHERS = {
    "NAME.py", "auto_stop_idle.py", "autostop.py", "jupyter_lab_config.py",
    "jupyter_server_config.py", "train.py",
}  # fmt: skip


def test_every_description_is_the_sentence_of_the_readme() -> None:
    sentence = re.search(r"^\*\*(.+?)\*\*", (ROOT / "README.md").read_text(), re.M)
    assert sentence is not None
    package = json.loads((ROOT / "labextension" / "package.json").read_text())
    assert package["description"] == sentence[1]
    assert f'description = "{sentence[1]}"' in (ROOT / "pyproject.toml").read_text()
    assert f"site_description: {sentence[1]}\n" in (ROOT / "mkdocs.yml").read_text()


def table(page: str, heading: str = "") -> dict[str, list[str]]:
    """The rows of a page's first table, or of the first below ``heading``, by their first cell."""
    text = (REFERENCE / page).read_text()
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0] if heading else text
    rows = [
        re.split(r"\s*\|\s*", line.strip("| ")) for line in section.splitlines() if line[:1] == "|"
    ]
    return {row[0].strip("`"): row[1:] for row in rows[2:]}


def test_settings_page_lists_every_setting_with_its_default() -> None:
    rows = table("settings.md", "Settings of a user")
    assert {name: json.loads(row[0].strip("`")) for name, row in rows.items()} == {
        name: field.default for name, field in FIELDS.items()
    }
    assert {name: row[1] for name, row in rows.items()} == {n: f.doc for n, f in FIELDS.items()}


def test_settings_page_lists_every_trait_with_its_default() -> None:
    rows = table("settings.md", "Traits of the administrator")
    traits = {n: t for n, t in AdminTraits.class_traits(config=True).items() if n not in FIELDS}
    assert set(rows) == set(traits)
    for name, (default, text) in rows.items():
        assert text == traits[name].help
        if default.startswith("`"):
            assert json.loads(default.strip("`")) == getattr(AdminTraits(), name)


def test_signals_page_lists_every_signal() -> None:
    names = {value for key, value in vars(Signal).items() if key.isupper()}
    assert set(table("signals.md")) == names


def test_reasons_page_lists_every_reason_with_its_action() -> None:
    rows = table("reasons.md")
    assert set(rows) == {reason.value for reason in Reason}
    assert {r for r, row in rows.items() if row[0] == "remove"} == {r.value for r in REMOVING}


def test_decisions_are_numbered_without_gaps() -> None:
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    assert [int(page.name[:3]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        assert page.read_text().startswith(f"# {int(page.name[:3])}. "), page.name


def test_functions_that_the_pages_name_exist() -> None:
    """`Class.name` and `_name`, in the pages that lead through the code."""
    package = "\n".join(path.read_text() for path in (ROOT / "auto_shutdown").rglob("*.py"))
    functions = set(re.findall(r"\bdef (\w+)", package))
    fields = set(re.findall(r"^ *(\w+)(?:: [^=\n]+)?(?: = |$)", package, re.MULTILINE))
    for page in ("docs/architecture.md", "docs/developers.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text()
        names = re.findall(r"`[A-Z]\w+\.(?!md|cff)(\w+)`|`(_\w+)`", text)
        missing = {method or name for method, name in names} - functions - fields
        assert not missing, f"{page}: {missing}"
        placed = re.findall(r"`(?:\w+\.)?(\w+)`(?:,? in| \(in| \() ?`(\w+/[\w/]+\.py)[`)]", text)
        for name, file in placed:
            source = (ROOT / "auto_shutdown" / file).read_text()
            assert re.search(rf"\b(def|class) {name}\b|^{name}\b", source, re.MULTILINE), (
                f"{page}: {name} is not in {file}"
            )


def texts() -> list[Path]:
    """The sources and pages of the repository whose references are checked."""
    code = ("auto_shutdown", "bench", "examples", "labextension/src", "tests")
    inside = (path for folder in (".github", "docs", *code) for path in (ROOT / folder).rglob("*"))
    beside = [*ROOT.glob("*.md"), *(ROOT / n for n in ("Makefile", "mkdocs.yml", "pyproject.toml"))]
    return [*(p for p in inside if p.suffix in SUFFIXES and p.is_file()), *beside]


def is_test(path: Path) -> bool:
    return "tests" in path.parts or "__tests__" in path.parts


def test_references_to_decisions_lead_to_a_page() -> None:
    numbers = {page.name[:3] for page in DECISIONS.glob("[0-9]*.md")}
    for path in texts():
        for found in re.finditer(r"decisions/(\d{3})|\bdecision (\d+)\b", path.read_text()):
            number = (found[1] or found[2]).zfill(3)
            assert number in numbers, f"{path.relative_to(ROOT)}: {found[0]}"


def test_paths_that_the_sources_and_pages_name_exist() -> None:
    """`core/planner.py`, docs/users.md: from the root, or from a folder that texts leave out."""
    tops = [ROOT / name for name in ("auto_shutdown", "docs", "tests", "labextension/src")]
    known = {p.name for top in tops for p in (top, *top.rglob("*")) if p.is_dir()}
    for path in texts():
        for name in NAMED_PATH.findall(path.read_text()):
            folder, file = name.split("/")[0], Path(name)
            if file.suffix not in SUFFIXES or name in GENERATED or file.name in OF_OTHERS:
                continue
            if "LANGUAGE" in name or (is_test(path) and folder not in known):
                continue  # a placeholder, or a file that the test makes
            places = [place / name for place in (ROOT, *tops, path.parent)]
            assert any(place.exists() for place in places), f"{path.relative_to(ROOT)}: {name}"


def test_modules_that_the_pages_and_docstrings_name_exist() -> None:
    """`one_pass.py`, without its folder."""
    names = {path.name for path in texts()}
    for path in texts():
        if not is_test(path):
            missing = {*NAMED_MODULE.findall(path.read_text())} - names - OF_OTHERS
            assert not missing, f"{path.relative_to(ROOT)}: {missing}"


def test_tests_that_the_pages_name_exist() -> None:
    """`tests/core/test_due.py::test_name`, and `test_name` alone."""
    named = 0
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    tests = set(re.findall(r"^\s*(?:async )?def (test_\w+)\(", sources, re.MULTILINE))
    for page in (path for path in texts() if path.suffix == ".md"):
        alone = set(re.findall(r"`(test_\w+)`", page.read_text()))
        assert alone <= tests, f"{page.relative_to(ROOT)}: {alone - tests}"
        for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text()):
            source = (ROOT / file).read_text()
            assert re.search(rf"^\s*(async )?def {name}\(", source, re.MULTILINE), f"{page}: {name}"
            named += 1
    assert named > 30


def test_links_between_pages_lead_to_a_file_and_a_heading() -> None:
    """mkdocs checks those inside docs/ only."""
    pages = [path for path in texts() if path.suffix == ".md"]
    for page in pages:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), f"{page.relative_to(ROOT)}: {link}"
            assert not anchor or anchor in anchors(target), f"{page.relative_to(ROOT)}: {link}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as mkdocs and GitHub make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", h).strip().lower()) for h in headings}


def test_every_module_has_a_docstring() -> None:
    for path in texts():
        if path.suffix == ".py":
            assert ast.get_docstring(ast.parse(path.read_text())), path.relative_to(ROOT)


def test_names_in_roles_of_docstrings_exist() -> None:
    """:mod:`.pace`, :class:`~auto_shutdown.core.model.Snapshot`, :func:`decide`."""
    for path in (ROOT / "auto_shutdown").rglob("*.py"):
        for name in re.findall(r":(?:mod|class|func|meth):`~?([\w.]+)`", path.read_text()):
            assert is_defined(name, path), f"{path.relative_to(ROOT)}: {name}"


def is_defined(name: str, module: Path) -> bool:
    """Whether ``name``, as the docstring of ``module`` writes it, is a module or defined in one. A
    bare name may be defined in any module of the same folder."""
    parts = name.lstrip(".").split(".")
    place = ROOT if parts[0] == "auto_shutdown" else module.parent
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if parts and (place / f"{parts[0]}.py").exists():
        place = place / f"{parts.pop(0)}.py"
    if not parts:
        return True
    sources = [place] if place.is_file() else module.parent.glob("*.py")
    defined = re.compile(rf"\b(class|def) {parts[0]}\b|^{parts[0]}\b", re.MULTILINE)
    return any(defined.search(source.read_text()) for source in sources)


def test_make_help_fits_a_terminal() -> None:
    makefile = (ROOT / "Makefile").read_text()
    lines = re.findall(r"^([a-z-]+):.*## (.*)$", makefile, re.MULTILINE)
    assert len(lines) > 10
    for name, text in lines:
        assert len(f"  make {name:<12} {text}") < 80, name
