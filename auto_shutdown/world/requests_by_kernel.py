"""The requests of all kernels of this server, by kernel id."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from .kernel_requests import KernelRequests


class Requests:
    """The requests of all kernels of this server."""

    def __init__(self) -> None:
        self._by_kernel: dict[str, KernelRequests] = {}
        #: Called with the id of a kernel that begins or ends its work, comes or goes.
        self.on_change: Callable[[str], None] = lambda _kernel_id: None

    def of(self, kernel_id: str) -> KernelRequests:
        """The requests of one kernel; empty for a new kernel."""
        found = self._by_kernel.get(kernel_id)
        if found is None:
            found = self._by_kernel[kernel_id] = KernelRequests(
                on_change=partial(self.changed, kernel_id)
            )
        return found

    def changed(self, kernel_id: str) -> None:
        """Signal that the kernel has changed."""
        self.on_change(kernel_id)

    def known(self, kernel_id: str) -> KernelRequests | None:
        return self._by_kernel.get(kernel_id)

    def keep_only(self, kernel_ids: Collection[str]) -> None:
        """Forget all other kernels, which no longer exist."""
        for gone in [kernel_id for kernel_id in self._by_kernel if kernel_id not in kernel_ids]:
            del self._by_kernel[gone]
