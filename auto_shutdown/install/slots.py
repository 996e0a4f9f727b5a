"""The *slots*: the members of SageMaker's settings that name the lifecycle configuration which runs
at each start of an app. This module fills and empties a slot, and keeps all settings beside it. It
is pure: settings in, settings out.

SageMaker runs only one lifecycle configuration without a user's choice. For JupyterLab in domains
and user profiles it is ``BuiltInLifecycleConfigArn``, which AWS provides for administrators and
which runs before the one that the user chooses. Elsewhere it is the default of
``DefaultResourceSpec``, which also has to be in the list ``LifecycleConfigArns``.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from .errors import UsageError
from .names import APP_TYPES

#: The value that empties a slot. An update cannot remove a member. The API's pattern for an ARN
#: also allows this word.
CLEARED = "None"

Settings = Mapping[str, Any]

_GROUPS = {
    "domain": ("DefaultUserSettings", "DefaultSpaceSettings"),
    "user-profile": ("UserSettings",),
    "space": ("SpaceSettings",),
}


@dataclass(frozen=True)
class Slot:
    """One slot. ``group`` and ``block`` are the names of the two levels above it in a description,
    such as ``DefaultUserSettings`` and ``JupyterLabAppSettings``. ``built_in`` says that the slot
    is ``BuiltInLifecycleConfigArn``; ``listed`` says that the block also has the list
    ``LifecycleConfigArns``, which must contain the configuration."""

    group: str
    block: str
    built_in: bool
    listed: bool

    @property
    def app_type(self) -> str:
        """SageMaker's app type, such as ``JupyterLab``."""
        return self.block.removesuffix("AppSettings")

    def current(self, description: Settings) -> str | None:
        """The ARN in the slot; None for an empty slot."""
        block = self._block(description)
        if self.built_in:
            arn = block.get("BuiltInLifecycleConfigArn")
        else:
            arn = (block.get("DefaultResourceSpec") or {}).get("LifecycleConfigArn")
        return arn if arn and arn != CLEARED else None

    def put(self, description: Settings, arn: str | None, instead_of: str | None) -> dict[str, Any]:
        """The block with ``arn`` in the slot (None empties it) and in the list, and without
        ``instead_of`` in the list.

        Returns the whole block. AWS does not document whether an update replaces a block or only
        the members in the request, and the whole block is right in both cases.
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
        """The block as it was before ``ours`` was attached: with ``previous`` in the slot (None
        empties it), and without ``ours`` in the list. ``previous`` is not added to the list,
        because it may not have been there."""
        block = self.put(description, previous, ours)
        listed = self._block(description).get("LifecycleConfigArns")
        if self.listed:
            block["LifecycleConfigArns"] = [arn for arn in listed or [] if arn != ours]
        return block

    def _block(self, description: Settings) -> Settings:
        return (description.get(self.group) or {}).get(self.block) or {}


def app_type_of(platform: str) -> str:
    """SageMaker's app type for a platform of the command line. Raises UsageError for a notebook
    instance, which has no such settings."""
    if platform not in APP_TYPES:
        raise UsageError(
            "A notebook instance takes one lifecycle configuration, by name: put this script into "
            "its on-start script while it is stopped (docs/administrators.md)."
        )
    return APP_TYPES[platform]


def slots(kind: str, app_type: str, description: Settings) -> tuple[Slot, ...]:
    """The slots of a domain, user profile or space (``kind``) for an app type. A domain without
    settings for shared spaces has no slot for them: to create these settings needs an execution
    role, which only the administrator can choose."""
    built_in = app_type == "JupyterLab" and kind != "space"
    listed = app_type == "JupyterServer"
    return tuple(
        Slot(group, f"{app_type}AppSettings", built_in, listed)
        for group in _GROUPS[kind]
        if group != "DefaultSpaceSettings" or description.get(group)
    )
