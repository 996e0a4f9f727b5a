"""``--this``: finds the kernel or the app in which the command itself runs."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import safe_files
from ..api.client import Client
from ..api.discovery import SERVER_VARIABLE
from ..api.server_error import ExitCode, ServerError
from ..config import METADATA_PATH
from ..world import proc_files
from ..world.platform import MOST_BYTES, STUDIO_CLASSIC

#: SageMaker's file that describes the app.
METADATA = Path(METADATA_PATH)

#: The connection file of a kernel. Jupyter starts each kernel with its path as an argument, and the
#: file name contains the id of the kernel.
CONNECTION_FILE = re.compile(
    r"kernel-([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32})\.json"
)


def own_kernel_id() -> str | None:
    """The id of the kernel that this process descends from; None outside of a kernel."""
    for arguments in _ancestors():
        for argument in arguments:
            match = CONNECTION_FILE.search(argument)
            if match:
                return match[1]
    return None


def _ancestors() -> Iterator[Sequence[str]]:
    """The command line of each ancestor of this process, the parent first, without process 1."""
    for pid in proc_files.own_ancestors():
        if pid == 1:
            return
        try:
            yield proc_files.read_arguments(pid)
        except OSError:
            return


def kernel_here(resources: Iterable[Mapping[str, Any]]) -> str:
    """The id of the kernel in which this command runs. Raises ServerError outside of a kernel."""
    kernel_id = own_kernel_id()
    if kernel_id is None:
        message = "This command does not run in a kernel, so --this identifies no kernel."
        remedy = "Name the kernel (remove kernel train.ipynb), or the app: remove app --this"
        raise ServerError(ExitCode.USAGE, message, remedy)
    # A kernel behind a gateway has the same id on this server.
    return next((str(r["id"]) for r in resources if r["id"] == kernel_id), kernel_id)


def app_here(client: Client, report: Mapping[str, Any]) -> str:
    """The id of the app in which the server runs. Raises ServerError if the report has none."""
    apps = [r for r in report["resources"] if r["kind"] == "app"]
    if report["platform"]["kind"] == STUDIO_CLASSIC or not apps:
        message = f"The server at {client.server.url} does not run in an app that it can remove."
        remedy = "`jupyter auto-shutdown status` shows the apps. Name one in place of --this."
        raise ServerError(ExitCode.TROUBLE, message, remedy)
    return str(apps[0]["id"])


def own_resources(resources: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """The kind and the id of the kernel or terminal in which this command runs. The terminal is
    known only if the server has one terminal."""
    kernel = own_kernel_id()
    if kernel is not None:
        return {("kernel", kernel)}
    terminals = [str(r["id"]) for r in resources if r["kind"] == "terminal"]
    if os.environ.get(SERVER_VARIABLE) and len(terminals) == 1:
        return {("terminal", terminals[0])}
    return set()


def gateway_advice() -> str:
    """A sentence with the AWS command that ends this KernelGateway app of Studio Classic, where no
    Jupyter server runs. Empty elsewhere."""
    try:
        metadata = json.loads(safe_files.read_bytes(METADATA, MOST_BYTES, follow=True))
        if metadata["AppType"] != "KernelGateway":
            return ""
        owner, option = metadata.get("UserProfileName"), "--user-profile-name"
        if not owner:
            owner, option = metadata["SpaceName"], "--space-name"
        # The name is the last part of the ARN; ResourceName can be cut.
        name = metadata["ResourceArn"].rsplit("/", 1)[-1]
        region = metadata["ResourceArn"].split(":")[3]
        words = ["aws", "sagemaker", "delete-app", "--domain-id", metadata["DomainId"]]
        words += [option, owner, "--app-type", "KernelGateway", "--app-name", name]
        words += ["--region", region]
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return ""
    return f"From here, this ends the app with all its kernels: {shlex.join(words)}"
