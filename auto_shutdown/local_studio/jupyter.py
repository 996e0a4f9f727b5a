"""Classes that turn a JupyterLab into the JupyterServer app: its kernels run in apps.

The configuration in studio.py loads these classes. A kernelspec stands for an image. To start a
kernel, the server first creates the app of that image and instance type through the SageMaker API,
as Studio does; the kernel then runs in the gateway of that app. The instance type is
``instance_type`` in the notebook's metadata, or ml.t3.medium.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_server.base.handlers import APIHandler
from jupyter_server.gateway.connections import GatewayWebSocketConnection
from jupyter_server.gateway.managers import (
    GatewayKernelManager,
    GatewayMappingKernelManager,
    GatewaySessionManager,
)
from jupyter_server.utils import url_path_join
from jupyter_server_terminals.terminalmanager import TerminalManager
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from .jupyter_names import IMAGE_ARN, INTERNAL
from .operations import app_name

DEFAULT_INSTANCE = "ml.t3.medium"
INSTANCE_VARIABLE = "KERNEL_INSTANCE_TYPE"
IMAGES = ("datascience-1.0", "pytorch-1.8", "tensorflow-2.3")


def environment() -> Mapping[str, str]:
    """The domain and the owner of this server, from the variables that studio.py sets."""
    return {
        "DomainId": os.environ["LOCAL_STUDIO_DOMAIN"],
        os.environ["LOCAL_STUDIO_OWNER_KEY"]: os.environ["LOCAL_STUDIO_OWNER"],
    }


async def call(operation: str, request: Mapping[str, Any]) -> Any:
    """Make one SageMaker call in a thread, and return its answer."""

    def work() -> Any:
        from boto3.session import Session

        client = Session().client("sagemaker", endpoint_url=os.environ["LOCAL_STUDIO_API"])
        return getattr(client, operation)(**request)

    return await asyncio.get_running_loop().run_in_executor(None, work)


async def gateways() -> dict[str, dict[str, str]]:
    """The apps in service by name, each with its URL, instance type, image and owner."""
    url = os.environ["LOCAL_STUDIO_API"] + "/local-studio/gateways"
    response = await AsyncHTTPClient().fetch(url)
    apps: dict[str, dict[str, str]] = json.loads(response.body)
    return {name: app for name, app in apps.items() if app["owner"] == _owner()}


def _owner() -> str:
    return os.environ["LOCAL_STUDIO_OWNER"]


async def bring_up(image: str, instance_type: str) -> tuple[str, dict[str, str]]:
    """The name and the gateway of the app for an image and an instance type. Creates the app if it
    does not exist. Raises HTTPError when the app does not come into service."""
    name = app_name(image, instance_type, _owner())
    request = {
        **environment(),
        "AppType": "KernelGateway",
        "AppName": name,
        "ResourceSpec": {"InstanceType": instance_type, "SageMakerImageArn": image},
    }
    for attempt in range(600):
        found = (await gateways()).get(name)
        if found is not None:
            return name, found
        if attempt % 50 == 0:  # tried again, because an app of this name may still be Deleting
            with contextlib.suppress(Exception):
                await call("create_app", request)
        await asyncio.sleep(0.1)
    raise web.HTTPError(503, f"app {name} did not come into service")


class StudioKernelManager(GatewayKernelManager):
    """One kernel in the gateway of one app; its model names the app."""

    spec_name = ""
    app: Mapping[str, str] = {}
    app_name = ""

    async def start_kernel(self, **kwargs: Any) -> None:
        self.spec_name = str(kwargs.get("kernel_name"))
        kernel_name, _, image = self.spec_name.partition(INTERNAL)
        instance_type = (kwargs.get("env") or {}).get(INSTANCE_VARIABLE) or DEFAULT_INSTANCE
        self.app_name, self.app = await bring_up(image, instance_type)
        self.kernels_url = url_path_join(self.app["url"], "api/kernels")
        await super().start_kernel(kernel_name=kernel_name)
        await self.refresh_model(self.kernel)

    async def adopt(self, model: dict[str, Any], name: str, app: Mapping[str, str]) -> None:
        """Manage a kernel that was started before this server restarted; its app kept running."""
        self.app_name, self.app = name, app
        self.spec_name = f"{model['name']}{INTERNAL}{app['image']}"
        self.kernels_url = url_path_join(app["url"], "api/kernels")
        self.kernel_id = model["id"]
        self.kernel_url = url_path_join(self.kernels_url, model["id"])
        await self.refresh_model(model)

    async def refresh_model(self, model: Any = None) -> Any:
        model = await super().refresh_model(model)
        if model:
            model["name"] = self.spec_name
            model["app_name"] = self.app_name
            model["instance_type"] = self.app["instance_type"]
        return model


class StudioMappingKernelManager(GatewayMappingKernelManager):
    """The kernels of all apps."""

    async def list_kernels(self, **_: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        reached: set[str] = set()
        there = await gateways()
        for name, app in there.items():
            with contextlib.suppress(Exception):
                request = HTTPRequest(app["url"] + "/api/kernels", request_timeout=5.0)
                models = json.loads((await AsyncHTTPClient().fetch(request)).body)
                reached.add(name)
                for model in models:
                    if model["id"] not in self._kernels:
                        manager = self.kernel_manager_factory(parent=self, log=self.log)
                        self._kernels[model["id"]] = manager
                        await manager.adopt(model, name, app)
                    else:
                        await self._kernels[model["id"]].refresh_model(model)
                    found.append(model)
        self._forget({model["id"] for model in found}, reached, set(there))
        return found

    def _forget(self, found: set[str], reached: set[str], there: set[str]) -> None:
        """Drop the kernels that their app no longer lists, or whose app is gone. A kernel whose app
        does not answer stays, without a model."""
        for kernel_id, manager in list(self._kernels.items()):
            if kernel_id in found or not manager.app_name:
                continue
            if manager.app_name in reached or manager.app_name not in there:
                self._kernels.pop(kernel_id, None)
            else:
                manager.kernel = None

    async def shutdown_all(self, now: bool = False) -> None:
        """Does nothing: the kernels belong to the apps and outlive this server."""


class StudioSessionManager(GatewaySessionManager):
    """Adds the notebook's instance type to the environment with which its kernel starts."""

    def get_kernel_env(self, path: Any, name: Any = None) -> dict[str, str]:
        found: dict[str, str] = super().get_kernel_env(path, name)
        root = Path(self.contents_manager.root_dir)
        with contextlib.suppress(OSError, ValueError, TypeError):
            notebook = json.loads((root / str(path)).read_text())
            found[INSTANCE_VARIABLE] = notebook["metadata"].get("instance_type", DEFAULT_INSTANCE)
        return found


class StudioConnection(GatewayWebSocketConnection):
    """A client's websocket, connected to the gateway of the kernel's app."""

    async def connect(self) -> None:
        from jupyter_server.gateway.gateway_client import GatewayClient

        client = GatewayClient.instance()
        # The base class connects to one gateway for all kernels; here each kernel has its own.
        client.ws_url = self.kernel_manager.app["url"].replace("http", "ws", 1)
        await super().connect()


class StudioSpecs(KernelSpecManager):
    """One kernelspec for each image."""

    def find_kernel_specs(self) -> dict[str, str]:
        return {f"python3{INTERNAL}{IMAGE_ARN}{image}": "" for image in IMAGES}

    def get_kernel_spec(self, kernel_name: str) -> Any:
        image = kernel_name.rsplit("/", 1)[-1]
        return KernelSpec(
            argv=["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name=f"Python 3 ({image})",
            language="python",
            resource_dir="",
            metadata={"sme_metadata": {"environment_arn": IMAGE_ARN + image}},
        )

    def get_all_specs(self) -> dict[str, Any]:
        return {
            name: {"resource_dir": "", "spec": self.get_kernel_spec(name).to_dict()}
            for name in self.find_kernel_specs()
        }


class StudioTerminals(TerminalManager):
    """Real terminals. An image terminal reports no activity, as in Studio."""

    def get_terminal_model(self, name: str) -> Any:
        model = dict(super().get_terminal_model(name))
        if name.startswith("arn:"):
            model.pop("last_activity", None)
        return model


class AppsHandler(APIHandler):
    """``/sagemaker/api/apps``: the API for Studio's own front end."""

    @web.authenticated
    async def get(self) -> None:
        found = [
            {
                "app_name": name,
                "environment_arn": app["image"],
                "environment_name": app["image"].rsplit("/", 1)[-1],
                "image_name": app["image"].rsplit("/", 1)[-1],
                "instance_type": app["instance_type"],
            }
            for name, app in (await gateways()).items()
        ]
        self.finish(json.dumps(found))

    @web.authenticated
    async def delete(self, name: str) -> None:
        request = {**environment(), "AppType": "KernelGateway", "AppName": name}
        try:
            await call("delete_app", request)
        except Exception as error:
            raise web.HTTPError(400, str(error)) from error
        self.set_status(204)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "auto_shutdown.local_studio.jupyter"}]


def _load_jupyter_server_extension(server: Any) -> None:
    base = server.base_url
    server.web_app.add_handlers(
        ".*$",
        [
            (url_path_join(base, "sagemaker/api/apps"), AppsHandler),
            (url_path_join(base, r"sagemaker/api/apps/([^/]+)"), AppsHandler),
        ],
    )
