"""Prints the requirements of an extra of pyproject.toml, one a line.

So that an environment can be made without building the project first (which needs node)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]


def requirements(extra: str) -> list[str]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = project["name"]
    found: list[str] = list(project["dependencies"])
    for line in project["optional-dependencies"][extra]:
        if line.startswith(f"{own}["):
            for other in line[len(own) + 1 : -1].split(","):
                found += requirements(other)
        else:
            found.append(line)
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1])))
