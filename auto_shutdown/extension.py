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

from .api.handlers import CONTROLLER, routes
from .api.startup import failed
from .config import provenance
from .config.loading import configured_limits
from .config.problems import ConfigurationError
from .config.settings import Limits
from .config.traits import AdminTraits
from .world.file_thread import FileThread
from .world.websocket_handlers import WebsocketHandlers

if TYPE_CHECKING:
    from .assembly import Assembly
    from .cycle.controller import Controller

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
    _assembly: Assembly | None = None
    _starting: asyncio.Task[None] | None = None
    _websockets: WebsocketHandlers | None = None
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
        """Nothing that goes wrong here may reach the server (it is the users' work place)."""
        if self._stopped:  # a server that ends as soon as it has begun
            return
        # All extensions have added their handlers, and no client has connected yet.
        websockets = self._websockets = WebsocketHandlers()
        with contextlib.suppress(Exception):  # then no kernel's messages are seen on websockets
            websockets.watch(self._server.web_app)
        self._starting = asyncio.current_task()
        files = FileThread("start", START_SECONDS)
        try:
            limits = await self._configured_limits(files)
            # Imported here, and in the thread: it takes some 20 ms.
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
            if self._is_stopped():  # the server did not wait for a start that took long
                await controller.stop()
                self._release()
                return
        except Exception as error:
            why = failed(self._server.web_app.settings, error)
            self.log.error("%s %s", why.message, why.remedy)
            self._stop_observing()
            return
        finally:
            files.close()
        self._controller = controller
        self._server.web_app.settings[CONTROLLER] = controller
        kind, minutes = controller.platform.kind, controller.preferences.policy.idle_timeout
        self.log.info("auto_shutdown: watching (%s); idle after %s.", kind, minutes)

    def _is_stopped(self) -> bool:
        """Whether the server has stopped, perhaps during a start."""
        return self._stopped

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

    def _stop_observing(self) -> None:
        if self._websockets is not None:
            self._websockets.stop()

    def _release(self) -> None:
        self._stop_observing()
        assembly, self._assembly = self._assembly, None
        if assembly is not None:
            with contextlib.suppress(Exception):
                assembly.close()
