"""Veto hooks: other packages' last word before something is removed.

A package gives a callable in the entry-point group ``auto_shutdown.veto``. It is called with the
:class:`~auto_shutdown.core.verdict.Decision` and returns a reason (a short text) to object, or
None. It may be asynchronous. One that fails, or takes too long, counts as an objection (what
cannot be told is never idle) and as a fault that people see; the others are asked all the same.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from importlib.metadata import entry_points
from typing import Any

from ..core.ledger import Veto
from ..core.model import Ref
from ..core.verdict import Decision, Fault
from ..core.words import printable

GROUP = "auto_shutdown.veto"

#: A hook has this long for one decision.
HOOK_SECONDS = 5.0

#: An objection holds for so long; then the hook is asked again.
VETO_LASTS = timedelta(minutes=1)

#: What a hook says is shown to people, up to this length.
LONGEST = 200

Hook = Callable[[Decision], Any]


class VetoHooks:
    """The veto hooks of one server, loaded when first needed."""

    def __init__(self, log: logging.Logger, found: dict[str, Hook] | None = None) -> None:
        self._log = log
        self._hooks = found
        self._broken: dict[str, str] = {}
        self._running: dict[str, asyncio.Future[Any]] = {}

    def faults(self, now: datetime) -> list[Fault]:
        """The hooks that do not work, by what was last heard of them."""
        remedy = "Mend or uninstall the package that gives it; what it objects to stays."
        return [
            Fault(f"veto hook {name}", "HookFailed", text, remedy, now)
            for name, text in self._broken.items()
        ]

    async def ask(self, removals: Iterable[Decision], now: datetime) -> dict[Ref, Veto]:
        """The objections to ``removals``. Never raises."""
        if self._hooks is None:
            self._hooks = await asyncio.to_thread(self._load)
        vetoes: dict[Ref, Veto] = {}
        if not self._hooks:
            return vetoes
        for decision in removals:
            for name, hook in self._hooks.items():
                text = await self._ask_one(name, hook, decision)
                if text is not None:
                    vetoes[decision.ref] = Veto(name, text, now + VETO_LASTS)
                    break
        return vetoes

    def _load(self) -> dict[str, Hook]:
        found = entry_points()
        # Python 3.9 gives a dict of groups.
        group: Any = found.select(group=GROUP) if hasattr(found, "select") else found.get(GROUP, ())
        hooks: dict[str, Hook] = {}
        for entry in group:
            try:
                hooks[entry.name] = entry.load()
            except Exception as error:
                # Whatever it protects, nobody can tell: everything waits for it to be mended.
                failure = f"it cannot be loaded ({type(error).__name__}: {error})"
                hooks[entry.name] = _broken(failure)
        return hooks

    async def _ask_one(self, name: str, hook: Hook, decision: Decision) -> str | None:
        try:
            said = await asyncio.wait_for(self._call(name, hook, decision), HOOK_SECONDS)
        except asyncio.TimeoutError:
            return self._failed(name, f"it has not answered within {HOOK_SECONDS:g} s")
        except Exception as error:
            return self._failed(name, f"it failed ({type(error).__name__}: {error})")
        self._broken.pop(name, None)
        if said is None:
            return None
        return printable(str(said))[:LONGEST].rstrip(".")

    async def _call(self, name: str, hook: Hook, decision: Decision) -> Any:
        if inspect.iscoroutinefunction(hook):
            return await hook(decision)
        running = self._running.get(name)
        if running is not None and not running.done():
            # A thread cannot be ended: while it hangs there is no use in a second one.
            raise asyncio.TimeoutError
        self._running[name] = asyncio.ensure_future(asyncio.to_thread(hook, decision))
        said = await asyncio.shield(self._running[name])
        return await said if inspect.isawaitable(said) else said

    def _failed(self, name: str, text: str) -> str:
        text = printable(text)[:LONGEST]
        self._broken[name] = f"The veto hook {name} does not work: {text}."
        return text


def _broken(failure: str) -> Hook:
    def hook(_decision: Decision) -> str:
        raise RuntimeError(failure)

    return hook
