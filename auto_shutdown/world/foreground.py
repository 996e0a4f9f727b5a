"""Programs in the foreground of a pseudo-terminal: is a shell waiting at its prompt, or does a
program run?

The same rule holds for Jupyter's terminals, panes of tmux and screen, and the terminals of other
servers: a program in the foreground that is not an idle shell is a job.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence

from . import proc_files, processes
from .processes import Process, Table

#: The shells. At its prompt a shell is in the foreground and does nothing.
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish", "csh", "tcsh", "ash"})

#: Programs that only display other terminals. The programs in the foreground of those terminals
#: count instead.
MULTIPLEXERS = frozenset({"tmux: client", "tmux: server", "tmux", "screen"})

#: Programs that wait on a host's consoles for a login.
LOGINS = frozenset({"agetty", "getty", "mingetty", "login"})

#: Programs that start another program and then only wait for its end. Those in Python are named by
#: the script or module that Python runs.
LAUNCHERS = frozenset(
    {
        "sudo", "su", "env", "nohup", "nice", "ionice", "setsid", "timeout", "time", "script",
        "xargs", "tini", "dumb-init", "docker-init", "catatonit", "supervisord", "gosu", "runuser",
        "numactl", "conda", "mamba", "micromamba", "pixi", "poetry", "pipenv", "uv", "uvx", "hatch",
        "jupyter",
    }
)  # fmt: skip

#: Programs that display something, or wait for a person. Their redraws, and the child processes
#: that ``watch`` starts, are no work.
VIEWERS = frozenset(
    {
        "less", "more", "most", "man", "top", "htop", "btop", "atop", "nvtop", "watch", "tail",
        "cat", "vi", "vim", "nvim", "nano", "emacs", "journalctl",
    }
)  # fmt: skip

#: Options of shells that take the next word as their value (bash(1), zsh(1), ksh(1)). Editors start
#: their terminals so: ``bash --init-file FILE``.
WITH_VALUE = frozenset({"--rcfile", "--init-file", "--emulate", "-o", "+o", "-O", "+O"})

#: The same for fish(1), where ``-C COMMAND`` runs a command before the prompt. In bash, ``-C`` has
#: no value.
WITH_VALUE_IN_FISH = frozenset({"-C", "--init-command", "-d", "--debug", "-D", "-f", "--features"})

Arguments = Callable[[int], Sequence[str]]


def is_shell(command: str) -> bool:
    """Whether a process of this name (``comm``) is a shell."""
    return command.lstrip("-") in SHELLS


def program_name(arguments: Sequence[str]) -> str:
    """What a command line runs, as people call it: ``papermill``, ``nbconvert``. It has no
    arguments, because they can hold secrets."""
    names = [os.path.basename(word) for word in arguments]
    if not names:
        return ""
    if not names[0].startswith("python"):
        return names[0]
    for index, word in enumerate(arguments[1:], 1):
        if word == "-m" and len(arguments) > index + 1:
            return arguments[index + 1]
        if word == "-c":  # the next word is the program itself, which can hold secrets, too
            break
        if not word.startswith("-"):
            return names[index]
    return names[0]


def only_starts_others(process: Process, arguments: Arguments) -> bool:
    """Whether this ancestor of another process does no work of its own: it is a shell, which waits
    for its commands, or a launcher. Raises OSError."""
    if is_shell(process.command) or process.command in LAUNCHERS:
        return True
    return program_name(arguments(process.pid)) in LAUNCHERS


def is_prompt(arguments: Sequence[str]) -> bool:
    """Whether a shell with this command line waits for a person to type, and does not run a script
    (``bash train.sh``) or a command (``sh -c 'python train.py'``)."""
    shell = os.path.basename(arguments[0]).lstrip("-") if arguments else ""
    with_value = WITH_VALUE_IN_FISH if shell == "fish" else WITH_VALUE
    words = iter(arguments[1:])
    for word in words:
        if not word.startswith(("-", "+")) or word.partition("=")[0] == "--command":
            return False
        if word in with_value:
            next(words, None)
        elif word.startswith("-") and not word.startswith("--") and "c" in word[1:]:
            return False
    return True


def foreground_programs(
    table: Table,
    server: int,
    leave_out: Collection[int] = (),
    arguments: Arguments = proc_files.read_arguments,
) -> list[Process]:
    """One process for each terminal of this host that has a program in its foreground or a stopped
    job, whoever opened it. ``leave_out`` are sessions that are looked at elsewhere (this server's
    terminals). The terminal that the Jupyter server itself runs in does not count. Raises
    OSError."""
    own_line = processes.ancestors(table, server)
    by_session: dict[int, list[Process]] = {}
    for process in table.values():
        if process.terminal and process.session not in leave_out and not process.has_ended:
            by_session.setdefault(process.session, []).append(process)
    programs = []
    for members in by_session.values():
        front = [process for process in members if process.is_in_front]
        if any(process.pid in own_line for process in front):
            continue
        found = program_of(front, arguments) or stopped_job(members)
        if found is not None:
            programs.append(found)
    return programs


def program_of(
    front: Iterable[Process], arguments: Arguments = proc_files.read_arguments
) -> Process | None:
    """The program among the processes in a terminal's foreground; None at a prompt. The group's
    leader has the name that people know. Raises OSError."""
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


def stopped_job(members: Iterable[Process]) -> Process | None:
    """The first of ``members`` that was stopped with Ctrl-Z and waits for a person to continue it
    (``fg``). It may be an editor with text that was never saved."""
    return next((process for process in members if process.is_stopped), None)
