"""The Jupyter Server extension: wires the parts, starts and stops the loop; nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from tornado.ioloop import IOLoop
from traitlets import default
from traitlets.config import Config

from .api.handlers import CONTROLLER, routes
from .config import precedence as authority
from .config import provenance
from .config.settings import Limits
from .config.traits import AdminTraits
from .core.verdict import Fault
from .cycle.controller import Controller
from .state.history import History
from .state.identity import server_key
from .state.store import Store
from .world.activity_file import ActivityFile
from .world.clock import Clock
from .world.heartbeats import HeartbeatSource
from .world.kernels import KernelSource
from .world.platform import Platform, recognise, state_directory
from .world.sagemaker import SageMaker
from .world.terminals import TerminalSource
from .world.websockets import WebsocketClients
from .world.world import World

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

    def load_config_file(self, *given: Any, **named: Any) -> None:
        """What Jupyter leaves out first, so that every file it does read wins over it."""
        found = provenance.drop_ins(self.config_file_paths)
        self.update_config(Config({provenance.SECTION: found}))
        super().load_config_file(*given, **named)

    def _recognise(self) -> Platform:
        return recognise(Path(self.metadata_path), self.platform_overrides(), os.environ)

    @default("state_dir")
    def _default_state_dir(self) -> str:
        return state_directory(self._recognise(), Path.home(), super()._default_state_dir())

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
            controller = self._assemble(await self._configured_limits())
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

    async def _configured_limits(self) -> Limits:
        """The limits, by whoever's configuration counts, and who set what. Raises TraitError."""
        server = self._server
        given: dict[str, Any] = {}
        for config in (getattr(server, "cli_config", {}), getattr(self, "cli_config", {})):
            given.update(config.get(provenance.SECTION, {}))
        directories, config_file = server.config_file_paths, server.config_file
        files = await asyncio.to_thread(provenance.read_files, directories, config_file)
        section = await asyncio.to_thread(authority.in_force, files, given)
        if section is not None:
            names = AdminTraits.class_trait_names(config=True)
            self._config_error = None  # of a value that does not count
            ignored = authority.obey(self, names, section)
            if ignored:
                told = "auto_shutdown: the administrator configures it; a user's %s is ignored."
                self.log.warning(told, ", ".join(ignored))
        configured = self.config.get(provenance.SECTION, {}) if section is None else section
        sources = provenance.sources(configured, files, given)
        return replace(self.limits(), sources=sources)

    def _assemble(self, limits: Limits) -> Controller:
        server = self._server
        platform = self._recognise()
        if platform.has_apps or platform.own_app is not None:
            allow = self.allow_irreversible_stop
            self._sagemaker = SageMaker(platform, allow_irreversible_stop=allow)
        directory = Path(self.state_dir)
        settings = server.web_app.settings
        activity_file = ActivityFile(self.activity_file)
        clients, beats = WebsocketClients(), HeartbeatSource(directory, activity_file, settings)
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
            activity_file if self.protect_from_native else None,
            runtime_directory=Path(server.runtime_dir),
        )
        key = server_key(platform.identity, server.base_url, server.port)
        return Controller(
            self._world,
            Store(directory, key),
            History(directory, key),
            limits,
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
