"""Notebook instances: those of moto, with the states, platforms and errors of the real ones. Each
instance in service runs a real JupyterLab."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from moto.sagemaker.exceptions import SagemakerClientError
from moto.sagemaker.models import sagemaker_backends

from .deadline import Deadline
from .labs import Lab, merge
from .operations import Answer, Request
from .processes import Leashed
from .resources import ACCOUNT, ApiError, Background, Delays
from .server import JupyterServerApp

#: The platform of a new notebook instance.
CURRENT = "notebook-al2023-v1"

#: Platforms that AWS has ended: an instance on Amazon Linux 1 or 2 can no longer be created or
#: started.
ENDED = re.compile(r"notebook-al(1|2)-")

STARTING_SECONDS = 90.0


class Instances:
    """All notebook instances of the region. ``table`` maps the names of their operations to
    handlers."""

    def __init__(self, region: str, delays: Delays) -> None:
        self._backend = sagemaker_backends[ACCOUNT][region]
        self._delays = delays
        self._lock = threading.RLock()
        self._background = Background()
        self._labs: dict[str, Lab] = {}
        self._processes: dict[str, Leashed] = {}
        self._platforms: dict[str, str] = {}
        self.table: dict[str, Callable[[Request], Answer]] = {
            "CreateNotebookInstance": self.create,
            "DescribeNotebookInstance": self.describe,
            "StartNotebookInstance": self.start,
            "StopNotebookInstance": self.stop,
            "UpdateNotebookInstance": self.update,
            "DeleteNotebookInstance": self.delete,
        }

    def equip(self, name: str, lab: Lab, platform: str) -> None:
        """Set the JupyterLab that the instance ``name`` will run, and its platform, which can be an
        ended one."""
        self._labs[name] = lab
        self._platforms[name] = platform

    def process(self, name: str) -> Leashed:
        return self._processes[name]

    # -- operations --------------------------------------------------------------------------

    def create(self, request: Request) -> Answer:
        platform = request.get("PlatformIdentifier") or CURRENT
        _refuse_ended(platform)
        names = ("NotebookInstanceName", "InstanceType", "RoleArn", "VolumeSizeInGB", "Tags")
        given = {_snake(name): request[name] for name in names if name in request}
        with self._lock, _as_api_error():
            made = self._backend.create_notebook_instance(**given)
            self._platforms.setdefault(made.notebook_instance_name, platform)
            self._bring_up(made)
        return {"NotebookInstanceArn": made.arn}

    def describe(self, request: Request) -> Answer:
        found = self._get(request).to_dict()
        answer = {
            name: value.timestamp() if isinstance(value, datetime) else value
            for name, value in found.items()
            if value not in (None, [])
        }
        return {**answer, "PlatformIdentifier": self._platforms[found["NotebookInstanceName"]]}

    def start(self, request: Request) -> Answer:
        with self._lock:
            instance = self._get(request)
            _check_status(instance, "Pending", "Stopped", "Failed")
            _refuse_ended(self._platforms[instance.notebook_instance_name])
            self._bring_up(instance)
        return {}

    def stop(self, request: Request) -> Answer:
        with self._lock:
            instance = self._get(request)
            _check_status(instance, "Stopping", "InService")
            instance.status = "Stopping"
        self._background.run(lambda: self._take_down(instance))
        return {}

    def update(self, request: Request) -> Answer:
        with self._lock:
            instance = self._get(request)
            _check_status(instance, "Updating", "Stopped", "Failed")
            name, platform = instance.notebook_instance_name, request.get("PlatformIdentifier")
            self._platforms[name] = platform or self._platforms[name]
        return {}

    def delete(self, request: Request) -> Answer:
        with self._lock, _as_api_error():
            self._backend.delete_notebook_instance(request["NotebookInstanceName"])
        return {}

    def _get(self, request: Request) -> Any:
        with _as_api_error():
            return self._backend.get_notebook_instance(request["NotebookInstanceName"])

    # -- the processes of an instance --------------------------------------------------------

    def _bring_up(self, instance: Any) -> None:
        instance.status = "Pending"

        def work() -> None:
            name = instance.notebook_instance_name
            try:
                if name in self._labs:
                    self._processes[name] = self._labs[name].launch()
            except Exception:
                instance.status = "Failed"
                raise
            time.sleep(self._delays.pending)
            instance.status = "InService"

        self._background.run(work)

    def _take_down(self, instance: Any) -> None:
        time.sleep(self._delays.ending)
        process = self._processes.get(instance.notebook_instance_name)
        if process is not None:
            process.stop()
        time.sleep(self._delays.deleting)
        instance.status = "Stopped"

    def close(self) -> None:
        """Stop all instances and remove them from moto, whose state lives as long as this
        process."""
        self._background.join()
        for process in self._processes.values():
            process.stop()
        for name in self._platforms:
            self._backend.notebook_instances.pop(name, None)


class InstanceLab(Lab):
    """The server of a notebook instance. Only the folder ``SageMaker`` of its home persists."""

    @property
    def volume(self) -> Path:
        return self.home / "SageMaker"

    def launch(self) -> Leashed:
        self.volume.mkdir(parents=True, exist_ok=True)
        for path in self.home.iterdir():
            if path != self.volume:  # a real instance starts with all other files from its image
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return super().launch()


@dataclass
class Instance:
    """One notebook instance, from the point of view of its user."""

    name: str
    client: Any
    instances: Instances
    lab: InstanceLab
    instance_type: str = "ml.t3.medium"
    _started: bool = field(default=False, init=False)

    @property
    def status(self) -> str:
        found = self.client.describe_notebook_instance(NotebookInstanceName=self.name)
        return str(found["NotebookInstanceStatus"])

    def start(self, config: Mapping[str, Any] | None = None) -> JupyterServerApp:
        """Create the instance. ``config`` is merged into the configuration of its server. The
        method ``restart()`` of the result starts the instance again."""
        self.lab.config = merge(self.lab.config, config or {})
        return JupyterServerApp(self.lab.url, self._start)

    def _start(self) -> Leashed:
        if not self._started:
            self.client.create_notebook_instance(
                NotebookInstanceName=self.name,
                InstanceType=self.instance_type,
                RoleArn=f"arn:aws:iam::{ACCOUNT}:role/StudioRole",
            )
            self._started = True
        else:
            self._wait_for("Stopped")
            self.client.start_notebook_instance(NotebookInstanceName=self.name)
        self._wait_for("InService")
        return self.instances.process(self.name)

    def _wait_for(self, status: str) -> None:
        deadline = Deadline(STARTING_SECONDS)
        while (found := self.status) != status:
            if deadline.has_passed or found == "Failed":
                raise RuntimeError(f"Notebook instance {self.name} is {found}.")
            time.sleep(0.05)


def _check_status(instance: Any, to: str, *allowed: str) -> None:
    if instance.status not in allowed:
        raise ApiError(
            "ValidationException",
            f"Status ({instance.status}) not in ([{', '.join(allowed)}]). Unable to transition to "
            f"({to}) for Notebook Instance ({instance.arn})",
        )


def _refuse_ended(platform: str) -> None:
    """Raise ApiError for an ended platform. AWS documents that it refuses such a platform, but not
    the text of the error."""
    if ENDED.match(platform):
        message = f"The platform {platform} can no longer be created or started."
        raise ApiError("ValidationException", message)


@contextlib.contextmanager
def _as_api_error() -> Any:
    try:
        yield
    except SagemakerClientError as error:
        raise ApiError(error.code, str(error.message)) from None


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
