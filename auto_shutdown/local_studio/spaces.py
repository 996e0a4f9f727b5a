"""Spaces of the newer Studio. A space has one app, JupyterLab or Code Editor, and a home directory
that outlives the app."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .deadline import Deadline
from .labs import Lab, merge
from .processes import Leashed
from .resources import ACCOUNT, AppRecord, Apps, Key
from .server import JupyterServerApp

JUPYTER_LAB = "JupyterLab"
CODE_EDITOR = "CodeEditor"

#: Of Code Editor itself nothing is here: behind its app stands the Jupyter server that a user may
#: start beside the editor.
BASE_URLS = {JUPYTER_LAB: "/jupyterlab/default", CODE_EDITOR: "/codeeditor/default"}

STARTING_SECONDS = 90.0


class Space:
    """One space. The SageMaker API creates and deletes its app, as for a user."""

    def __init__(
        self,
        apps: Apps,
        client: Any,
        root: Path,
        key: tuple[str, str],
        app_type: str,
        region: str,
        environment: Mapping[str, str],
    ) -> None:
        self._apps = apps
        self._client = client
        self.domain_id, self.name = key
        self.app_type = app_type
        self.instance_type = "ml.t3.medium"
        arn = f"arn:aws:sagemaker:{region}:{ACCOUNT}:app/{'/'.join(key)}/{app_type}/default"
        self.lab = Lab(
            root / "spaces" / self.name,
            root / "spaces" / self.name / "home" / "sagemaker-user",
            BASE_URLS[app_type],
            {
                "AppType": app_type,
                "DomainId": self.domain_id,
                "SpaceName": self.name,
                "ResourceArn": arn,
                "ResourceName": "default",
            },
            {
                **environment,
                "SAGEMAKER_SPACE_NAME": self.name,
                "SAGEMAKER_APP_TYPE": app_type,
            },
        )

    @property
    def key(self) -> Key:
        return self.domain_id, ("SpaceName", self.name), self.app_type, "default"

    @property
    def app(self) -> dict[str, str]:
        """The arguments that name the app in CreateApp, DescribeApp and DeleteApp."""
        app = {"AppType": self.app_type, "AppName": "default"}
        return {"DomainId": self.domain_id, "SpaceName": self.name, **app}

    @property
    def status(self) -> str | None:
        record = self._apps.find(self.key)
        return record.status if record is not None else None

    def start(self, config: Mapping[str, Any] | None = None) -> JupyterServerApp:
        """Create the app. ``config`` is merged into the configuration of its server. The method
        ``restart()`` of the result creates the app again."""
        self.lab.config = merge(self.lab.config, config or {})
        return JupyterServerApp(self.lab.url, self._create_app)

    def delete_app(self) -> None:
        self._client.delete_app(**self.app)

    def launch(self, _record: AppRecord) -> Leashed:
        return self.lab.launch()

    def _create_app(self) -> Leashed:
        """Create the app once an earlier app is gone, and wait until it is in service."""
        self._wait_for(None, "Deleted", "Failed")
        spec = {"InstanceType": self.instance_type}
        self._client.create_app(**self.app, ResourceSpec=spec)
        self._wait_for("InService")
        record = self._apps.find(self.key)
        assert record is not None
        process: Leashed = record.runtime
        return process

    def _wait_for(self, *statuses: str | None) -> None:
        deadline = Deadline(STARTING_SECONDS)
        while self.status not in statuses:
            if deadline.has_passed or self.status == "Failed":
                raise RuntimeError(f"The app of space {self.name} is {self.status}.")
            time.sleep(0.02)
