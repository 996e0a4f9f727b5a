"""Terminals, through the server's terminal manager and in its process."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from weakref import WeakKeyDictionary

from ..core.model import IN_SERVICE, App, Terminal
from ..core.verdict import Outcome, Result
from .kernel_access import resolve
from .processes import PROC, read_process
from .stamps import parse_stamp

#: The shells that may sit in the foreground without doing anything.
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish", "csh", "tcsh", "ash"})

#: What only shows other shells: those are looked at when it matters (background_work.py).
MULTIPLEXERS = frozenset({"tmux: client", "screen"})

#: Terminado itself escalates from SIGHUP to SIGKILL within a second or two.
CLOSE_SECONDS = 30.0
UNLISTED_SECONDS = 5.0


class TerminalSource:
    """Reads and closes the terminals of one server. ``settings`` are its web application's: the
    terminal manager appears there once its own extension has loaded, which may be after ours."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    async def read(self) -> tuple[Terminal, ...]:
        """All terminals. None at all where terminals are switched off; raises what the manager
        raises when it cannot list them."""
        manager = self._settings.get("terminal_manager")
        if manager is None:
            return ()
        ptys = getattr(manager, "terminals", {})
        try:
            models = await resolve(manager.list())
        except AttributeError:
            # One that has said nothing yet has no last_activity, and then none can be listed.
            models = [_model(manager, name) for name in list(ptys)]
        return tuple(_terminal(model, ptys.get(model["name"])) for model in models)

    def pid_of(self, name: str) -> int | None:
        """The shell of a terminal of this host; None for an image terminal's."""
        manager = self._settings.get("terminal_manager")
        pty = getattr(manager, "terminals", {}).get(name)
        pid = getattr(getattr(pty, "ptyproc", None), "pid", None)
        return pid if isinstance(pid, int) else None

    async def remove(self, terminal: Terminal, only_unmoved: bool) -> Outcome:
        """Close one terminal and what runs in it; with ``only_unmoved`` not if a key reached it,
        or a command runs in it, since it was seen as ``terminal``. Never raises."""
        manager = self._settings.get("terminal_manager")
        try:
            if manager is None:
                raise KeyError(terminal.id)
            if only_unmoved and _has_moved(manager, terminal):
                return Outcome(Result.STALE, "It was used at the last moment.")
            closing = resolve(manager.terminate(terminal.id, force=True))
            await asyncio.wait_for(closing, CLOSE_SECONDS)
            await self._until_unlisted(manager, terminal.id)
        except Exception as error:
            if isinstance(error, KeyError) or getattr(error, "status_code", None) == 404:
                return Outcome(Result.GONE, "The terminal was already gone.")
            return Outcome(
                Result.TEMPORARY,
                f"Closing terminal {terminal.id} failed: {type(error).__name__}.",
                type(error).__name__,
                "It is tried again; the server's log has what its terminal manager says.",
            )
        return Outcome(Result.REMOVED, "The terminal was closed.")

    async def _until_unlisted(self, manager: Any, name: str) -> None:
        """The manager forgets a terminal a moment after its shell has ended, when the end of its
        output has been read. Until then the next look would still find it."""
        deadline = time.monotonic() + UNLISTED_SECONDS
        while (  # noqa: ASYNC110
            name in getattr(manager, "terminals", {}) and time.monotonic() < deadline
        ):
            await asyncio.sleep(0.01)  # the manager tells nobody when it forgets one


def _has_moved(manager: Any, terminal: Terminal) -> bool:
    pty = getattr(manager, "terminals", {}).get(terminal.id)
    input_at, _ = device_times(pty)
    return not terminal.in_image and (input_at != terminal.input_at or bool(foreground_job(pty)))


def _model(manager: Any, name: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = manager.get_terminal_model(name)
    except AttributeError:
        found = {"name": name}
    return found


def _terminal(model: Mapping[str, Any], pty: Any) -> Terminal:
    name = str(model["name"])
    try:
        last_activity = parse_stamp(model.get("last_activity"))
    except ValueError as error:
        return Terminal(name, unreadable=str(error))
    environment, instance_type = image_of(name)
    if environment is not None:
        # Its shell is in another container: what this server can see of it is not the truth.
        return Terminal(name, last_activity, environment=environment, instance_type=instance_type)
    read_at, written_at = device_times(pty)
    return Terminal(name, last_activity, read_at, written_at, foreground_job(pty))


def device_times(pty: Any) -> tuple[datetime | None, datetime | None]:
    """When a terminal's device was last read (a key reached a program) and last written (a
    program printed): what ``w`` shows as a user's idle time. Linux keeps them in steps of 8 s.
    Two Nones where there is no such device.
    """
    try:
        found = os.stat(_device(pty))
    except (AttributeError, OSError, TypeError, ValueError):
        return None, None
    return _instant(found.st_atime), _instant(found.st_mtime)


#: By terminal: what a shell that has ended left running can still print there.
_devices: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def _device(pty: Any) -> str:
    """The terminal that a shell was started in; its name does not change."""
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
    (``ARN__id__instance-type``, platform.md 3); two Nones for a plain one."""
    parts = name.split("__")
    if name.startswith("arn:") and len(parts) == 3:
        return parts[0], parts[2]
    return None, None


def foreground_job(pty: Any) -> str | None:
    """The name of the command in a terminal's foreground, without its arguments (they can hold
    secrets); None at an idle prompt or where that cannot be told.

    The shell has a job when the terminal's foreground process group is not its own. A second
    shell in the foreground that has no child is a prompt, too.
    """
    try:
        process = pty.ptyproc
        group = os.tcgetpgrp(process.fd)
        if group == process.pid or _has_ended(process.pid):
            return None
        name = _command(group)
        if name in MULTIPLEXERS or (name in SHELLS and not _has_children(group)):
            return None
        return name or "a command"
    except (AttributeError, OSError):
        return None


def _has_ended(pid: int) -> bool:
    """Whether the shell is gone: then what its device still says is of the past."""
    if not PROC.exists():
        return False
    shell = read_process(pid)
    return shell is None or shell.state in "ZX"


def _command(pid: int) -> str:
    try:
        return (PROC / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:  # not Linux, or it has just ended
        return ""


def _has_children(pid: int) -> bool:
    try:
        return bool((PROC / str(pid) / "task" / str(pid) / "children").read_text().strip())
    except OSError:
        return True  # not to be told: then it may have


def place(terminals: Iterable[Terminal], apps: Iterable[App]) -> tuple[Terminal, ...]:
    """Say of each image terminal in which app it runs: the one of its image and instance type,
    or the only one of that type where the image cannot be compared."""
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
