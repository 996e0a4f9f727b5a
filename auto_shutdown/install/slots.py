"""The slots in SageMaker's settings that hold a lifecycle configuration, and how to fill and empty
one without touching anything beside it. Pure: settings in, settings out.

Only one configuration runs by itself at each start. For JupyterLab in domains and user profiles it
is the built-in one, which AWS provides for administrators and which runs before the user's choice.
Elsewhere it is the default of ``DefaultResourceSpec``, which also has to be in the list
``LifecycleConfigArns``.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

#: SageMaker's value for "none", where a member cannot be left out (the API's pattern allows it).
CLEARED = "None"

Settings = Mapping[str, Any]

_GROUPS = {
    "domain": ("DefaultUserSettings", "DefaultSpaceSettings"),
    "user-profile": ("UserSettings",),
    "space": ("SpaceSettings",),
}


@dataclass(frozen=True)
class Slot:
    """``group`` and ``block`` are the place in a description; ``built_in`` and ``listed`` say which
    members of the block hold the configuration."""

    group: str
    block: str
    built_in: bool
    listed: bool

    @property
    def app_type(self) -> str:
        return self.block.removesuffix("AppSettings")

    def current(self, description: Settings) -> str | None:
        """The ARN in the slot; None for an empty one."""
        block = self._block(description)
        if self.built_in:
            arn = block.get("BuiltInLifecycleConfigArn")
        else:
            arn = (block.get("DefaultResourceSpec") or {}).get("LifecycleConfigArn")
        return arn if arn and arn != CLEARED else None

    def put(self, description: Settings, arn: str | None, instead_of: str | None) -> dict[str, Any]:
        """The block with ``arn`` in the slot (None: empty), and without ``instead_of`` in the list.

        It is the whole block as described. AWS does not document whether an update replaces a block
        or only the given members, and this is right in both cases.
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
        """The block as it was before ``ours`` was attached: ``previous`` in the slot, and the list
        without ``ours``. ``previous`` is not added to the list."""
        block = self.put(description, previous, ours)
        listed = self._block(description).get("LifecycleConfigArns")
        if self.listed:
            block["LifecycleConfigArns"] = [arn for arn in listed or [] if arn != ours]
        return block

    def _block(self, description: Settings) -> Settings:
        return (description.get(self.group) or {}).get(self.block) or {}


def slots(kind: str, app_type: str, description: Settings) -> tuple[Slot, ...]:
    """The slots of a domain, user profile or space. A domain without settings for shared spaces has
    no slot for them: such settings need an execution role, which the administrator must choose."""
    built_in = app_type == "JupyterLab" and kind != "space"
    listed = app_type == "JupyterServer"
    return tuple(
        Slot(group, f"{app_type}AppSettings", built_in, listed)
        for group in _GROUPS[kind]
        if group != "DefaultSpaceSettings" or description.get(group)
    )
