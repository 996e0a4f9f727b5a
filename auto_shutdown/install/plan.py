"""A plan: the changes that attaching, detaching or rolling back makes to one target, and the
sentences that the administrator reads before confirming them."""

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
    """The change of one slot. ``old`` is the ARN in the slot now, and ``new`` the ARN after the
    change; None is an empty slot. ``name`` and ``script`` describe the configuration of this
    package that the slot gets; if ``new`` is None, it is created. Both are empty for a change that
    only takes a configuration out."""

    slot: Slot
    old: str | None
    new: str | None = None
    name: str = ""
    script: str = ""


@dataclass(frozen=True)
class Plan:
    """The changes of one target. ``remarks`` are further sentences for the administrator.
    ``description`` is SageMaker's description of the target when the plan was made. ``wanted`` is
    the script that runs after the plan; None if the plan attaches none."""

    target: Target
    changes: tuple[Change, ...]
    remarks: tuple[str, ...] = ()
    description: Mapping[str, Any] = field(default_factory=dict)
    wanted: Script | None = None

    def lines(self) -> list[str]:
        """The plan for a person, one sentence or indented detail in each line."""
        lines = []
        created: set[str] = set()
        for change in self.changes:
            is_new = bool(change.script) and not change.new and change.name not in created
            if is_new:
                created.add(change.name)
                lines.append(f"Create the lifecycle configuration {change.name}.")
            lines += _change_lines(change, self.target)
        if self.changes and self.wanted is not None:
            lines.append(f"  It installs {source_of(self.wanted)}")
        if not self.changes:
            lines.append(f"Nothing to do: {self.target} has these settings already.")
        return lines + [f"Note: {remark}" for remark in self.remarks]


def _change_lines(change: Change, target: Target) -> list[str]:
    where = f"{change.slot.group}.{change.slot.block} of {target}"
    if not change.script:
        return [
            f"Take {name_of_arn(change.old)} out of {where}; then {name_of_arn(change.new)} runs."
        ]
    lines = [f"Make {change.name} the configuration that runs at each start: {where}."]
    if change.old:
        lines.append(f"  It takes the place of {name_of_arn(change.old)}.")
    return lines


def source_of(script: Script) -> str:
    """What a script installs, from where, and the digest that the wheel must have."""
    digest = f"SHA-256 {script.sha256}" if script.sha256 else "no SHA-256: it accepts any wheel"
    index = f" from {script.index_url}" if script.index_url else ""
    return f"{script.source}{index} ({digest})."


def config_name(platform: str, version: str, script: str) -> str:
    """The name of the lifecycle configuration with the text ``script``. SageMaker cannot change a
    lifecycle configuration, so the name contains a digest: another script has another name."""
    digest = hashlib.sha256(script.encode()).hexdigest()[:12]
    plain = "-".join("".join(c if c.isalnum() else " " for c in version).split())
    return f"{PREFIX}{platform}-{plain[:20]}-{digest}"
