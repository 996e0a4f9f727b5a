"""The last word before a resource ends.

Some requests forbid a removal: a keep-alive, the setting ``enabled`` off, a longer limit. Such a
request may arrive after the last decision, while a source asks the kernel's shell or waits for its
turn in a thread. A client may also connect, or a kernel may be started (since_look.py). So each
source asks once more, right before it ends the resource.
"""

from __future__ import annotations

from collections.abc import Callable

from ..core.verdict import Outcome, Result

#: Returns whether the decision, made again at this moment, is to remove the resource. It answers at
#: once, makes no request, and may be called in any thread.
MayGo = Callable[[], bool]

KEPT = "It was kept at the last moment, by a request or because the removal had waited too long."


def allows(may_go: MayGo) -> bool:
    """The answer of ``may_go``. Its LookupError becomes a RuntimeError, because a LookupError of
    the manager means that the resource is gone."""
    try:
        return may_go()
    except LookupError as error:
        raise RuntimeError("the last decision failed") from error


def always() -> bool:
    """Allow the removal, as for one that a user requested."""
    return True


def kept() -> Outcome:
    """The outcome of a removal to which ``MayGo`` said no."""
    return Outcome(Result.STALE, KEPT)
