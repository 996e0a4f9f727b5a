"""What a user needs to bring a kernel or terminal back after its removal."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.model import Kernel, Resource, Terminal
from .kernels import KernelSource
from .proc_files import working_directory
from .terminals import TerminalSource


@dataclass(frozen=True)
class Session:
    """The session of a kernel or terminal.

    - ``cells``: the code of the cells that the kernel has run (None: the kernel does not say).
    - ``directory``: the working directory of its process on this host (None: not known).
    """

    cells: tuple[str, ...] | None = None
    directory: str | None = None


async def read_session(
    resource: Resource, kernels: KernelSource, terminals: TerminalSource
) -> tuple[Resource, Session]:
    """The session of ``resource``, and the resource as it is after this query. Takes at most a few
    seconds. Never raises."""
    if isinstance(resource, Kernel):
        kernel, cells = await kernels.session_history(resource)
        return kernel, Session(cells, working_directory(kernels.pid_of(resource.id)))
    if isinstance(resource, Terminal):
        return resource, Session(None, working_directory(terminals.pid_of(resource.id)))
    return resource, Session()
