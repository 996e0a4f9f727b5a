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

from .api.events import JupyterEvents
from .api.handlers import CONTROLLER, routes
from .api.metrics import Metrics
from .api.startup import failed
from .config import provenance
from .config.loading import configured_limits
from .config.problems import ConfigurationError
from .config.settings import REMEMBER_STOPPED, Limits
from .config.traits import AdminTraits
from .core.verdict import Fault
from .cycle.controller import Controller
from .state.history import History
from .state.identity import ClaimedKey, claim_key, server_key
from .state.stopped import StoppedSessions
from .state.store import Store
from .world.activity_file import ActivityFile
from .world.change_signals import ChangeSignals
from .world.clock import Clock
from .world.file_thread import FileThread
from .world.heartbeats import HeartbeatSource
from .world.host_activity import HostActivity
from .world.kernel_access import channels_through
from .world.kernels import KernelSource
from .world.platform import Platform, recognise, state_directory
from .world.sagemaker import SageMaker
from .world.stop_switch import StopSwitch, switch_arn
from .world.terminals import TerminalSource
from .world.websockets import WebsocketClients
from .world.world import World

#: A start that is under way when the server stops is waited for so long.
STOP_SECONDS = 2.0

#: So long may the configuration and the state directory take to be read.
START_SECONDS = 60.0


class AutoShutdown(AdminTraits, ExtensionApp):
    """Administrators configure it as ``c.AutoShutdown.…`` (docs/reference/settings.md)."""

    name = "auto_shutdown"
    extension_url = "/auto-shutdown/status"
    load_other_extensions = True

    _controller: Controller | None = None
    _sagemaker: SageMaker | None = None
    _world: World | None = None
    _store: Store | None = None
    _history: History | None = None
    _switch: StopSwitch | None = None
    _metrics: Metrics | None = None
    _claim: ClaimedKey | None = None
    _platform = Platform()
    _starting: asyncio.Task[None] | None = None
    _stopped = False

    def _link_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Keep an error of Jupyter's for ``limits()``. The server would only log it, and run this
        extension without what could not be read."""
        self.serverapp = serverapp
        try:
            super()._link_jupyter_server_extension(serverapp)
        except Exception as error:
            message = f"The configuration cannot be loaded ({type(error).__name__}: {error})."
            self._config_error = self._config_error or ConfigurationError(message)

    def load_config_file(self, *given: Any, **named: Any) -> None:
        """Load the drop-ins, which Jupyter leaves out, before the files that it reads: so those
        win."""
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
        files = FileThread("start", START_SECONDS)
        try:
            limits = await self._configured_limits(files)
            key = await files.run(self._claim_key)
            controller = self._assemble(limits, key)
            await controller.start()
        except Exception as error:
            why = failed(self._server.web_app.settings, error)
            self.log.error("%s %s", why.message, why.remedy)
            return
        finally:
            files.close()
        self._controller = controller
        self._server.web_app.settings[CONTROLLER] = controller
        kind, minutes = controller.platform.kind, controller.preferences.policy.idle_timeout
        self.log.info("auto_shutdown: watching (%s); idle after %s.", kind, minutes)

    async def _configured_limits(self, files: FileThread) -> Limits:
        """Raises ConfigurationError unless everything that configures us is understood."""
        server = self._server
        loaded = [getattr(each, "_loaded_config_files", None) for each in (server, self)]
        limits, ignored = await configured_limits(
            self,
            files.run,
            directories=server.config_file_paths,
            config_file=server.config_file,
            merged=(server.config, self.config),
            command_lines=[getattr(each, "cli_config", {}) for each in (server, self)],
            loaded=None if None in loaded else [path for paths in loaded for path in paths or ()],
        )
        if ignored:
            text = "auto_shutdown: the administrator configures it; a user's %s is ignored."
            self.log.warning(text, ", ".join(ignored))
        return limits

    def _claim_key(self) -> ClaimedKey:
        platform, server = self._recognise(), self._server
        self._platform = platform
        key = server_key(platform.identity, server.base_url, server.port)
        return claim_key(Path(self.state_dir), key)

    def _assemble(self, limits: Limits, claim: ClaimedKey) -> Controller:
        server = self._server
        platform, self._claim = self._platform, claim
        if platform.has_apps or platform.own_app is not None:
            allow = self.allow_irreversible_stop
            self._sagemaker = SageMaker(platform, allow_irreversible_stop=allow)
        directory = Path(self.state_dir)
        settings = server.web_app.settings
        activity_file = ActivityFile(self.activity_file)
        clients = WebsocketClients()
        heartbeats = HeartbeatSource(directory, activity_file, settings)
        terminals = TerminalSource(settings)
        clients.watch(server.web_app)
        heartbeats.proxied.watch(settings)
        with contextlib.suppress(Exception):  # a server without events tells of no saved document
            heartbeats.listen(server.event_logger)
        self._world = World(
            platform,
            KernelSource(
                server.kernel_manager, server.session_manager, clients, channels_through(server)
            ),
            terminals,
            self._sagemaker,
            server.connection_url,
            heartbeats,
            HostActivity(activity_file, settings) if self.protect_from_native else None,
            runtime_directory=Path(server.runtime_dir),
        )
        if platform.shared and REMEMBER_STOPPED not in limits.sources:
            limits = replace(limits, defaults={**limits.defaults, REMEMBER_STOPPED: False})
        self._store = Store(directory, claim.key, claim.others)
        self._history = History(directory, claim.key, claim.others)
        controller = Controller(
            self._world,
            self._store,
            self._history,
            limits,
            Clock(),
            self.log,
            _platform_faults(platform, Clock()),
            switch=self._stop_switch(platform, limits),
            stopped=StoppedSessions(directory, claim.key),
        )
        clients.requests.on_change = controller.kernel_changed
        terminals.on_change = controller.wake
        self._connect(controller)
        return controller

    def _connect(self, controller: Controller) -> None:
        """Connect the controller to this server's signals, events and metrics, as far as the
        server has them."""
        server = self._server
        signals = ChangeSignals(controller.wake)
        signals.watch_requests(server.web_app)
        with contextlib.suppress(Exception):  # a server before 2.1
            signals.listen(server.event_logger)
        with contextlib.suppress(Exception):  # a server without events
            controller.announcer.add(JupyterEvents(server.event_logger))
        with contextlib.suppress(ImportError):  # without prometheus_client there are no metrics
            self._metrics = Metrics(controller.report, lambda: controller.unsignalled_changes)
            controller.announcer.add(self._metrics)

    def _stop_switch(self, platform: Platform, limits: Limits) -> StopSwitch:
        self._switch = StopSwitch(
            self.stop_tag,
            switch_arn(platform),
            self._sagemaker.list_tags if self._sagemaker is not None else None,
            self.stop_file,
            required="stop_tag" in limits.sources,
        )
        return self._switch

    async def stop_extension(self) -> None:
        """Called when the server stops. Never raises: the server would not go on to shut down its
        kernels, and they would outlive it."""
        self._stopped = True
        try:
            await self._stop_watching()
        except Exception as error:
            self.log.error("auto_shutdown: stopping failed", exc_info=error)
        finally:
            self._release()

    async def _stop_watching(self) -> None:
        if self._starting is not None and not self._starting.done():
            await asyncio.wait({self._starting}, timeout=STOP_SECONDS)
        controller, self._controller = self._controller, None
        if controller is not None:
            await asyncio.shield(controller.stop())

    def _release(self) -> None:
        """Let go of threads, sockets and the claim on the state files. Never raises."""
        parts = (self._store, self._history, self._world, self._switch, self._metrics)
        for each in (*parts, self._sagemaker):
            if each is not None:
                with contextlib.suppress(Exception):
                    each.close()
        if self._claim is not None:
            self._claim.release()


def _platform_faults(platform: Platform, clock: Clock) -> tuple[Fault, ...]:
    problem = platform.problem
    if problem is None:
        return ()
    now = clock.read().now
    return (Fault("platform", problem.code, problem.message, problem.remedy, now),)
