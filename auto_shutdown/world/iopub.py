"""Subscribe to the IOPub channels of this server's kernels, and try again where that fails.

What a subscription learns from the messages is in iopub_subscription.py.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .iopub_subscription import IOPubSubscription, port_of
from .kernel_access import kernel_of, pid_of
from .requests_by_kernel import Requests

#: A server subscribes to at most this number of kernels, because each needs a socket. For the
#: others it uses ``last_activity`` and the messages that pass its websockets.
MOST = 200

#: After a failed attempt to subscribe to a kernel the next one follows after this time (seconds).
#: It doubles with each failure, up to the second value.
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 300.0

#: While the attempts to subscribe to a kernel fail, its state counts as unknown, but only for this
#: time (seconds). Temporary causes, such as a lack of file descriptors, are over by then. Without
#: this limit, a kernel whose channel can never be read would never be removed.
UNKNOWN_SECONDS = 600.0

_log = logging.getLogger(__name__)


@dataclass
class MissingSubscription:
    """The state of a subscription that does not exist.

    - ``retry_at``: when the next attempt to subscribe to the kernel begins (monotonic seconds).
    - ``delay``: the seconds from that attempt to the one after it, if it fails. Each failure
      doubles them.
    - ``failure``: why the last attempt failed. It is empty if there was nothing to try, because the
      kernel has no process on this host (or none yet), or because this server has too many
      subscriptions.
    - ``failing_since``: when the attempts began to fail.
    """

    retry_at: float = 0.0
    delay: float = FIRST_RETRY_SECONDS
    failure: str = ""
    failing_since: float | None = None


class IOPubListener:
    """Subscribes to the kernels of one manager, if they run on this host. ``now`` is monotonic
    seconds."""

    def __init__(
        self,
        manager: Any,
        requests: Requests | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._manager = manager
        self._requests = requests or Requests()
        self._now = now
        self._subscriptions: dict[str, IOPubSubscription] = {}
        self._missing: dict[str, MissingSubscription] = {}

    def attend(self, kernel_ids: Iterable[str], unreadable: Iterable[str] = ()) -> None:
        """Subscribe to these kernels, and end the subscriptions to all others. A subscription to a
        kernel that is ``unreadable`` at the moment goes on: it must not miss the end of a cell."""
        readable = set(kernel_ids)
        there = readable.union(unreadable)
        for gone in self._subscriptions.keys() - there:
            self._drop(gone)
        for gone in self._missing.keys() - there:
            del self._missing[gone]
        for kernel_id in readable:
            self.attend_to(kernel_id)

    def attend_to(self, kernel_id: str) -> None:
        """Notice whether the kernel has a new process since the last call. If there is no
        subscription to the kernel, subscribe to it, unless an attempt failed a short time ago."""
        subscription = self._subscriptions.get(kernel_id)
        if subscription is None:
            self.subscribe(kernel_id)
        else:
            self._notice_a_new_process(kernel_id, subscription)

    def subscribe(self, kernel_id: str) -> None:
        """Subscribe to one kernel, if that is possible and there are not too many."""
        missing = self._missing.get(kernel_id)
        if kernel_id in self._subscriptions or (missing and missing.retry_at > self._now()):
            return
        if len(self._subscriptions) >= MOST:
            if missing is None:
                self._missing[kernel_id] = MissingSubscription()
            return
        subscription, failure = self._open(kernel_id)
        if subscription is None:
            self._try_again_later(kernel_id, missing or MissingSubscription(), failure)
            return
        self._subscriptions[kernel_id] = subscription
        if missing is not None:
            subscription.begins_late()
            del self._missing[kernel_id]
            if missing.failure:
                _log.info("auto_shutdown: the messages of kernel %s can be read again", kernel_id)

    def _try_again_later(self, kernel_id: str, missing: MissingSubscription, failure: str) -> None:
        now = self._now()
        if failure and not missing.failure:
            _log.warning(
                "auto_shutdown: the messages of kernel %s cannot be read (%s). It is tried again.",
                kernel_id,
                failure,
            )
        missing.failing_since = (missing.failing_since or now) if failure else None
        missing.failure, missing.retry_at = failure, now + missing.delay
        missing.delay = min(2 * missing.delay, LONGEST_RETRY_SECONDS)
        self._missing[kernel_id] = missing

    def why_unknown(self, kernel_id: str) -> str:
        """Why the subscription to the kernel fails, so that its state is unknown. Empty for a
        kernel with a subscription, for a kernel to which this server does not try to subscribe, and
        after ``UNKNOWN_SECONDS`` of failures, because such a kernel would otherwise be kept for
        ever. Kernels of the last two groups are judged by the state that their manager reports and
        by their shell, which must answer before a removal."""
        missing = self._missing.get(kernel_id)
        if missing is None or missing.failing_since is None:
            return ""
        return "" if self._now() - missing.failing_since >= UNKNOWN_SECONDS else missing.failure

    def subscription(self, kernel_id: str) -> IOPubSubscription | None:
        return self._subscriptions.get(kernel_id)

    def process_ended(self, kernel_id: str) -> None:
        """The manager has noticed that the process of the kernel has died, and starts another one.
        The subscription goes on: ZeroMQ connects it to the new process."""
        requests, subscription = self._requests.of(kernel_id), self._subscriptions.get(kernel_id)
        requests.process_ended()
        if subscription is not None:
            subscription.process_ended()

    def close(self) -> None:
        for kernel_id in list(self._subscriptions):
            self._drop(kernel_id)

    def _notice_a_new_process(self, kernel_id: str, subscription: IOPubSubscription) -> None:
        """End the kernel's requests if it has a new process: a restart by SIGKILL sends no message.
        Subscribe again if the kernel has a new port: Jupyter gives new ports to a kernel that died
        while it was starting."""
        pid = pid_of(self._manager, kernel_id)
        if pid is None or pid == subscription.pid:
            return
        if subscription.pid is not None:
            subscription.requests.ended()
        subscription.pid = pid
        if subscription.port != port_of(kernel_of(self._manager, kernel_id)):
            self._drop(kernel_id)
            self._missing[kernel_id] = MissingSubscription()
            self.subscribe(kernel_id)

    def _drop(self, kernel_id: str) -> None:
        self._subscriptions.pop(kernel_id).close()

    def _open(self, kernel_id: str) -> tuple[IOPubSubscription | None, str]:
        """A new subscription to the kernel; or None, and why it failed (empty: the kernel has no
        process on this host)."""
        try:
            # A kernel behind a gateway has the methods of a local one, but no address here.
            pid = pid_of(self._manager, kernel_id)
            if pid is None:
                return None, ""
            subscription = IOPubSubscription(self._requests.of(kernel_id), pid)
            opened = subscription.open(self._manager.get_kernel(kernel_id))
            return (subscription if opened else None), ""
        except Exception as error:
            return None, getattr(error, "strerror", None) or type(error).__name__
