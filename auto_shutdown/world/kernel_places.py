"""The app of each kernel in Studio Classic, also while no model names it.

The model of a session names the app of its kernel. The kernel models of some kernel managers do
not. The server loses its sessions with each restart, and cannot list them while a kernel starts. A
kernel never moves to another app, so the last known app stays valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ..core.model import IN_SERVICE, App, Kernel


class KernelPlaces:
    """Remembers the app of each kernel. ``is_local`` returns whether a kernel has a process on this
    host, so that it cannot run in an app of another container."""

    def __init__(self, is_local: Callable[[str], bool]) -> None:
        self._is_local = is_local
        self._apps: dict[str, str] = {}
        self._instance_types: dict[str, str] = {}

    def recall(self, apps: Mapping[str, str]) -> None:
        """Take over the apps that an earlier server knew. ``apps`` maps kernel ids to app ids."""
        self._apps.update(apps)

    def fill_in(
        self, kernels: Iterable[Kernel], apps: Iterable[App] = (), all_listed: bool = False
    ) -> tuple[Kernel, ...]:
        """``kernels``, each with its app. If the app of a kernel in another container was never
        known, the kernel may be in each of ``apps`` that is in service. ``all_listed``: ``kernels``
        has all kernels, so forget the apps of all others."""
        alive = {app.id: app.instance_type for app in apps if app.status == IN_SERVICE}
        placed = tuple(self._fill_in(kernel, alive) for kernel in kernels)
        if all_listed:
            ids = {kernel.id for kernel in placed}
            for known in (self._apps, self._instance_types):
                for kernel_id in known.keys() - ids:
                    del known[kernel_id]
        return placed

    def _fill_in(self, kernel: Kernel, alive: Mapping[str, str | None]) -> Kernel:
        if kernel.unreadable:
            return kernel
        if kernel.app is not None:
            self._apps[kernel.id] = kernel.app
            if kernel.instance_type:
                self._instance_types[kernel.id] = kernel.instance_type
            return kernel
        app = self._apps.get(kernel.id)
        if app is None:
            if self._is_local(kernel.id):
                return kernel
            return replace(kernel, may_be_in=tuple(alive), is_place_unknown=not alive)
        instance_type = (
            kernel.instance_type or self._instance_types.get(kernel.id) or alive.get(app)
        )
        return replace(kernel, app=app, instance_type=instance_type)
