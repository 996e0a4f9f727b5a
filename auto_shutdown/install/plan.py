"""A plan: what attaching, detaching or rolling back changes, in sentences that a person reads
before anything is done."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .calls import name_of_arn
from .lifecycle import Script
from .names import PREFIX
from .slots import Slot
from .target import Target


@dataclass(frozen=True)
class Change:
    """What happens in one slot. ``old`` and ``new`` are ARNs (None: nothing). ``name`` and
    ``script`` are of a configuration that is to stand there; it is created if ``new`` is None."""

    slot: Slot
    old: str | None
    new: str | None = None
    name: str = ""
    script: str = ""


@dataclass(frozen=True)
class Plan:
    """The changes of one target. ``description`` is what SageMaker said of the target when the plan
    was made; ``wanted`` is the script that is to run; ``remarks`` are what else the administrator
    has to know."""

    target: Target
    changes: tuple[Change, ...]
    remarks: tuple[str, ...] = ()
    description: Mapping[str, Any] = field(default_factory=dict)
    wanted: Script | None = None

    def lines(self) -> list[str]:
        found = []
        created: set[str] = set()
        for change in self.changes:
            is_new = bool(change.script) and not change.new and change.name not in created
            if is_new:
                created.add(change.name)
                found.append(f"Create the lifecycle configuration {change.name}.")
            found += _change_lines(change, self.target)
        if self.changes and self.wanted is not None:
            found.append(f"  It installs {source_of(self.wanted)}")
        if not self.changes:
            found.append(f"Nothing to do: {self.target} is as it should be.")
        return found + [f"Mind: {remark}" for remark in self.remarks]


def _change_lines(change: Change, target: Target) -> list[str]:
    where = f"{change.slot.group}.{change.slot.block} of {target}"
    if not change.script:
        return [
            f"Take {name_of_arn(change.old)} out of {where}; then {name_of_arn(change.new)} runs."
        ]
    found = [f"Make {change.name} the one that runs at each start: {where}."]
    if change.old:
        found.append(f"  {name_of_arn(change.old)} is there now.")
    return found


def source_of(script: Script) -> str:
    """What a script installs, and the digest that the wheel must have."""
    digest = f"SHA-256 {script.sha256}" if script.sha256 else "no SHA-256: whatever is served there"
    index = f" from {script.index_url}" if script.index_url else ""
    return f"{script.source}{index} ({digest})."


def config_name(platform: str, version: str, script: str) -> str:
    """The name of a configuration. They cannot be changed, so the name carries a digest of the
    script, and each other script gets another name."""
    digest = hashlib.sha256(script.encode()).hexdigest()[:12]
    plain = "-".join("".join(c if c.isalnum() else " " for c in version).split())
    return f"{PREFIX}{platform}-{plain[:20]}-{digest}"
