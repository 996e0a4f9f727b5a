"""Builds the parts of the extension on one server, and connects them to the server's signals.

This module imports everything that runs on a server. Importing it takes some 20 ms of processor
time, so the extension imports it in a thread, after the server's first answer.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .api.events import JupyterEvents
from .api.metrics import Metrics
from .config.settings import REMEMBER_STOPPED, Limits
from .config.traits import AdminTraits
from .core.faults import Fault
from .cycle.controller import Controller
from .state.history import History
from .state.identity import ClaimedKey, claim_key, server_key
from .state.stopped import StoppedSessions
from .state.store import Store
from .world.activity_file import ActivityFile
from .world.activity_reporter import ActivityReporter
from .world.change_signals import ChangeSignals
from .world.clock import Clock
from .world.kernel_access import channels_through
from .world.kernels import KernelSource
from .world.platform import Platform, recognise
from .world.reported_activity import ReportedActivitySource
from .world.sagemaker import SageMaker
from .world.stop_switch import StopSwitch, switch_arn
from .world.terminals import TerminalSource
from .world.websocket_handlers import WebsocketHandlers
from .world.world import World


@dataclass(frozen=True)
class Claim:
    """The platform that this server runs on, and its claim on the state files of this server."""

    platform: Platform
    key: ClaimedKey


def claim(server: Any, traits: AdminTraits) -> Claim:
    """Recognise the platform and claim the state files of this server, so that no second server
    uses the same files. Blocks: it reads and writes files."""
    platform = recognise(Path(traits.metadata_path), traits.platform_overrides(), os.environ)
    key = server_key(platform.identity, server.base_url, server.port)
    return Claim(platform, claim_key(Path(traits.state_dir), key))


class Assembly:
    """The parts of the extension on one ``server``, configured by ``traits`` and ``limits``.
    ``websockets`` observes the server's websocket handlers since the server started."""

    def __init__(
        self,
        server: Any,
        traits: AdminTraits,
        limits: Limits,
        claimed: Claim,
        log: logging.Logger,
        websockets: WebsocketHandlers,
    ) -> None:
        self._claim = claimed.key
        self._parts: list[Any] = []
        try:
            self.controller = self._build(
                server, traits, limits, claimed.platform, claimed.key, log, websockets
            )
        except BaseException:
            self.close()
            raise

    def _build(
        self,
        server: Any,
        traits: AdminTraits,
        limits: Limits,
        platform: Platform,
        claim: ClaimedKey,
        log: logging.Logger,
        websockets: WebsocketHandlers,
    ) -> Controller:
        directory = Path(traits.state_dir)
        settings = server.web_app.settings
        sagemaker = None
        if platform.has_apps or platform.own_app is not None:
            allow = traits.allow_irreversible_stop
            sagemaker = self._closed_later(SageMaker(platform, allow_irreversible_stop=allow))
        activity_file = ActivityFile(traits.activity_file)
        clients, terminals = websockets.clients, TerminalSource(settings)
        world = self._closed_later(
            World(
                platform,
                KernelSource(
                    server.kernel_manager, server.session_manager, clients, channels_through(server)
                ),
                terminals,
                sagemaker,
                server.connection_url,
                _reported_activity(server, directory, activity_file),
                ActivityReporter(activity_file, settings) if traits.protect_from_native else None,
                runtime_directory=Path(server.runtime_dir),
                websockets=websockets,
            )
        )
        if platform.shared and REMEMBER_STOPPED not in limits.sources:
            limits = replace(limits, defaults={**limits.defaults, REMEMBER_STOPPED: False})
        key, others = claim.key, claim.others
        switch = StopSwitch(
            traits.stop_tag,
            switch_arn(platform),
            sagemaker.list_tags if sagemaker is not None else None,
            traits.stop_file,
            required="stop_tag" in limits.sources,
        )
        controller = Controller(
            world,
            self._closed_later(Store(directory, key, others)),
            self._closed_later(History(directory, key, others)),
            limits,
            Clock(),
            log,
            _platform_faults(platform, Clock()),
            switch=self._closed_later(switch),
            stopped=StoppedSessions(directory, key),
        )
        clients.requests.on_change = controller.kernel_changed
        terminals.on_change = controller.wake
        self._connect(server, controller)
        return controller

    def _closed_later(self, part: Any) -> Any:
        self._parts.append(part)
        return part

    def _connect(self, server: Any, controller: Controller) -> None:
        """Connect the controller to those signals, events and metrics that this version of the
        server has."""
        signals = ChangeSignals(controller.wake)
        signals.watch_requests(server.web_app)
        with contextlib.suppress(Exception):  # jupyter_server before 2.1 has no kernel events
            signals.listen(server.event_logger)
        with contextlib.suppress(Exception):  # the administrator can switch events off
            controller.announcer.add(JupyterEvents(server.event_logger))
        with contextlib.suppress(ImportError):  # without prometheus_client there are no metrics
            metrics = Metrics(controller.report, lambda: controller.unsignalled_changes)
            controller.announcer.add(self._closed_later(metrics))

    def close(self) -> None:
        """End the threads, close the sockets and release the claim on the state files. Never
        raises."""
        for part in self._parts:
            with contextlib.suppress(Exception):
                part.close()
        self._claim.release()


def _reported_activity(
    server: Any, directory: Path, activity_file: ActivityFile
) -> ReportedActivitySource:
    settings: MutableMapping[str, Any] = server.web_app.settings
    source = ReportedActivitySource(directory, activity_file, settings)
    source.proxied.watch(settings)
    with contextlib.suppress(Exception):  # without events, saved documents are not noticed
        source.listen(server.event_logger)
    return source


def _platform_faults(platform: Platform, clock: Clock) -> tuple[Fault, ...]:
    problem = platform.problem
    if problem is None:
        return ()
    now = clock.read().now
    return (Fault("platform", problem.code, problem.message, problem.remedy, now),)
