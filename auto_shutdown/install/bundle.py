"""The offline bundle: a folder with everything that an administrator without internet access needs.
It contains the wheel, the scripts, the IAM policies, checksums and a README."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .errors import UsageError
from .iam import Scope, administrator_policy, user_policy
from .lifecycle import Script, configuration_text, version_of
from .names import DISTRIBUTION, TARGETS, TITLES
from .wheel import rebuild

CHECKSUMS = "SHA256SUMS"
CONFIGURATION = "configuration.json"
ADMINISTRATOR = "iam-policy-administrator.json"
USER = "iam-policy-user.json"
INSTANCE = "iam-policy-notebook-instance.json"

#: The name in the policies of each platform of Studio on the command line.
STUDIO = {"jupyter-server": "studio-classic", "jupyterlab": "studio-space"}


@dataclass(frozen=True)
class Bundle:
    """The contents of the folder. ``script`` is the pattern for the script of each platform. If its
    source ends with ``/``, the bundle adds the name of the wheel. Without ``wheel`` the bundle
    rebuilds the wheel from the installed files."""

    platforms: Sequence[str]
    script: Script
    scope: Scope
    wheel: Path | None = None
    shared_spaces: bool = False

    def write(self, directory: Path) -> list[Path]:
        """Write the whole folder, or nothing, and return the paths of the files. Raises UsageError
        if the folder is not empty or the wheel does not fit the source, and OSError."""
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError(f"{directory} must be a new or an empty folder.")
        if not self.script.source.endswith("/"):
            version_of(self.script.source)
        if self.wheel is not None:
            if not self.wheel.is_file():
                raise UsageError(f"--wheel {self.wheel}: there is no such file.")
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
            script = replace(
                self.script, platform=platform, source=source, sha256=digest, as_code=True
            )
            texts[f"on-start-{platform}.sh"] = script.render()
        for name, policy in self._policies(source).items():
            texts[name] = json.dumps(policy, indent=2) + "\n"
        configuration = configuration_text(self.script.configuration)
        if configuration:
            texts[CONFIGURATION] = configuration + "\n"
        texts["README.md"] = _readme(
            self.platforms, source, wheel.name, self._options(source, wheel.name)
        )
        for name, text in texts.items():
            (directory / name).write_bytes(text.encode())
        paths = sorted(directory.iterdir())
        sums = "".join(f"{_sha256(path)}  {path.name}\n" for path in paths)
        (directory / CHECKSUMS).write_bytes(sums.encode())
        return [*paths, directory / CHECKSUMS]

    def _options(self, source: str, wheel: str) -> str:
        """The options of ``lifecycle-config`` that attach the script of the folder."""
        script = self.script
        given = {
            "--from": source,
            "--index-url": script.index_url,
            "--wheel": wheel,
            "--config": CONFIGURATION if script.configuration else "",
            "--environment": script.environment,
            "--region": script.region,
            "--attach": "domain",
            "--domain": self.scope.domain or "DOMAIN",
        }
        return shlex.join(
            word for option, value in given.items() if value for word in (option, value)
        )

    def _policies(self, source: str) -> dict[str, dict[str, Any]]:
        wheel = source if source.startswith("s3://") else ""
        studio = [STUDIO[platform] for platform in self.platforms if platform in STUDIO]
        policies = {ADMINISTRATOR: administrator_policy(self.scope, TARGETS, wheel)}
        if studio:
            policies[USER] = user_policy(self.scope, studio, self.shared_spaces, wheel)
        if "notebook-instance" in self.platforms:
            # In a file of its own, because no role needs both policies.
            policies[INSTANCE] = user_policy(self.scope, ["notebook-instance"], wheel=wheel)
        return policies


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _readme(platforms: Sequence[str], source: str, wheel: str, options: str) -> str:
    scripts = "\n".join(f"- `on-start-{platform}.sh`: {TITLES[platform]}" for platform in platforms)
    steps = [
        _step(f"Check that all files arrived unchanged: `sha256sum --check {CHECKSUMS}`"),
        _place(source, wheel),
    ]
    studio = [platform for platform in platforms if platform in STUDIO]
    if studio:
        steps += [
            _step(
                f"Add the policy `{USER}` to the execution role of the domain, and to that of each "
                f"user profile with its own role. Get the permissions of `{ADMINISTRATOR}` for "
                "yourself: the next step needs them."
            ),
            _step(
                "Attach the script, from an environment that has jupyter_server and boto3. The "
                "command shows its plan and asks before it changes anything. Apps that run now get "
                "the extension at their next start. `--detach` in place of `--attach` undoes this "
                "step.",
                f"pip install --no-index --no-deps {wheel}",
                *(
                    f"jupyter auto-shutdown lifecycle-config --for {platform} {options}"
                    for platform in studio
                ),
            ),
            _step(
                "Check that it works: run `jupyter auto-shutdown status` in an app. CloudWatch has "
                "the log of the script: log group `/aws/sagemaker/studio`, the streams that end "
                "with `LifecycleConfigOnStart`."
            ),
        ]
    if "notebook-instance" in platforms:
        steps.append(
            _step(
                f"For a notebook instance, add the policy `{INSTANCE}` to its role. Stop the "
                "instance, and put `on-start-notebook-instance.sh` into the on-start script of its "
                "lifecycle configuration."
            )
        )
    numbered = "".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    return f"""# {DISTRIBUTION}, offline

This folder has everything that you need to install auto_shutdown without internet access.

{numbered}
{scripts}

The scripts contain your configuration and the wheel's SHA-256. They change no other package. If a
script fails, its log says why, and the app starts without auto_shutdown.
"""


def _place(source: str, wheel: str) -> str:
    if source.startswith("s3://"):
        text = "Copy the wheel to S3. The scripts get it there, and the policies allow it."
        return _step(text, f"aws s3 cp {wheel} {source}")
    if source.startswith("/"):
        return _step(
            f"Put the wheel into the image or on a file system of the apps, as `{source}`."
        )
    return _step(f"Put the wheel into the index from which the apps' pip takes `{source}`.")


def _step(text: str, *commands: str) -> str:
    lines = textwrap.wrap(text, 95, break_on_hyphens=False, break_long_words=False)
    block = ["", "```", *commands, "```", ""] if commands else []
    return textwrap.indent("\n".join([*lines, *block]), "   ").strip() + "\n" * (2 if block else 1)
