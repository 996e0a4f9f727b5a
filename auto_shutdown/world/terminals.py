"""Read and close terminals through the server's own terminal manager, in the server's process.

This module does not decide which terminal is idle; core/planner.py does. Before an automatic
removal it only checks that nobody has used the terminal since it was observed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..core.model import Departure, Terminal
from ..core.outcome import Outcome, Result
from ..core.signals import Signal
from ..core.translatable import sentence
from . import process_table
from .departures import Departures
from .final_check import FinalCheck, allows, always, kept
from .foreground import VIEWERS
from .kernel_access import resolve
from .pseudo_terminal import device_times, foreground_job, foreground_of, hang_up
from .stamps import parse_stamp

#: Terminado itself escalates from SIGHUP to SIGKILL within a second or two.
CLOSE_SECONDS = 30.0

#: The manager forgets a terminal within milliseconds of the end of its last process.
UNLISTED_SECONDS = 3.0

#: The name of a terminal whose model has no name.
UNNAMED = "?"


class TerminalSource:
    """Reads and closes the terminals of one server. ``settings`` are those of its web application.
    They have the terminal manager as soon as the terminals extension is loaded, which may be later
    than this extension."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._watched: Any = None
        self._listed: frozenset[str] = frozenset()
        #: When each terminal was first seen in its manager (monotonic), listed or not.
        self._first_seen: dict[str, float] = {}
        self._departures = Departures()
        #: Called when the shell of a terminal has ended: no request to the server shows that.
        self.on_change: Callable[[], None] = lambda: None

    def _watch_ends(self, manager: Any) -> None:
        """Observe the method that ``manager`` (terminado's) calls when a shell has ended."""
        if manager is self._watched:
            return
        self._watched = manager
        with contextlib.suppress(Exception):  # a manager without it shows its terminals at the poll
            ended = manager.on_eof

            def on_eof(*arguments: Any, **more: Any) -> Any:
                with contextlib.suppress(Exception):  # the manager's own work goes on
                    self._note_end(arguments[0])
                result = ended(*arguments, **more)
                self.on_change()
                return result

            manager.on_eof = on_eof

    def _note_end(self, pty: Any) -> None:
        """Record the last use of a terminal whose shell has ended.

        If no pass has listed the terminal, it was opened since the previous pass, and its
        ``last_activity`` counts. Otherwise only keys count, because a program may print while this
        extension closes its terminal, and that must not keep the app."""
        name = str(pty.term_name)
        if name in self._listed:
            used_at = device_times(pty)[0]
        else:
            used_at = parse_stamp(getattr(pty, "last_activity", None))
        if used_at is not None and image_of(name)[0] is None:
            self._departures.note(Departure(None, used_at, Signal.INPUT))

    @property
    def departures(self) -> tuple[Departure, ...]:
        """The terminals that ended a short time ago, with their last use."""
        return self._departures.recent

    async def read(self) -> tuple[Terminal, ...]:
        """All terminals; empty where terminals are switched off. Raises what the manager raises
        when it cannot list them."""
        manager = self._settings.get("terminal_manager")
        if manager is None:
            return ()
        self._watch_ends(manager)
        ptys = getattr(manager, "terminals", {})
        at = time.monotonic()
        self._first_seen = {name: self._first_seen.get(name, at) for name in list(ptys)}
        try:
            models = await resolve(manager.list())
        except AttributeError:
            # While a terminal has no output, it has no last_activity, and list() fails.
            models = [_model(manager, name) for name in list(ptys)]
        shell = shell_of(manager)
        found = tuple(_terminal(model, ptys, shell) for model in models)
        self._listed = frozenset(terminal.id for terminal in found)
        self._departures.begin_pass()
        return found

    def current(self, looked_at: float) -> tuple[Terminal, ...]:
        """The listed terminals, and those that were opened since ``looked_at`` (monotonic), as they
        are at this moment. Does not wait, and may be called in any thread."""
        manager = self._settings.get("terminal_manager")
        ptys, shell = getattr(manager, "terminals", {}), shell_of(manager)
        found = []
        for name in list(ptys):
            # A manager may have a terminal that it never lists.
            if name not in self._listed and self._first_seen.get(name, looked_at) < looked_at:
                continue
            with contextlib.suppress(Exception):  # a terminal that has just ended has no model
                found.append(_terminal(_model(manager, name), ptys, shell))
        return tuple(found)

    def pid_of(self, name: str) -> int | None:
        """The process id of a terminal's shell on this host; None for an image terminal."""
        manager = self._settings.get("terminal_manager")
        pty = getattr(manager, "terminals", {}).get(name)
        pid = getattr(getattr(pty, "ptyproc", None), "pid", None)
        return pid if isinstance(pid, int) else None

    async def remove(
        self, terminal: Terminal, only_unmoved: bool, still_removable: FinalCheck = always
    ) -> Outcome:
        """Close one terminal and end its programs. Never raises. With ``only_unmoved`` it is kept
        if a key reached it or a command began in it since it was observed as ``terminal``.
        ``still_removable`` is called right before the terminal is closed."""
        manager = self._settings.get("terminal_manager")
        try:
            if manager is None:
                raise KeyError(terminal.id)
            pty = getattr(manager, "terminals", {}).get(terminal.id)
            if only_unmoved and _has_moved(manager, terminal):
                return Outcome(Result.STALE, "It was used at the last moment.")
            front = foreground_of(pty)
            if not allows(still_removable):
                return kept()
            closing = resolve(manager.terminate(terminal.id, force=True))
            await asyncio.wait_for(closing, CLOSE_SECONDS)
            if not await _is_unlisted(manager, terminal.id):
                hang_up(*front)
                if not await _is_unlisted(manager, terminal.id):
                    return _still_there(terminal)
        except Exception as error:
            if isinstance(error, KeyError) or getattr(error, "status_code", None) == 404:
                return Outcome(Result.GONE, "The terminal was already gone.")
            return Outcome(
                Result.TEMPORARY,
                sentence("Closing terminal %1 failed: %2.", terminal.id, type(error).__name__),
                type(error).__name__,
                sentence(
                    "The extension tries again. The server's log has the messages of the terminal "
                    "manager."
                ),
            )
        return Outcome(Result.REMOVED, "The terminal was closed.")

    def is_listed(self, name: str) -> bool:
        """Whether the terminal manager still lists the terminal."""
        return name in getattr(self._settings.get("terminal_manager"), "terminals", {})


async def _is_unlisted(manager: Any, name: str) -> bool:
    """Whether the manager forgets the terminal within ``UNLISTED_SECONDS``. It does so when the
    last process that has the terminal's device open has ended."""
    deadline = time.monotonic() + UNLISTED_SECONDS
    while name in getattr(manager, "terminals", {}):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)  # the manager does not signal that it has forgotten a terminal
    return True


def _still_there(terminal: Terminal) -> Outcome:
    return Outcome(
        Result.STILL_THERE,
        sentence("The shell of terminal %1 was ended, but a program in it runs on.", terminal.id),
        "StillThere",
        sentence(
            "End the program (ps -ef, kill). If it belongs to another user (su, sudo), only "
            "that user can end it. The extension tries the removal again."
        ),
    )


def _has_moved(manager: Any, terminal: Terminal) -> bool:
    """Whether the terminal was used since it was observed as ``terminal``. Raises OSError if that
    cannot be read. Then the terminal is not closed."""
    if terminal.in_image:
        return False
    pty = getattr(manager, "terminals", {}).get(terminal.id)
    input_at, _ = device_times(pty)
    # A suspect terminal is closed although its command runs.
    job = foreground_job(pty, shell_of(manager))
    return input_at != terminal.input_at or bool(job and job != terminal.running_job)


def _model(manager: Any, name: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = manager.get_terminal_model(name)
    except AttributeError:
        found = {"name": name}
    return found


def _terminal(model: Any, ptys: Mapping[str, Any], shell: str) -> Terminal:
    """The terminal that its model and its device describe. It is ``unreadable`` if the model makes
    no sense or the device cannot be read, so that it does not count as idle."""
    try:
        name = str(model["name"])
    except (KeyError, TypeError) as error:
        why = sentence("its model has no name (%1)", type(error).__name__)
        return Terminal(UNNAMED, unreadable=why)
    try:
        last_activity = parse_stamp(model.get("last_activity"))
        environment, instance_type = image_of(name)
        if environment is not None:
            # Its shell runs in another container, so the device here does not show its use.
            return Terminal(
                name, last_activity, environment=environment, instance_type=instance_type
            )
        pty = ptys.get(name)
        read_at, written_at = device_times(pty)
        job = foreground_job(pty, shell)
        return Terminal(name, last_activity, read_at, written_at, job, job in VIEWERS)
    except (AttributeError, TypeError, ValueError) as error:
        return Terminal(name, unreadable=str(error))
    except OSError as error:
        return Terminal(name, unreadable=str(process_table.unreadable(error)))


def image_of(name: str) -> tuple[str | None, str | None]:
    """Environment ARN and instance type from the name of an image terminal
    (``ARN__id__instance-type``); two Nones for a plain one."""
    parts = name.split("__")
    if name.startswith("arn:") and len(parts) == 3:
        return parts[0], parts[2]
    return None, None


def shell_of(manager: Any) -> str:
    """The name of the program that the manager starts as the shell of its terminals."""
    command = getattr(manager, "shell_command", None)
    return os.path.basename(str(command[0])) if command else ""
