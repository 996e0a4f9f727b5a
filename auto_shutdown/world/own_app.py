"""The end of what this server itself runs in: a space's app, or a notebook instance.

Never the space (that would delete its files), and never a notebook instance that could not be
started again (platform.md 0.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..core.verdict import Outcome, Result

#: ``(operation, method, request)``: one call of the API.
Invoke = Callable[[str, str, Mapping[str, Any]], Any]

#: What can be started again after a stop. All AL2 platforms no longer can since 2026-07-01, AL1
#: since 2025-06-30; one that is not known here is taken for one that cannot.
RESTARTABLE = re.compile(r"notebook-al20(2[3-9]|[3-9]\d)-")


def stop_instance(invoke: Invoke, name: str, allow_irreversible: bool) -> Outcome:
    """Stop the notebook instance ``name``. Raises what boto3 raises."""
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
            f"The notebook instance is not stopped: on its platform ({platform}) it could not be "
            "started again.",
            "IrreversibleStop",
            "Update it: aws sagemaker update-notebook-instance --platform-identifier "
            "notebook-al2023-v1 (while it is stopped). AutoShutdown.allow_irreversible_stop stops "
            "it all the same.",
        )
    invoke("StopNotebookInstance", "stop_notebook_instance", {"NotebookInstanceName": name})
    detail = (
        f"SageMaker has accepted to stop notebook instance {name}, with this server on it. What is "
        "in its directory SageMaker stays."
    )
    return Outcome(Result.REMOVED, detail)
