"""A whole Studio: the domain, the user profile, the SageMaker API, the apps and the JupyterServer
app."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from .api import Api
from .gateways import Gateway
from .instances import CURRENT, Instance, InstanceLab, Instances
from .jupyter_names import IMAGE_ARN
from .labs import environment, merge
from .operations import app_name
from .ports import PORTS, free_port
from .processes import Leashed, wait_for_http
from .resources import ACCOUNT, AppRecord, Apps, Delays
from .server import JupyterServerApp
from .spaces import JUPYTER_LAB, Space
from .studio_server import studio_config, write_metadata

#: Dummy credentials: the API here verifies none.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}


class LocalStudio:
    """A Studio: ``with LocalStudio(root) as studio: …``. All its processes end with the block.

    ``root`` is the directory of its files: the homes of the user and of the apps, the metadata
    file, the logs. ``delays`` are the times in which its apps change their states.
    """

    def __init__(
        self,
        root: Path,
        *,
        user_profile_name: str = "ada",
        space_name: str | None = None,
        region: str = "us-west-2",
        delays: Delays | None = None,
        default_user_settings: Mapping[str, Any] | None = None,
        default_space_settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.root = root
        self.region = region
        self.user_profile_name = user_profile_name
        self.space_name = space_name
        role = {"ExecutionRole": f"arn:aws:iam::{ACCOUNT}:role/StudioRole"}
        self._domain_settings = {
            "DefaultUserSettings": {**role, **(default_user_settings or {})},
            "DefaultSpaceSettings": {**role, **(default_space_settings or {})},
        }
        self.apps = Apps(self._start_app, self._stop_app, delays or Delays())
        self.instances = Instances(region, self.apps.delays)
        self._spaces: dict[str, Space] = {}
        side = {"/local-studio/gateways": self.gateways}
        self.api = Api(self.apps, region, side, self.instances.table)
        self.servers: list[JupyterServerApp] = []
        self.domain_id = ""

    def __enter__(self) -> LocalStudio:
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _set_up(self) -> None:
        client = self.client()
        arn = client.create_domain(
            DomainName="local",
            AuthMode="IAM",
            **self._domain_settings,
            SubnetIds=["subnet-local"],
            VpcId="vpc-local",
        )["DomainArn"]
        self.domain_id = arn.rsplit("/", 1)[-1]
        client.create_user_profile(DomainId=self.domain_id, UserProfileName=self.user_profile_name)
        if self.space_name:
            client.create_space(DomainId=self.domain_id, SpaceName=self.space_name)

    def close(self) -> None:
        """Stop every process, in the order in which Studio would."""
        for server in self.servers:
            with contextlib.suppress(Exception):
                server.stop()
        self.apps.close()
        self.instances.close()
        self.api.close()

    # -- SageMaker ---------------------------------------------------------------------------

    @property
    def endpoint_url(self) -> str:
        """The value for AWS_ENDPOINT_URL_SAGEMAKER."""
        return self.api.url

    @property
    def owner(self) -> tuple[str, str]:
        if self.space_name:
            return "SpaceName", self.space_name
        return "UserProfileName", self.user_profile_name

    def client(self) -> Any:
        """A boto3 client of this SageMaker."""
        from boto3.session import Session

        session = Session("local", "local", region_name=self.region)
        return session.client("sagemaker", endpoint_url=self.endpoint_url)

    def create_app(
        self, image: str = "datascience-1.0", instance_type: str = "ml.t3.medium", wait: bool = True
    ) -> str:
        """Create a KernelGateway app of the user. Returns its name. ``wait`` waits until the app is
        no longer Pending."""
        arn = IMAGE_ARN + image
        name = app_name(arn, instance_type, self.owner[1])
        self.client().create_app(
            DomainId=self.domain_id,
            AppType="KernelGateway",
            AppName=name,
            ResourceSpec={"InstanceType": instance_type, "SageMakerImageArn": arn},
            **dict([self.owner]),
        )
        while wait and self.status(name) == "Pending":
            time.sleep(0.02)
        return name

    def status(self, name: str) -> str | None:
        """The status of the KernelGateway app ``name``."""
        record = self.apps.find((self.domain_id, self.owner, "KernelGateway", name))
        return record.status if record is not None else None

    def gateways(self) -> dict[str, dict[str, str]]:
        """The KernelGateway apps in service, by name, with the URLs of their gateways."""
        return {
            record.name: {
                "url": record.runtime.url,
                "instance_type": record.spec.get("InstanceType", ""),
                "image": record.spec.get("SageMakerImageArn", ""),
                "owner": record.owner[1],
            }
            for record in self.apps.all()
            if record.status == "InService" and isinstance(record.runtime, Gateway)
        }

    def _start_app(self, record: AppRecord) -> Any:
        space = self._spaces.get(record.owner[1])
        if space is not None and record.type == space.app_type:
            return space.launch(record)
        if record.type != "KernelGateway":
            return None  # apps of other types have no process here
        gateway = Gateway(self.root, record.name)
        gateway.wait()
        return gateway

    def _stop_app(self, record: AppRecord) -> None:
        if record.runtime is not None:
            record.runtime.stop()

    # -- spaces and notebook instances ---------------------------------------------------------

    def add_space(
        self,
        name: str,
        *,
        app_type: str = JUPYTER_LAB,
        shared: bool = False,
        idle_minutes: int | None = None,
    ) -> Space:
        """Create a space of the user. ``idle_minutes`` is the limit of SageMaker's own idle
        shutdown for this space."""
        settings: dict[str, Any] = {"AppType": app_type}
        if idle_minutes is not None:
            idle = {"IdleSettings": {"IdleTimeoutInMinutes": idle_minutes}}
            settings[f"{app_type}AppSettings"] = {"AppLifecycleManagement": idle}
        client = self.client()
        client.create_space(
            DomainId=self.domain_id,
            SpaceName=name,
            SpaceSettings=settings,
            OwnershipSettings={"OwnerUserProfileName": self.user_profile_name},
            SpaceSharingSettings={"SharingType": "Shared" if shared else "Private"},
        )
        key = (self.domain_id, name)
        aws = self._aws_environment()
        space = Space(self.apps, client, self.root, key, app_type, self.region, aws)
        self._spaces[name] = space
        return space

    def add_instance(self, name: str, platform: str = CURRENT) -> Instance:
        """Prepare a notebook instance; its method ``start`` creates it. ``platform`` can be an
        ended one: the instance then counts as created before the end."""
        directory = self.root / "instances" / name
        arn = f"arn:aws:sagemaker:{self.region}:{ACCOUNT}:notebook-instance/{name}"
        home = directory / "home" / "ec2-user"
        lab = InstanceLab(
            directory,
            home,
            "/",
            {"ResourceArn": arn, "ResourceName": name},
            self._aws_environment(),
            root_dir=home / "SageMaker",
        )
        self.instances.equip(name, lab, platform)
        return Instance(name, self.client(), self.instances, lab)

    # -- the JupyterServer app ---------------------------------------------------------------

    @property
    def home(self) -> Path:
        """The user's home directory. It outlives the apps."""
        path = self.root / "home" / "sagemaker-user"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def start_server(
        self, config: dict[str, Any] | None = None, env: dict[str, str] | None = None
    ) -> JupyterServerApp:
        """Start a JupyterServer app. ``config``, in the form of jupyter_server_config.json, is
        merged into its configuration; ``env`` into its environment."""
        port = free_port()
        settings = merge(studio_config(port, self.home), config or {})
        path = self.root / f"jupyter_server_config-{port}.json"
        path.write_text(json.dumps(settings))
        (self.root / "logs").mkdir(exist_ok=True)
        argv = [sys.executable, "-m", PORTS, "jupyterlab", f"--config={path}"]
        log = self.root / "logs" / f"server-{port}.log"
        environment = {**self._environment(), **(env or {})}

        def start() -> Leashed:
            process = Leashed(argv, log, environment, self.home)
            wait_for_http(f"http://127.0.0.1:{port}/jupyter/default/api", process)
            return process

        server = JupyterServerApp(f"http://127.0.0.1:{port}/jupyter/default/", start)
        self.servers.append(server)
        return server

    @property
    def metadata_path(self) -> Path:
        """The metadata file that SageMaker puts into its containers. The first access writes it."""
        path = self.root / "opt" / "ml" / "metadata" / "resource-metadata.json"
        if not path.exists():
            write_metadata(path, self.region, self.domain_id, self.owner)
        return path

    def _aws_environment(self) -> dict[str, str]:
        return {
            **CREDENTIALS,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL_SAGEMAKER": self.endpoint_url,
        }

    def _environment(self) -> dict[str, str]:
        jupyter = self.root / "jupyter"
        return {
            **environment(),
            **self._aws_environment(),
            "HOME": str(self.home),
            "AWS_SAGEMAKER_JUPYTERSERVER_IMAGE": "jupyter-server-3",
            "JUPYTER_CONFIG_DIR": str(jupyter / "config"),
            "JUPYTER_DATA_DIR": str(jupyter / "data"),
            "JUPYTER_RUNTIME_DIR": str(jupyter / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(jupyter / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(jupyter / "workspaces"),
            "LOCAL_STUDIO_API": self.endpoint_url,
            "LOCAL_STUDIO_DOMAIN": self.domain_id,
            "LOCAL_STUDIO_OWNER_KEY": self.owner[0],
            "LOCAL_STUDIO_OWNER": self.owner[1],
        }
