"""Real ``jupyter server`` processes to measure, each with its own home directory."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boto3.session import Session

from auto_shutdown.local_studio.api import Api
from auto_shutdown.local_studio.ports import free_port
from auto_shutdown.local_studio.processes import Leashed
from auto_shutdown.local_studio.resources import ACCOUNT, Apps, Delays
from auto_shutdown.local_studio.studio import CREDENTIALS

from .names import IMAGE, OWNER, REGION, TOKEN

ROOT = Path(__file__).resolve().parents[1]


class Server:
    """One server. The constructor starts it, and the end of a ``with`` block stops it."""

    def __init__(
        self,
        home: Path,
        config: dict[str, Any],
        env: dict[str, str] | None = None,
        module: str = "jupyter_server",
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        port = free_port()
        base: dict[str, Any] = {
            "ServerApp": {
                "ip": "127.0.0.1",
                "port": port,
                "port_retries": 0,
                "open_browser": False,
                "allow_root": True,
                "root_dir": str(home),
            },
            "IdentityProvider": {"token": TOKEN},
        }
        for name, values in config.items():
            base[name] = {**base.get(name, {}), **values}
        path = home / "config.json"
        path.write_text(json.dumps(base))
        left_out = ("JUPYTER", "AWS", "PYTHON")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
        environment.update(
            HOME=str(home),
            JUPYTER_CONFIG_DIR=str(home / "config"),
            JUPYTER_DATA_DIR=str(home / "data"),
            JUPYTER_RUNTIME_DIR=str(home / "runtime"),
            PYTHONPATH=str(ROOT),
            # Python compiles the modules once, as on any host, and not into the repository.
            PYTHONPYCACHEPREFIX=str(home.parent / "pycache"),
            **(env or {}),
        )
        self.url = f"http://127.0.0.1:{port}/"
        begin = time.perf_counter()
        argv = [sys.executable, "-m", module, f"--config={path}"]
        self.process = Leashed(argv, home / "server.log", environment, home)
        self._wait_for_answer()
        #: Seconds from the start of the process to its first answer.
        self.started_in = time.perf_counter() - begin

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def _wait_for_answer(self) -> None:
        """Ask every two milliseconds, so that the measured start is exact to some milliseconds."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.running:
            try:
                urllib.request.urlopen(f"{self.url}api", timeout=5).close()
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.002)
            else:
                return
        raise RuntimeError(f"The server does not answer:\n{self.process.log[-3000:]}")

    def settled(self, apps: int = 0) -> Server:
        """Wait for the first pass of the extension, which begins after the server's first answer,
        and until it knows this number of ``apps``. Returns this server."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                report = self.get("auto-shutdown/status")
                known = sum(each["kind"] == "app" for each in report["resources"])
                if report["health"]["last_ok_pass"] and known >= apps:
                    return self
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
            time.sleep(0.05)
        raise TimeoutError(f"The extension has not made a pass:\n{self.process.log[-3000:]}")

    def get(self, path: str) -> Any:
        """Send a GET request. Returns the JSON of the answer."""
        return self._request(path, None)

    def post(self, path: str, body: Any = None) -> Any:
        """Send a POST request. Returns the JSON of the answer."""
        return self._request(path, json.dumps(body or {}).encode())

    def delete(self, path: str) -> None:
        """Send a DELETE request."""
        self._request(path, None, "DELETE")

    def _request(self, path: str, body: bytes | None, method: str | None = None) -> Any:
        headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=300) as response:
            text = response.read()
        return json.loads(text) if text else None


class Account:
    """A SageMaker API on this machine with ``count`` apps, which exist only as records."""

    def __init__(self, count: int) -> None:
        self.apps = Apps(lambda _record: None, lambda _record: None, Delays(0, 0))
        self.api = Api(self.apps, REGION)
        session = Session("local", "local", region_name=REGION)
        self._client = session.client("sagemaker", endpoint_url=self.api.url)
        self.domain_id = self._make_domain()
        self.create(["ml.t3.medium"] * count)

    def __enter__(self) -> Account:
        return self

    def __exit__(self, *_: object) -> None:
        self.apps.close()
        self.api.close()

    def _make_domain(self) -> str:
        role = f"arn:aws:iam::{ACCOUNT}:role/StudioRole"
        arn = self._client.create_domain(
            DomainName="bench",
            AuthMode="IAM",
            DefaultUserSettings={"ExecutionRole": role},
            SubnetIds=["subnet-local"],
            VpcId="vpc-local",
        )["DomainArn"]
        domain_id = str(arn.rsplit("/", 1)[-1])
        self._client.create_user_profile(DomainId=domain_id, UserProfileName=OWNER)
        return domain_id

    def create(self, instance_types: Sequence[str]) -> list[str]:
        """Create an app on each of ``instance_types``. Returns the names of the apps."""
        names = []
        for index, instance_type in enumerate(instance_types):
            names.append(f"datascience-1-0-{instance_type.replace('.', '-')}-{index:04d}")
            self.create_named(names[-1], instance_type)
        return names

    def create_named(self, name: str, instance_type: str = "ml.t3.medium") -> None:
        """An app of this name."""
        self._client.create_app(
            DomainId=self.domain_id,
            UserProfileName=OWNER,
            AppType="KernelGateway",
            AppName=name,
            ResourceSpec={"InstanceType": instance_type, "SageMakerImageArn": IMAGE},
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which a server uses this account."""
        return {
            **CREDENTIALS,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_SAGEMAKER": self.api.url,
        }

    @property
    def identity(self) -> dict[str, str]:
        """The traits with which the extension takes its server for one of Studio Classic."""
        return {
            "domain_id": self.domain_id,
            "user_profile_name": OWNER,
            "region_name": REGION,
        }
