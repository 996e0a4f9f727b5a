"""Veto hooks: other packages may object to a removal.

A package registers a callable in the entry-point group ``auto_shutdown.veto``. It is called with
the :class:`~auto_shutdown.core.decision.Decision` and returns a reason (a short text) to object, or
None. It may be asynchronous. A hook that fails or takes too long counts as an objection (unknown
is never idle) and as a fault in the report. The other hooks are still called.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import entry_points
from typing import Any

from ..core.decision import Decision
from ..core.faults import Fault
from ..core.formatting import printable
from ..core.ledger import Veto
from ..core.model import Ref
from ..core.translatable import sentence
from ..world.worker_thread import ClosedError, Worker

GROUP = "auto_shutdown.veto"

#: Seconds that a hook has for one decision.
HOOK_SECONDS = 5.0

#: Seconds that each hook has for all decisions of a pass. The hooks are called at the same time.
ALL_SECONDS = 15.0

#: How long the time of the last call for a resource is remembered (seconds). Hooks are called first
#: for the resources without a remembered call.
REMEMBER_SECONDS = 3600.0

#: Seconds that the import of all hooks may take.
LOAD_SECONDS = 30.0

#: How long an objection holds before the hook is called again.
VETO_LASTS = timedelta(minutes=1)

#: How many characters of a hook's reason people see. The rest is cut off.
LONGEST = 200

Hook = Callable[[Decision], Any]


class VetoHooks:
    """The veto hooks of one server, loaded when first needed."""

    def __init__(self, log: logging.Logger, hooks: dict[str, Hook] | None = None) -> None:
        self._log = log
        self._hooks = hooks
        self._broken: dict[str, str] = {}
        self._asked_at: dict[Ref, float] = {}
        self._loader = Worker("auto-shutdown-veto", most_stuck=1)
        #: One thread for each hook, so that a hook that hangs does not delay the others.
        self._threads: dict[str, Worker] = {}

    def faults(self, now: datetime) -> list[Fault]:
        """The hooks whose last call failed."""
        remedy = sentence(
            "Repair or uninstall the package of this hook. While the hook fails, it objects to "
            "every removal."
        )
        return [
            Fault(f"veto hook {name}", "HookFailed", text, remedy, now)
            for name, text in self._broken.items()
        ]

    async def ask(self, removals: Iterable[Decision], now: datetime) -> dict[Ref, Veto]:
        """The objections to ``removals``. Never raises."""
        vetoes: dict[Ref, Veto] = {}
        hooks = self._hooks
        if hooks is None:
            try:
                hooks = self._hooks = await self._loader.run(self._load, LOAD_SECONDS)
            except (asyncio.TimeoutError, ClosedError):
                limit = timedelta(seconds=LOAD_SECONDS)
                why = self._failed("(any)", sentence("it cannot be loaded within %1", limit))
                until = now + VETO_LASTS
                return {decision.ref: Veto("(any)", why, until) for decision in removals}
            self._broken.pop("(any)", None)
            self._loader.close()
        # Begin with the decisions that waited longest: a slow hook may leave no time for the rest.
        decisions = sorted(removals, key=lambda decision: self._asked_at.get(decision.ref, 0.0))
        began_at = time.monotonic()
        self._asked_at = {
            ref: at for ref, at in self._asked_at.items() if began_at - at < REMEMBER_SECONDS
        }
        give_up_at = began_at + ALL_SECONDS
        rows = await asyncio.gather(
            *(self._ask_about_all(*each, decisions, give_up_at) for each in hooks.items())
        )
        for name, texts in zip(hooks, rows):
            for decision, text in zip(decisions, texts):
                if text is not None:
                    vetoes.setdefault(decision.ref, Veto(name, text, now + VETO_LASTS))
        return vetoes

    async def _ask_about_all(
        self, name: str, hook: Hook, decisions: Sequence[Decision], give_up_at: float
    ) -> list[str | None]:
        """The reason of one hook against each of ``decisions``, in their order (None: it does not
        object). The calls follow one another, so that a hook need not be thread-safe."""
        texts: list[str | None] = []
        for decision in decisions:
            left = min(HOOK_SECONDS, give_up_at - time.monotonic())
            if left > 0:
                self._asked_at[decision.ref] = time.monotonic()
                texts.append(await self._ask_one(name, hook, decision, left))
            else:
                limit = timedelta(seconds=ALL_SECONDS)
                texts.append(self._failed(name, sentence("it took longer than %1 for all", limit)))
        return texts

    def _load(self) -> dict[str, Hook]:
        all_entries = entry_points()
        # Python 3.9 returns a dict of groups.
        group: Any = (
            all_entries.select(group=GROUP)
            if hasattr(all_entries, "select")
            else all_entries.get(GROUP, ())
        )
        hooks: dict[str, Hook] = {}
        for entry in group:
            try:
                hooks[entry.name] = entry.load()
            except Exception as error:
                # Nobody knows which resources this hook protects. So it objects to every removal
                # until it can be loaded.
                failure = f"it cannot be loaded ({type(error).__name__}: {error})"
                hooks[entry.name] = _always_failing(failure)
        return hooks

    async def _ask_one(
        self, name: str, hook: Hook, decision: Decision, seconds: float
    ) -> str | None:
        try:
            answer = await asyncio.wait_for(self._call(name, hook, decision), seconds)
        except asyncio.TimeoutError:
            limit = timedelta(seconds=math.ceil(seconds))
            return self._failed(name, sentence("it has not answered within %1", limit))
        except Exception as error:
            text = printable(f"it failed ({type(error).__name__}: {error})")
            return self._failed(name, text[:LONGEST])
        self._broken.pop(name, None)
        if answer is None:
            return None
        return printable(str(answer))[:LONGEST].rstrip(".")

    async def _call(self, name: str, hook: Hook, decision: Decision) -> Any:
        if inspect.iscoroutinefunction(hook):
            return await hook(decision)
        # A thread cannot be ended. While this one hangs, no second thread is started.
        thread = self._threads.setdefault(name, Worker(f"auto-shutdown-veto-{name}", most_stuck=1))
        answer = await thread.run(partial(hook, decision), HOOK_SECONDS)
        return await answer if inspect.isawaitable(answer) else answer

    def close(self) -> None:
        """Call no hook any more. Does not wait for a hook that hangs."""
        self._loader.close()
        for thread in self._threads.values():
            thread.close()

    def _failed(self, name: str, text: str) -> str:
        self._broken[name] = sentence("The veto hook %1 does not work: %2.", name, text)
        return text


def _always_failing(failure: str) -> Hook:
    def hook(_decision: Decision) -> str:
        raise RuntimeError(failure)

    return hook
