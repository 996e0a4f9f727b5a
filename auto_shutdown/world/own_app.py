"""Removes the app or stops the notebook instance in which this server itself runs.

It never deletes the space, because that would delete its files. It never stops a notebook instance
that SageMaker would not start again (retired platforms, e.g. notebook-al2-v1), unless the
administrator allows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from ..core.outcome import Outcome, Result
from ..core.translatable import sentence
from .final_check import FinalCheck, always, kept

#: ``(operation, method, request)``: one call of the API.
Invoke = Callable[[str, str, Mapping[str, Any]], Any]

#: Platforms that SageMaker starts again after a stop. It has started no AL1 instances since
#: 2025-06-30 and no AL2 instances since 2026-07-01. An unknown platform counts as not startable.
RESTARTABLE = re.compile(r"notebook-al20(2[3-9]|[3-9]\d)-")


def stop_instance(
    invoke: Invoke,
    name: str,
    allow_irreversible: bool,
    still_removable: FinalCheck = always,
    platforms: MutableMapping[str, str] | None = None,
) -> Outcome:
    """Stop the notebook instance ``name``, unless ``still_removable`` returns False right before.
    Raises boto3's exceptions.

    DescribeNotebookInstance may be so slow that ``still_removable`` no longer allows the stop. Then
    ``platforms`` keeps the platform, which does not change while the instance runs, and the next
    attempt makes no such call.
    """
    platforms = {} if platforms is None else platforms
    platform = platforms.pop(name, None)
    if platform is None:
        found = invoke(
            "DescribeNotebookInstance", "describe_notebook_instance", {"NotebookInstanceName": name}
        )
        status = str(found.get("NotebookInstanceStatus"))
        if status in ("Stopping", "Stopped", "Deleting"):
            return Outcome(Result.GONE, f"The notebook instance was already {status.lower()}.")
        platform = str(found.get("PlatformIdentifier") or "unknown")
    if not allow_irreversible and not RESTARTABLE.match(platform):
        return Outcome(
            Result.PERMANENT,
            sentence(
                "The notebook instance is not stopped: on its platform (%1) it could not be "
                "started again.",
                platform,
            ),
            "IrreversibleStop",
            sentence(
                "Update it: aws sagemaker update-notebook-instance --platform-identifier "
                "notebook-al2023-v1 (while it is stopped). AutoShutdown.allow_irreversible_stop "
                "stops it all the same."
            ),
        )
    if not still_removable():
        platforms[name] = platform
        return kept()
    invoke("StopNotebookInstance", "stop_notebook_instance", {"NotebookInstanceName": name})
    detail = (
        f"SageMaker has accepted to stop notebook instance {name}, with this server on it. The "
        "files in its directory SageMaker stay."
    )
    return Outcome(Result.REMOVED, detail)
