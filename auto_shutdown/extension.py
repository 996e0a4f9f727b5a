"""The Jupyter Server extension: wires the parts, starts and stops the loop; nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_config_dir
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from tornado.ioloop import IOLoop

from . import authority
from .clock import Clock
from .config import AdminTraits
from .controller import Controller
from .core.verdict import Fault
from .handlers import CONTROLLER, routes
from .history import History
from .store import Store, server_key
from .world import Platform, SageMaker, World, recognise
from .world.beats import BeatSource
from .world.clients import Clients
from .world.kernels import KernelSource
from .world.terminals import TerminalSource

#: A start that is under way when the server stops is waited for so long.
STOP_SECONDS = 10.0


class AutoShutdown(AdminTraits, ExtensionApp):
    """Administrators configure it as ``c.AutoShutdown.…`` (see the README)."""

    name = "auto_shutdown"
    extension_url = "/auto-shutdown/status"
    load_other_extensions = True

    _controller: Controller | None = None
    _sagemaker: SageMaker | None = None
    _world: World | None = None
    _starting: asyncio.Task[None] | None = None
    _stopped = False

    def initialize_handlers(self) -> None:
        """Add the routes, and start the passes as soon as the server's loop runs."""
        self.handlers.extend(routes())
        IOLoop.current().add_callback(self._start)

    @property
    def _server(self) -> ServerApp:
        assert self.serverapp is not None  # an extension is loaded by a server
        return self.serverapp

    async def _start(self) -> None:
        """Nothing that goes wrong here may reach the server (it is the users' work place)."""
        if self._stopped:  # a server that ends as soon as it has begun
            return
        self._starting = asyncio.current_task()
        try:
            controller = self._assemble()
            await controller.start()
        except Exception as error:
            self.log.error(
                "auto_shutdown could not start, and removes nothing: %s: %s",
                type(error).__name__,
                error,
            )
            return
        self._controller = controller
        self._server.web_app.settings[CONTROLLER] = controller
        kind, minutes = controller.platform.kind, controller.preferences.policy.idle_timeout
        self.log.info("auto_shutdown: watching (%s); idle after %s.", kind, minutes)

    def _settle_whose_configuration_counts(self) -> None:
        """Raises TraitError."""
        server, home, own = self._server, Path.home(), Path(jupyter_config_dir())
        directories = [Path(path) for path in server.config_file_paths]
        theirs = [d for d in directories if authority.is_users(d, home, own)]
        administrator = authority.administrators(d for d in directories if d not in theirs)
        if not administrator:
            authority.fill_in(self, authority.users(theirs))
            return
        explicit: dict[str, Any] = {}
        if server.config_file:
            explicit.update(authority.read_section(Path(server.config_file)))
        for given in (server.cli_config, self.cli_config):
            explicit.update(given.get(authority.SECTION, {}))
        names = AdminTraits.class_trait_names(config=True)
        ignored = authority.obey(self, names, administrator, explicit)
        self._config_error = None
        if ignored:
            told = "auto_shutdown: the administrator configures it; a user's %s counts for nothing."
            self.log.warning(told, ", ".join(ignored))

    def _assemble(self) -> Controller:
        self._settle_whose_configuration_counts()
        server = self._server
        platform = recognise(Path(self.metadata_path), self.platform_overrides(), os.environ)
        if platform.has_apps or platform.own_app is not None:
            allow = self.allow_irreversible_stop
            self._sagemaker = SageMaker(platform, allow_irreversible_stop=allow)
        directory = Path(self.state_dir)
        settings = server.web_app.settings
        clients, beats = Clients(), BeatSource(directory, self.activity_file, settings)
        clients.watch(server.web_app)
        with contextlib.suppress(Exception):  # a server without events tells of no saved document
            beats.listen(server.event_logger)
        self._world = World(
            platform,
            KernelSource(server.kernel_manager, server.session_manager, clients),
            TerminalSource(settings),
            self._sagemaker,
            server.connection_url,
            beats,
        )
        key = server_key(platform.identity, server.base_url, server.port)
        return Controller(
            self._world,
            Store(directory, key),
            History(directory, key),
            self.limits(),
            Clock(),
            self.log,
            _platform_faults(platform, Clock()),
        )

    async def stop_extension(self) -> None:
        """Called when the server stops."""
        self._stopped = True
        if self._starting is not None and not self._starting.done():
            await asyncio.wait({self._starting}, timeout=STOP_SECONDS)
        controller, self._controller = self._controller, None
        if controller is not None:
            await asyncio.shield(controller.stop())
        if self._world is not None:
            self._world.close()
        if self._sagemaker is not None:
            self._sagemaker.close()


def _platform_faults(platform: Platform, clock: Clock) -> tuple[Fault, ...]:
    problem = platform.problem
    if problem is None:
        return ()
    now = clock.read().now
    return (Fault("platform", problem.code, problem.message, problem.remedy, now),)
