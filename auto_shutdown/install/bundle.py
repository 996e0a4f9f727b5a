"""The offline bundle: all that an administrator without internet access needs, in one folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .iam import Scope, administrator_policy, user_policy
from .lifecycle import DISTRIBUTION, TITLES, Script, UsageError, configuration_text, version_of
from .wheel import rebuild

CHECKSUMS = "SHA256SUMS"
CONFIGURATION = "configuration.json"


@dataclass(frozen=True)
class Bundle:
    """What goes into the folder. ``script`` is the one that each platform's is made from; a
    source that ends with ``/`` gets the wheel's name."""

    platforms: Sequence[str]
    script: Script
    scope: Scope
    wheel: Path | None = None
    shared_spaces: bool = False

    def write(self, directory: Path) -> list[Path]:
        """Write it, all or nothing of its contents checked before. Raises UsageError."""
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError(f"{directory} must be a new or an empty folder.")
        if self.wheel is not None:
            if not self.wheel.is_file():
                raise UsageError(f"There is no wheel {self.wheel}.")
            version_of("/" + self.wheel.name)
        made = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        try:
            return self._write(directory)
        except BaseException:
            for path in directory.iterdir():
                path.unlink()
            if made:
                directory.rmdir()
            raise

    def _write(self, directory: Path) -> list[Path]:
        if self.wheel is None:
            wheel = rebuild(directory)
        else:
            wheel = Path(shutil.copy(self.wheel, directory))
        digest = _sha256(wheel)
        source = self.script.source
        if source.endswith("/"):
            source += wheel.name
        if version_of(source) != version_of("/" + wheel.name):
            raise UsageError(f"The scripts would install {source}, but the wheel is {wheel.name}.")
        texts: dict[str, str] = {}
        for platform in self.platforms:
            script = replace(self.script, platform=platform, source=source, sha256=digest)
            texts[f"on-start-{platform}.sh"] = script.render()
        for name, policy in self._policies(source).items():
            texts[name] = json.dumps(policy, indent=2) + "\n"
        configuration = configuration_text(self.script.configuration)
        if configuration:
            texts[CONFIGURATION] = configuration + "\n"
        options = f"--from {source} --wheel {wheel.name}"
        options += f" --config {CONFIGURATION}" if configuration else ""
        texts["README.md"] = _readme(self.platforms, source, wheel.name, options)
        for name, text in texts.items():
            (directory / name).write_bytes(text.encode())
        paths = sorted(directory.iterdir())
        sums = "".join(f"{_sha256(path)}  {path.name}\n" for path in paths)
        (directory / CHECKSUMS).write_bytes(sums.encode())
        return [*paths, directory / CHECKSUMS]

    def _policies(self, source: str) -> Mapping[str, dict[str, Any]]:
        kinds = {"jupyter-server": "studio-classic", "jupyterlab": "studio-space"}
        platforms = [kinds.get(platform, platform) for platform in self.platforms]
        wheel = source if source.startswith("s3://") else ""
        user = user_policy(self.scope, platforms, self.shared_spaces, wheel)
        targets = ("domain", "user-profile", "space")
        administrator = administrator_policy(self.scope, targets, wheel)
        return {"iam-policy-user.json": user, "iam-policy-administrator.json": administrator}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _readme(platforms: Sequence[str], source: str, wheel: str, options: str) -> str:
    if source.startswith("s3://"):
        place = (
            f"    aws s3 cp {wheel} {source}\n\nThe role that the apps run with must read it there"
        )
        place += " (`iam-policy-user.json` says so)."
    elif source.startswith("/"):
        place = f"The apps must see it as `{source}`: in the image, or on a file system of theirs."
    else:
        place = f"The scripts get `{source}` from the index that the apps' pip uses: put it there."
    scripts = "\n".join(f"- `on-start-{platform}.sh`: {TITLES[platform]}" for platform in platforms)
    attach = "\n".join(_attach_line(platform, options) for platform in platforms)
    return f"""# {DISTRIBUTION}, offline

Everything needed to install it where there is no internet access.

1. Check what arrived: `sha256sum --check {CHECKSUMS}`
2. Put the wheel where the apps find it:

{place}

3. Add `iam-policy-user.json` to the execution role of the domain or its user profiles. For the
   next step you yourself need what `iam-policy-administrator.json` allows.
4. Attach the script; the plan is shown first. (In an environment that has the wheel and boto3:
   `pip install --no-index --no-deps {wheel}`)

{attach}

   Apps that run now get it when they are started again.
5. See it work: in an app, `jupyter auto-shutdown status`; in CloudWatch, log group
   `/aws/sagemaker/studio`, the streams that end with `LifecycleConfigOnStart`.

To take it out again: the same command with `--detach` in place of `--attach`.

The scripts:

{scripts}

They hold your configuration and the wheel's SHA-256, change no other package, and never fail the
start of an app: whatever goes wrong is in the log, and the app starts without.
"""


def _attach_line(platform: str, options: str) -> str:
    if platform == "notebook-instance":
        return (
            "       # notebook instance: put on-start-notebook-instance.sh into the on-start\n"
            "       # script of its lifecycle configuration, while it is stopped"
        )
    return (
        f"       jupyter auto-shutdown lifecycle-config --for {platform} \\\n"
        f"         {options} --attach domain --domain DOMAIN"
    )
