"""Checks the identity of this server and its state directory."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..core.finding import Finding, failure, ok, warning
from ..world.file_remedies import state_write_remedy
from ..world.platform import LOCAL
from .situation import Situation


def examine(situation: Situation) -> Iterator[Finding]:
    yield from _platform(situation)
    yield _state(situation.state_directory)


def _platform(situation: Situation) -> Iterator[Finding]:
    platform = situation.platform
    if platform.problem is not None:
        yield failure("platform", platform.problem.message, platform.problem.remedy)
        return
    yield ok("platform", platform.kind)
    if platform.kind == LOCAL:
        return
    parts = {
        "domain": platform.domain_id,
        "space": platform.space_name,
        "user profile": platform.user_profile_name,
        "app": platform.app_name,
        "region": platform.region_name,
        "account": platform.account_id,
    }
    text = ", ".join(f"{name} {value}" for name, value in parts.items() if value)
    if platform.region_name is None:
        remedy = "Set AutoShutdown.region_name or the environment variable AWS_REGION."
        yield failure("identity", f"{text}; the region is unknown", remedy)
    elif not platform.has_apps and platform.own_app is None:
        remedy = "Set AutoShutdown.domain_id and AutoShutdown.user_profile_name (or space_name)."
        yield failure("identity", f"{text}; the owner of the apps is unknown", remedy)
    else:
        yield ok("identity", text)
    reported = (situation.report or {}).get("platform", {}).get("kind", platform.kind)
    if reported != platform.kind:
        yield warning(
            "platform",
            f"the running server reports the platform {reported}",
            "The server was started with other files or variables: run the doctor in its terminal.",
        )


def _state(directory: Path) -> Finding:
    try:
        if directory.is_dir():
            with tempfile.TemporaryFile(dir=directory) as file:
                file.write(b"written by the doctor")
                file.flush()
                os.fsync(file.fileno())
            return ok("state", f"{directory} can be written")
        parent = next(path for path in directory.absolute().parents if path.exists())
        if not parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(parent))
        if not os.access(parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(parent))
        return ok("state", f"{directory} will be created when it is first needed")
    except OSError as error:
        verb = "written" if directory.exists() else "created"
        text = (
            f"{directory} cannot be {verb} ({error.strerror or type(error).__name__}): settings "
            "and the history cannot be saved"
        )
        return failure("state", text, state_write_remedy(directory / "settings.json", error))
