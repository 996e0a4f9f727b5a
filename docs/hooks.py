"""Hooks for mkdocs that make pages from the code: the REST reference, the schemas of the events,
the help texts of the commands, and the list of decisions. These pages are not committed, so they
are always up to date."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the site is built without installing the package
API = ROOT / "auto_shutdown" / "api"


def on_config(config: Any) -> Any:
    """Add the generated pages, the decisions and all pages without a menu entry to the menu."""
    reference = next(part["Reference"] for part in config["nav"] if "Reference" in part)
    reference += [
        {"Help texts": "reference/help.md"},
        {"HTTP API": "reference/rest.md"},
        {"Schemas of the events": "reference/event-schemas.md"},
    ]
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    decisions = ["decisions/index.md", *(f"decisions/{page.name}" for page in pages)]
    config["nav"].append({"Decisions": decisions})
    # Pages that mkdocs.yml does not list go into the section "More".
    listed = str(config["nav"])
    pages = sorted(page.name for page in (ROOT / "docs").glob("*.md"))
    others = [name for name in pages if f"'{name}'" not in listed]
    if others:
        config["nav"].append({"More": others})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    made = {"help": help_texts(), "rest": rest(), "event-schemas": events()}
    for name, text in made.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace links to files outside docs/ by their text: they work in the repository only."""
    return re.sub(
        r"\[([^\]]+)\]\((?:\.\./)+(?:auto_shutdown|tests|bench|labextension)/[^)]*\)",
        r"\1",
        markdown,
    )


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page that makes the reader's browser load a file from another host.

    For example, the theme loads a script from a CDN on each page with a mermaid diagram.
    """
    loads = re.search(
        r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\ssrc(?:set)?=["']?(?:https?:)?//[^>]*>"""
        r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|icon|preload|preconnect))[^>]*"""
        r"""\shref=["']?(?:https?:)?//[^>]*>"""
        r"""|<\w+\b[^>]*\bclass=["'][^"']*\bmermaid\b[^>]*>""",
        output,
    )
    if loads:
        raise PluginError(f"{page.file.src_uri}: the page loads from another host: {loads[0]}")
    return output


def help_texts() -> str:
    """The page with the output of ``--help`` of every command."""
    from auto_shutdown.cli.main import make_parser

    lines = [
        "# Help texts",
        "",
        "The output of `--help`. [The command line](../command-line.md) explains the commands.",
    ]
    for name, parser in _parsers("jupyter auto-shutdown", make_parser()):
        lines += ["", f"## {name.removeprefix('jupyter auto-shutdown ')}", "", "```text"]
        lines += [parser.format_help().rstrip(), "```"]
    return "\n".join(lines)


def _parsers(
    name: str, parser: argparse.ArgumentParser
) -> list[tuple[str, argparse.ArgumentParser]]:
    found = [(name, parser)]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, child in action.choices.items():
                found += _parsers(f"{name} {word}", child)
    return found


def rest() -> str:
    """The page with the REST reference, made from the OpenAPI file."""
    spec = yaml.safe_load((API / "rest-api.yml").read_text())
    lines = ["# HTTP API", "", spec["info"]["description"], ""]
    for path, methods in spec["paths"].items():
        shared = methods.get("parameters", [])
        for method, call in methods.items():
            if method == "parameters":
                continue
            lines += [f"## {method.upper()} {path}", "", call.get("summary", ""), ""]
            if call.get("description"):
                lines += [call["description"], ""]
            rows = [_resolve(spec, p) for p in [*shared, *call.get("parameters", [])]]
            if rows:
                lines += ["| parameter | in | meaning |", "|---|---|---|"]
                lines += [f"| `{p['name']}` | {p['in']} | {_one_line(p)} |" for p in rows] + [""]
            body = call.get("requestBody")
            if body:
                lines += ["Body:", "", *_schema(spec, _json(spec, body)), ""]
            lines += ["| status | answer |", "|---|---|"]
            for status, answer in call["responses"].items():
                lines.append(f"| {status} | {_one_line(_resolve(spec, answer)) or _name(answer)} |")
            lines.append("")
    lines += ["## Schemas", ""]
    for name, schema in spec["components"].get("schemas", {}).items():
        lines += [f"### {name}", "", *_schema(spec, schema), ""]
    for name, answer in spec["components"].get("responses", {}).items():
        lines += [
            f"### Response {name}",
            "",
            _one_line(answer),
            "",
            *_schema(spec, _json(spec, answer)),
            "",
        ]
    return "\n".join(lines)


def _resolve(spec: Any, part: Any) -> Any:
    while "$ref" in part:
        place = spec
        for step in part["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        part = place
    return part


def _name(part: Any) -> str:
    return str(part.get("$ref", "")).rpartition("/")[2]


def _json(spec: Any, part: Any) -> Any:
    return _resolve(spec, part).get("content", {}).get("application/json", {}).get("schema", {})


def _one_line(part: Any) -> str:
    return " ".join(str(part.get("description", "")).split()).replace("|", "\\|")


def _schema(spec: Any, schema: Any, depth: int = 0) -> list[str]:
    """A schema as a nested list."""
    name = _name(schema)
    if name and depth:
        return []
    schema = _resolve(spec, schema)
    lines = [_one_line(schema), ""] if depth == 0 and _one_line(schema) else []
    required = set(schema.get("required", []))
    for key, value in schema.get("properties", {}).items():
        kind = _name(value) or _resolve(spec, value).get("type", "")
        note = _one_line(value)
        must = ", required" if key in required else ""
        lines.append("    " * depth + f"- `{key}` ({kind}{must}){': ' + note if note else ''}")
        inner = value.get("items", value)
        lines += _schema(spec, inner, depth + 1) if "properties" in inner else []
    if not lines and schema:
        lines.append("    " * depth + f"- {schema.get('type', 'any value')}")
    return lines


def events() -> str:
    """The page with the events of the extension, made from their schemas."""
    lines = ["# Schemas of the events", ""]
    schemas = sorted((API / "event_schemas").rglob("*.y*ml"))
    if not schemas:
        return "\n".join([*lines, "This version emits no events of its own; poll `GET status`."])
    lines += [
        "The extension emits these through Jupyter's own event system. Anybody may subscribe.",
        "",
    ]
    for path in schemas:
        schema = yaml.safe_load(path.read_text())
        lines += [f"## {schema.get('title', path.stem)}", "", f"`{schema['$id']}`", ""]
        lines += [
            " ".join(str(schema.get("description", "")).split()),
            "",
            *_schema(
                schema,
                {
                    "properties": schema.get("properties", {}),
                    "required": schema.get("required", []),
                },
            ),
            "",
        ]
    return "\n".join(lines)
