"""Terminals, through the server's terminal manager and in its process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from weakref import WeakKeyDictionary

from ..core.model import IN_SERVICE, App, Departure, Terminal
from ..core.signals import Signal
from ..core.texts import sentence
from ..core.verdict import Outcome, Result
from . import process_table
from .departures import Departures
from .foreground import MULTIPLEXERS, VIEWERS, is_prompt, is_shell, stopped_job
from .kernel_access import resolve
from .proc_files import PROC, read_arguments, read_children, read_process
from .processes import Process
from .stamps import parse_stamp

#: Terminado itself escalates from SIGHUP to SIGKILL within a second or two.
CLOSE_SECONDS = 30.0

#: The manager forgets a terminal within milliseconds of the end of its last process.
UNLISTED_SECONDS = 3.0


#: Stands behind the name of a job that was stopped with Ctrl-Z.
STOPPED = " (stopped)"

#: What a terminal is called whose model gives no name.
UNNAMED = "?"


class TerminalSource:
    """Reads and closes the terminals of one server. ``settings`` are its web application's: the
    terminal manager appears there once its own extension has loaded, which may be after ours."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._watched: Any = None
        self._listed: frozenset[str] = frozenset()
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
        """Keep the last use of a terminal whose shell has ended. One that no pass has listed was
        opened since the previous pass, and its ``last_activity`` counts. Otherwise only keys count:
        what a program prints while this extension closes its terminal must not prolong the app."""
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
        """All terminals. None at all where terminals are switched off; raises what the manager
        raises when it cannot list them."""
        manager = self._settings.get("terminal_manager")
        if manager is None:
            return ()
        self._watch_ends(manager)
        ptys = getattr(manager, "terminals", {})
        try:
            models = await resolve(manager.list())
        except AttributeError:
            # A terminal without output so far has no last_activity, and then none can be listed.
            models = [_model(manager, name) for name in list(ptys)]
        shell = shell_of(manager)
        found = tuple(_terminal(model, ptys, shell) for model in models)
        self._listed = frozenset(terminal.id for terminal in found)
        self._departures.begin_pass()
        return found

    def pid_of(self, name: str) -> int | None:
        """The shell of a terminal of this host; None for an image terminal's."""
        manager = self._settings.get("terminal_manager")
        pty = getattr(manager, "terminals", {}).get(name)
        pid = getattr(getattr(pty, "ptyproc", None), "pid", None)
        return pid if isinstance(pid, int) else None

    async def remove(self, terminal: Terminal, only_unmoved: bool) -> Outcome:
        """Close one terminal and end what runs in it. With ``only_unmoved`` it stays if a key
        reached it, or a command runs in it, since it was seen as ``terminal``. Never raises."""
        manager = self._settings.get("terminal_manager")
        try:
            if manager is None:
                raise KeyError(terminal.id)
            pty = getattr(manager, "terminals", {}).get(terminal.id)
            if only_unmoved and _has_moved(manager, terminal):
                return Outcome(Result.STALE, "It was used at the last moment.")
            front = _foreground_of(pty)
            closing = resolve(manager.terminate(terminal.id, force=True))
            await asyncio.wait_for(closing, CLOSE_SECONDS)
            if not await _is_unlisted(manager, terminal.id):
                _hang_up(*front)
                if not await _is_unlisted(manager, terminal.id):
                    return _still_there(terminal)
        except Exception as error:
            if isinstance(error, KeyError) or getattr(error, "status_code", None) == 404:
                return Outcome(Result.GONE, "The terminal was already gone.")
            return Outcome(
                Result.TEMPORARY,
                sentence("Closing terminal %1 failed: %2.", terminal.id, type(error).__name__),
                type(error).__name__,
                sentence("It is tried again; the server's log has what its terminal manager says."),
            )
        return Outcome(Result.REMOVED, "The terminal was closed.")

    def is_listed(self, name: str) -> bool:
        """Whether the terminal's manager still has it."""
        return name in getattr(self._settings.get("terminal_manager"), "terminals", {})


async def _is_unlisted(manager: Any, name: str) -> bool:
    """Whether the manager forgets the terminal within ``UNLISTED_SECONDS``: it does so when the
    last process that has the device open has ended."""
    deadline = time.monotonic() + UNLISTED_SECONDS
    while name in getattr(manager, "terminals", {}):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)  # the manager notifies nobody when it forgets a terminal
    return True


def _foreground_of(pty: Any) -> tuple[int, int]:
    """The terminal's foreground process group and its session; two zeros without any."""
    try:
        return os.tcgetpgrp(pty.ptyproc.fd), pty.ptyproc.pid
    except (AttributeError, OSError):
        return 0, 0


def _hang_up(group: int, session: int) -> None:
    """Send SIGHUP to what was in a terminal's foreground, as the kernel does when the shell of a
    terminal ends (setsid(2)). Another user's program (``su -``) may not be signalled."""
    with contextlib.suppress(OSError):
        # A group of 0 would be this server's own, and a number that was used again somebody else's.
        if group > 1 and os.getsid(group) == session:
            os.killpg(group, signal.SIGHUP)


def _still_there(terminal: Terminal) -> Outcome:
    return Outcome(
        Result.STILL_THERE,
        sentence("The shell of terminal %1 was ended, but a program in it runs on.", terminal.id),
        "StillThere",
        sentence(
            "End that program (ps -ef, kill); one of another user (su, sudo) only that user can "
            "end. The removal is tried again."
        ),
    )


def _has_moved(manager: Any, terminal: Terminal) -> bool:
    """Raises OSError when that cannot be read: such a terminal is not closed."""
    if terminal.in_image:
        return False
    pty = getattr(manager, "terminals", {}).get(terminal.id)
    input_at, _ = device_times(pty)
    # What was busy for nothing goes with the command that it ran.
    job = foreground_job(pty, shell_of(manager))
    return input_at != terminal.input_at or bool(job and job != terminal.running_job)


def _model(manager: Any, name: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = manager.get_terminal_model(name)
    except AttributeError:
        found = {"name": name}
    return found


def _terminal(model: Any, ptys: Mapping[str, Any], shell: str) -> Terminal:
    """What a model and its device say. One that cannot be understood or read says so: it is not
    idle because of that."""
    try:
        name = str(model["name"])
    except (KeyError, TypeError) as error:
        return Terminal(UNNAMED, unreadable=f"its model has no name ({type(error).__name__})")
    try:
        last_activity = parse_stamp(model.get("last_activity"))
        environment, instance_type = image_of(name)
        if environment is not None:
            # Its shell is in another container: what this server can see of it is not the truth.
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


def device_times(pty: Any) -> tuple[datetime | None, datetime | None]:
    """When a terminal's device was last read (a key reached a program) and last written (a
    program printed): what ``w`` shows as a user's idle time. Linux keeps them in steps of 8 s.
    Two Nones where there is no such device. Raises OSError when there is one and it cannot be
    read.
    """
    try:
        status = os.stat(_device(pty))
    except (AttributeError, TypeError, ValueError, FileNotFoundError, ProcessLookupError):
        return None, None
    return _instant(status.st_atime), _instant(status.st_mtime)


#: The device of each terminal: a program can still print there when the shell has ended.
_devices: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def _device(pty: Any) -> str:
    """The device that a shell was started on; its name does not change."""
    if pty not in _devices:
        path = os.readlink(PROC / str(pty.ptyproc.pid) / "fd" / "0")
        if not path.startswith("/dev/pts/"):
            raise ValueError(path)
        _devices[pty] = path
    return _devices[pty]


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


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


def foreground_job(pty: Any, shell: str = "") -> str | None:
    """The name of the command in a terminal's foreground, without its arguments (they can hold
    secrets). At a prompt the name of a job that was stopped there (Ctrl-Z), with ``STOPPED``
    behind it, or None. ``shell`` is what the terminal was started with.

    Looks at the leader of the foreground process group, and at a prompt at the processes that the
    shell has started. That is cheap enough for every pass; survey.py looks at all processes before
    a removal. Raises OSError when the processes cannot be read.
    """
    process = getattr(pty, "ptyproc", None)
    if process is None or not PROC.exists():
        return None
    try:
        group = os.tcgetpgrp(process.fd)
    except OSError:
        return None  # the device is closed: the terminal is about to be forgotten
    root = read_process(process.pid)
    if root is None or root.has_ended:
        return None  # what the device still says is of the past
    leader = root if group == process.pid else read_process(group)
    if leader is None:
        return "a command"  # the first of several in a pipe has ended
    if leader.command in MULTIPLEXERS:
        return None
    if leader is root and leader.command == shell[:15]:
        return _stopped_under(leader)
    if is_shell(leader.command) and is_prompt(read_arguments(leader.pid)):
        return _stopped_under(leader) or _stopped_under(root)
    return leader.command


def _stopped_under(shell: Process) -> str | None:
    """The name of a job that was stopped in this shell, with ``STOPPED`` behind it."""
    children = map(read_process, read_children(shell.pid))
    job = stopped_job(child for child in children if child is not None)
    return None if job is None else job.command + STOPPED


def place(terminals: Iterable[Terminal], apps: Iterable[App]) -> tuple[Terminal, ...]:
    """Fill in the app of each image terminal: the one of its image and instance type, or the only
    one of that type where the images cannot be compared."""
    alive = [app for app in apps if app.status == IN_SERVICE]

    def placed(terminal: Terminal) -> Terminal:
        if not terminal.in_image:
            return terminal
        same_type = [app for app in alive if app.instance_type == terminal.instance_type]
        same_image = [app for app in same_type if _same_image(app.image, terminal.environment)]
        found = same_image or same_type
        return replace(terminal, app=found[0].id) if len(found) == 1 else terminal

    return tuple(placed(terminal) for terminal in terminals)


def _same_image(image: str | None, environment: str | None) -> bool:
    """``…:image/NAME`` and ``…:image-version/NAME/3`` are the same environment."""
    if not image or not environment:
        return False
    return _image_name(image) == _image_name(environment)


def _image_name(arn: str) -> str:
    return arn.split("image-version/")[-1].split("image/")[-1].split("/")[0].lower()
