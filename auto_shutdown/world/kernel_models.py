"""Convert the models of kernels and sessions, which the server's managers report, to kernels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.marks import BUSY, COMING_UP
from ..core.model import KERNEL_GATEWAY, Kernel
from .kernel_requests import KernelRequests
from .platform import text_of
from .stamps import parse_stamp

#: What separates kernel and image in the kernelspec names of Studio Classic.
SAGEMAKER_INTERNAL = "__SAGEMAKER_INTERNAL__"

Model = Mapping[str, Any]

#: By kernel id: a model, and the kernel that was made from it.
Joined = dict[str, tuple[Model, Kernel]]


def join(
    models: Mapping[str, Model],
    unreadable: Mapping[str, str],
    sessions: Iterable[Model],
    before: Joined | None = None,
) -> tuple[Kernel, ...]:
    """The kernels, from their models and their sessions.

    ``before`` is the result of the previous pass: an unchanged kernel is taken from it, and then it
    is replaced by the new result. A session adds its path, and the fields that only its copy of the
    model has (``app_name`` on Studio Classic). A kernel that only a session names is included,
    because it may run in an app. Sessions with a null kernel and kernels without a session are
    common.
    """
    merged = dict(models)
    paths: dict[str, list[str]] = {}
    for session in sessions:
        model = session.get("kernel")
        if not isinstance(model, Mapping) or not model.get("id"):
            continue
        kernel_id = str(model["id"])
        if kernel_id not in unreadable:
            listed = merged.get(kernel_id)
            if listed is None or not model.keys() <= listed.keys():
                merged[kernel_id] = {**model, **(listed or {})}
        if session.get("path"):
            paths.setdefault(kernel_id, []).append(str(session["path"]))
    made: Joined = {}
    for key, model in merged.items():
        known, at = (before or {}).get(key), tuple(paths.get(key, ()))
        if known is None or known[0] != model or known[1].paths != at:
            # Copy the model, because managers may change theirs later.
            known = dict(model), kernel_of_model(key, model, at)
        made[key] = known
    if before is not None:
        before.clear()
        before.update(made)
    kernels = [kernel for _, kernel in made.values()]
    kernels += [
        Kernel(key, paths=tuple(paths.get(key, ())), unreadable=why)
        for key, why in unreadable.items()
    ]
    return tuple(kernels)


def kernel_of_model(kernel_id: str, model: Model, paths: tuple[str, ...]) -> Kernel:
    """The kernel that ``model`` describes. It is unreadable if the model has a malformed value."""
    name, _, image = str(model.get("name") or "").partition(SAGEMAKER_INTERNAL)
    # A name of another type is not known. Otherwise a kernel with ``app_name: 7`` would run in an
    # app that does not exist, and its true app would look empty.
    app_name = text_of(model, "app_name")
    try:
        last_activity = parse_stamp(model.get("last_activity"))
        connections = int(model.get("connections") or 0)
    except (TypeError, ValueError) as error:
        return Kernel(kernel_id, name, paths=paths, unreadable=str(error))
    return Kernel(
        id=kernel_id,
        name=name,
        state=str(model.get("execution_state") or "unknown"),
        last_activity=last_activity,
        connections=connections,
        app=f"{KERNEL_GATEWAY}/{app_name}" if app_name else None,
        instance_type=text_of(model, "instance_type"),
        image=image or None,
        paths=paths,
    )


def state_by_messages(state: str, requests: KernelRequests) -> str:
    """The state of a kernel, corrected by its messages. Messages only add activity: a kernel with
    an unfinished request or a silent shell is busy, and a kernel that has sent a message is no
    longer starting."""
    if state in COMING_UP and not requests.came_up:
        return state
    if requests.unfinished or requests.shell_silent:
        return BUSY
    return "idle" if state in COMING_UP else state
