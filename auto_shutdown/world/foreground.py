"""Programs in the foreground of a pseudo-terminal: whether a shell waits at its prompt or runs
something. The rule is one for Jupyter's terminals, panes of tmux and screen, and other servers'
terminals: a program other than an idle shell is a job.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from . import processes
from .processes import Process, Table

#: The shells that may sit in the foreground without doing anything.
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish", "csh", "tcsh", "ash"})

#: Programs that only show other terminals, whose own foreground is looked at instead.
MULTIPLEXERS = frozenset({"tmux: client", "tmux: server", "tmux", "screen"})

#: What waits on a host's consoles for somebody to log in.
LOGINS = frozenset({"agetty", "getty", "mingetty", "login"})

#: Programs that show something to a person, or wait for one: a redraw of theirs is no work, and
#: nor is a child process that ``watch`` starts.
VIEWERS = frozenset(
    {
        "less", "more", "most", "man", "top", "htop", "btop", "atop", "nvtop", "watch", "tail",
        "cat", "vi", "vim", "nvim", "nano", "emacs", "journalctl",
    }
)  # fmt: skip

Arguments = Callable[[int], Sequence[str]]


def is_shell(command: str) -> bool:
    """Whether a process of this name (``comm``) is a shell."""
    return command.lstrip("-") in SHELLS


def is_prompt(arguments: Sequence[str]) -> bool:
    """Whether a shell with this command line waits for a person to type, and does not run a script
    (``bash train.sh``) or a command (``sh -c 'python train.py'``)."""
    for argument in arguments[1:]:
        if not argument.startswith("-"):
            return False
        if argument == "-c" or (not argument.startswith("--") and "c" in argument[1:]):
            return False
    return True


def foreground_programs(
    table: Table,
    server: int,
    leave_out: Collection[int] = (),
    arguments: Arguments = processes.read_arguments,
) -> list[Process]:
    """One process for each terminal of this host that has a program in its foreground, whoever
    opened it. ``leave_out`` are sessions that are looked at elsewhere (this server's terminals).
    The terminal that the Jupyter server itself runs in does not count. Raises OSError."""
    own_line = processes.ancestors(table, server)
    by_session: dict[int, list[Process]] = {}
    for process in table.values():
        if process.terminal and process.session not in leave_out and not process.has_ended:
            by_session.setdefault(process.session, []).append(process)
    programs = []
    for members in by_session.values():
        front = [process for process in members if process.group == process.foreground]
        if any(process.pid in own_line for process in front):
            continue
        found = program_of(front, arguments)
        if found is not None:
            programs.append(found)
    return programs


def program_of(
    front: Iterable[Process], arguments: Arguments = processes.read_arguments
) -> Process | None:
    """The program among the processes in a terminal's foreground; None at a prompt. The group's
    leader is the one that people know by name. Raises OSError."""
    programs = [
        process
        for process in front
        if not process.has_ended
        and process.command not in MULTIPLEXERS | LOGINS
        and not (is_shell(process.command) and is_prompt(arguments(process.pid)))
    ]
    return min(
        programs, key=lambda process: (process.pid != process.group, process.pid), default=None
    )
