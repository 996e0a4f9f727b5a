"""The last check before a removal ends a resource.

A request of a user can forbid a removal: a keep-alive, a longer limit, or the setting ``enabled``
switched off. Such a request may arrive after the decision to remove, while the removal asks a
kernel's shell or waits for its turn in a thread. A client may also connect in that time, or a
kernel may be started (changes_since_observation.py). So each source calls its ``FinalCheck`` right
before it ends the resource.
"""

from __future__ import annotations

from collections.abc import Callable

from ..core.outcome import Outcome, Result

#: Decides again, at this moment, and returns True if the resource is still to be removed. It
#: answers at once, makes no request, and may be called in any thread.
FinalCheck = Callable[[], bool]

KEPT = "It was kept at the last moment, by a request or because the removal had waited too long."


def allows(still_removable: FinalCheck) -> bool:
    """The answer of ``still_removable``. Its LookupError becomes a RuntimeError: the caller would
    take a LookupError to mean that the resource is gone."""
    try:
        return still_removable()
    except LookupError as error:
        raise RuntimeError("the last decision failed") from error


def always() -> bool:
    """Allow the removal, whatever has changed. It is for a removal that a user requested."""
    return True


def kept() -> Outcome:
    """The outcome of a removal that the ``FinalCheck`` did not allow."""
    return Outcome(Result.STALE, KEPT)
