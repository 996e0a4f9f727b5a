"""Where a lifecycle configuration stands in SageMaker's settings, and how to put one there and
take it out again without touching anything beside it. Pure: settings in, settings out.

One runs by itself at each start: for JupyterLab in domains and user profiles the built-in one,
which AWS provides for administrators and which runs before the user's choice; elsewhere the
default of ``DefaultResourceSpec``, which also has to be in the list ``LifecycleConfigArns``.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

#: SageMaker's word for "no longer any", where a member cannot be left out (its pattern has it).
CLEARED = "None"

Settings = Mapping[str, Any]

_GROUPS = {
    "domain": ("DefaultUserSettings", "DefaultSpaceSettings"),
    "user-profile": ("UserSettings",),
    "space": ("SpaceSettings",),
}


@dataclass(frozen=True)
class Slot:
    """``group`` and ``block`` say where in a description; ``built_in`` and ``listed`` which of
    the members it is."""

    group: str
    block: str
    built_in: bool
    listed: bool

    def current(self, description: Settings) -> str | None:
        """The ARN that stands there."""
        block = self._block(description)
        if self.built_in:
            arn = block.get("BuiltInLifecycleConfigArn")
        else:
            arn = (block.get("DefaultResourceSpec") or {}).get("LifecycleConfigArn")
        return arn if arn and arn != CLEARED else None

    def put(self, description: Settings, arn: str | None, instead_of: str | None) -> dict[str, Any]:
        """The block with ``arn`` there (None: nothing), and ``instead_of`` out of the list.

        The whole block, as it was described: AWS does not say whether an update replaces a block
        or only the members given, and so this is right in both cases.
        """
        block: dict[str, Any] = deepcopy(dict(self._block(description)))
        if self.built_in:
            block["BuiltInLifecycleConfigArn"] = arn or CLEARED
            return block
        spec = dict(block.get("DefaultResourceSpec") or {})
        block["DefaultResourceSpec"] = {**spec, "LifecycleConfigArn": arn or CLEARED}
        if self.listed:
            listed = [a for a in block.get("LifecycleConfigArns") or [] if a != instead_of]
            wanted = [] if arn is None or arn in listed else [arn]
            block["LifecycleConfigArns"] = listed + wanted
        return block

    def take_out(self, description: Settings, ours: str, previous: str | None) -> dict[str, Any]:
        """The block as it was before ``ours`` came: with ``previous`` in its place, and the list
        without ``ours``. Where the list did not have ``previous``, it does not get it."""
        block = self.put(description, previous, ours)
        listed = self._block(description).get("LifecycleConfigArns")
        if self.listed:
            block["LifecycleConfigArns"] = [arn for arn in listed or [] if arn != ours]
        return block

    def _block(self, description: Settings) -> Settings:
        return (description.get(self.group) or {}).get(self.block) or {}


def slots(kind: str, app_type: str, description: Settings) -> tuple[Slot, ...]:
    """The slots of a domain, user profile or space. A domain that has no settings for shared
    spaces gets none: they need an execution role, which is not ours to choose."""
    built_in = app_type == "JupyterLab" and kind != "space"
    listed = app_type == "JupyterServer"
    return tuple(
        Slot(group, f"{app_type}AppSettings", built_in, listed)
        for group in _GROUPS[kind]
        if group != "DefaultSpaceSettings" or description.get(group)
    )
