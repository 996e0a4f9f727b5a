"""The Jupyter Server extension: loads its configuration, starts and stops the loop.

The parts are built in :mod:`~auto_shutdown.assembly`."""

from __future__ import annotations

import asyncio
import contextlib
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from tornado.ioloop import IOLoop
from traitlets import default
from traitlets.config import Config

from .api.base_handler import CONTROLLER
from .api.handlers import routes
from .api.startup import record_failure
from .config import other_applications, provenance
from .config.loading import configured_limits
from .config.problems import ConfigurationError
from .config.settings import Limits
from .config.traits import AdminTraits
from .core.formatting import printable
from .world.file_thread import FileThread
from .world.websocket_handlers import WebsocketHandlers

if TYPE_CHECKING:
    from .assembly import Assembly
    from .cycle.controller import Controller

#: How long a stopping server waits for a start of the extension that is still under way.
STOP_SECONDS = 2.0

#: How long the configuration and the state directory may take to be read. A network file system
#: that hangs must not keep the extension in the starting state for ever.
START_SECONDS = 60.0


class AutoShutdown(AdminTraits, ExtensionApp):
    """The extension. Administrators configure it as ``c.AutoShutdown.…``;
    docs/reference/settings.md lists the options."""

    name = "auto_shutdown"
    extension_url = "/auto-shutdown/status"
    load_other_extensions = True

    _controller: Controller | None = None
    _assembly: Assembly | None = None
    _starting: asyncio.Task[None] | None = None
    _websockets: WebsocketHandlers | None = None
    _stopped = False

    def _link_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Keep an error that Jupyter raises while it reads the configuration, so that the start of
        this extension fails with it. Jupyter itself would only log the error and run this extension
        without the part that it could not read."""
        self.serverapp = serverapp
        try:
            super()._link_jupyter_server_extension(serverapp)
        except Exception as error:
            message = f"The configuration cannot be loaded ({type(error).__name__}: {error})."
            self._config_error = self._config_error or ConfigurationError(message)

    def load_config_file(self, *args: Any, **kwargs: Any) -> None:
        """Load the drop-in files (``jupyter_server_config.d/*.json``), which Jupyter does not load
        for an extension, then the files that Jupyter does load. Later files win."""
        drop_ins = provenance.drop_ins(self.config_file_paths)
        self.update_config(Config({provenance.SECTION: drop_ins}))
        super().load_config_file(*args, **kwargs)

    @default("state_dir")
    def _default_state_dir(self) -> str:
        from .world.platform import recognise, state_directory

        platform = recognise(Path(self.metadata_path), self.platform_overrides(), os.environ)
        return state_directory(platform, Path.home(), super()._default_state_dir())

    def initialize_handlers(self) -> None:
        """Add the routes, and start the passes as soon as the server's loop runs."""
        self.handlers.extend(routes())
        IOLoop.current().add_callback(self._start)

    @property
    def _server(self) -> ServerApp:
        assert self.serverapp is not None  # an extension is loaded by a server
        return self.serverapp

    async def _start(self) -> None:
        """Start watching. Never raises: an error here must not stop a server on which people
        work. The log and ``GET status`` tell why the extension did not start."""
        if self._stopped:  # the server stopped before its loop ran this
            return
        self._starting = asyncio.current_task()
        files = FileThread("start", START_SECONDS)
        websockets = self._websockets = WebsocketHandlers()
        try:
            # No client has connected yet, and most extensions have added their handlers.
            websockets.watch(self._server.web_app)
            limits = await self._configured_limits(files)
            # The import takes some 20 ms, so it runs in a thread and not on the event loop.
            assembly = await files.run(import_module, "auto_shutdown.assembly")
            claimed = await files.run(assembly.claim, self._server, self)
            if self._is_stopped():
                claimed.key.release()
                return
            self._assembly = assembly.Assembly(
                self._server, self, limits, claimed, self.log, websockets
            )
            controller: Controller = self._assembly.controller
            await controller.start()
            # Extensions may have added handlers meanwhile, in their own late start.
            websockets.watch(self._server.web_app)
            if self._is_stopped():  # the server stopped during the start and did not wait for it
                await controller.stop()
                self._release()
                return
        except Exception as error:
            failure = record_failure(self._server.web_app.settings, error)
            self.log.error("%s %s", failure.message, failure.remedy)
            await self._give_up()
            return
        finally:
            files.close()
        self._controller = controller
        self._server.web_app.settings[CONTROLLER] = controller
        start_lines = import_module("auto_shutdown.cycle.start_lines").start_lines
        for line in start_lines(controller.preferences.policy, controller.platform):
            self.log.info("%s", printable(line))

    def _is_stopped(self) -> bool:
        """Whether the server has stopped. This is a method, because mypy assumes that a second read
        of the attribute in the same function is always false."""
        return self._stopped

    async def _configured_limits(self, files: FileThread) -> Limits:
        """The administrator's limits. Raises ConfigurationError when any part of the configuration
        of this extension cannot be read or understood."""
        server = self._server
        applications = other_applications.extension_applications(server, self)
        configs = [app.config for app in applications if app is not self]
        late = other_applications.late_section([*reversed(configs), server.config], self.config)
        if late:
            self.update_config(Config({provenance.SECTION: late}))
        loaded = [getattr(each, "_loaded_config_files", None) for each in (server, *applications)]
        limits, ignored = await configured_limits(
            self,
            files.run,
            directories=server.config_file_paths,
            config_file=server.config_file,
            extension_files=other_applications.file_names(applications, self),
            failed=other_applications.failed_packages(server),
            merged=(*reversed(configs), server.config, self.config),
            command_lines=[getattr(each, "cli_config", {}) for each in (server, self)],
            loaded=None if None in loaded else [path for paths in loaded for path in paths or ()],
        )
        if ignored:
            text = (
                "auto_shutdown: ignores %s, because only the administrator's configuration counts."
            )
            self.log.warning(text, ", ".join(ignored))
        return limits

    async def stop_extension(self) -> None:
        """Stop watching; the server calls this when it stops. Never raises: after an error here the
        server would not shut down its kernels, and they would outlive it."""
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

    async def _give_up(self) -> None:
        """After a failed start: end the passes if they began, and release all parts. Never
        raises."""
        if self._assembly is not None:
            with contextlib.suppress(Exception):
                await self._assembly.controller.stop()
        self._release()

    def _release(self) -> None:
        if self._websockets is not None:
            self._websockets.stop()
        assembly, self._assembly = self._assembly, None
        if assembly is not None:
            with contextlib.suppress(Exception):
                assembly.close()
