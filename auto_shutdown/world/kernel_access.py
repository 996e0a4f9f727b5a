"""Find out about one kernel from its manager: its process, its websocket at its gateway, its
kernelspec. Kernel managers differ. A function returns None where a manager lacks the information.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any


async def resolve(value: Any) -> Any:
    """Jupyter's managers answer with a value or an awaitable, depending on class and version."""
    return await value if inspect.isawaitable(value) else value


def kernel_of(manager: Any, kernel_id: str) -> Any:
    """The manager's object for a kernel. Raises LookupError if the manager would send a request to
    the gateway for it, in each pass (nb2kg, from which Studio Classic's manager is derived). The
    kernel model has the same content."""
    get = manager.get_kernel
    # tornado's coroutines are no coroutine functions to ``inspect``.
    if inspect.iscoroutinefunction(get) or getattr(get, "__tornado_coroutine__", False):
        raise LookupError(kernel_id)
    return get(kernel_id)


async def fresh_model(manager: Any, kernel_id: str) -> Mapping[str, Any]:
    """The current model of a kernel. In gateway mode ``kernel_model()`` returns the model of the
    last read, so this reads again. Raises the manager's exceptions."""
    refresh = None
    with contextlib.suppress(LookupError):
        refresh = getattr(kernel_of(manager, kernel_id), "refresh_model", None)
    model: Mapping[str, Any] = await resolve(
        refresh() if refresh is not None else manager.kernel_model(kernel_id)
    )
    return model


def is_listed(manager: Any, kernel_id: str) -> bool:
    """Whether the manager still lists the kernel. Sends no request to a gateway. Raises what the
    manager raises."""
    return kernel_id in map(str, manager.list_kernel_ids())


def pid_of(manager: Any, kernel_id: str) -> int | None:
    """The process of a kernel that runs on this host."""
    try:
        kernel = kernel_of(manager, kernel_id)
        provisioner = getattr(kernel, "provisioner", None)
        pid = getattr(provisioner, "pid", None)
    except Exception:
        return None
    return pid if isinstance(pid, int) and pid > 0 else None


def connection_of(manager: Any, kernel_id: str) -> Mapping[str, Any] | None:
    """How to connect to a kernel on this host: the content of its connection file."""
    try:
        found = kernel_of(manager, kernel_id).get_connection_info()
        return found if found.get("shell_port") or found.get("transport") == "ipc" else None
    except Exception:
        return None


def channels_of(manager: Any, kernel_id: str) -> str | None:
    """The websocket of a kernel behind a gateway."""
    try:
        url = kernel_of(manager, kernel_id).kernel_url
    except Exception:
        return None
    if not isinstance(url, str) or not url.startswith("http"):
        return None
    return url.replace("http", "ws", 1) + "/channels"


def gateway_arguments() -> Mapping[str, Any]:
    """How this server connects to its gateway: credentials, certificates."""
    from jupyter_server.gateway.gateway_client import GatewayClient

    client: Any = GatewayClient.instance()
    arguments: Mapping[str, Any] = client.load_connection_args()
    return arguments


def channels_through(server: Any) -> Callable[[str], tuple[str, Mapping[str, Any]]]:
    """The websocket of a kernel through ``server``, in which this extension runs. For kernel
    managers that do not show where their kernels run (Studio Classic's)."""

    def channels(kernel_id: str) -> tuple[str, Mapping[str, Any]]:
        provider = getattr(server, "identity_provider", None)
        token = getattr(provider, "token", None) or getattr(server, "token", None)
        url = f"{str(server.connection_url).rstrip('/')}/api/kernels/{kernel_id}/channels"
        headers = {"Authorization": f"token {token}"} if token else {}
        # The server's certificate is valid for its public name, not for this address.
        return url.replace("http", "ws", 1), {"headers": headers, "validate_cert": False}

    return channels


def limit_of(manager: Any, kernel_id: str) -> timedelta | None:
    """``cull_idle_timeout`` of the kernelspec's metadata, in seconds as for Jupyter's own culler
    (jupyter_server#1342); zero or less is "never" there, and here the longest that is allowed.
    Raises OSError, KeyError (NoSuchKernel) or ValueError if the kernelspec cannot be read at the
    moment."""
    try:
        value = kernel_of(manager, kernel_id).kernel_spec.metadata.get("cull_idle_timeout")
    except (OSError, KeyError, ValueError):
        if channels_of(manager, kernel_id) is not None:
            return None  # its gateway has the kernelspec, and never shows it here
        raise
    except Exception:
        return None
    try:
        seconds = float(value)
        return timedelta(seconds=seconds) if seconds > 0 else timedelta.max
    except (TypeError, ValueError, OverflowError):
        return None
