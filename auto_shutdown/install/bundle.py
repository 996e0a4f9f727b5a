"""The offline bundle: all that an administrator without internet access needs, in one folder."""

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

#: What the policies call the platforms of Studio.
STUDIO = {"jupyter-server": "studio-classic", "jupyterlab": "studio-space"}


@dataclass(frozen=True)
class Bundle:
    """The contents of the folder. Each platform's script is made from ``script``; the wheel's name
    is added to a source that ends with ``/``."""

    platforms: Sequence[str]
    script: Script
    scope: Scope
    wheel: Path | None = None
    shared_spaces: bool = False

    def write(self, directory: Path) -> list[Path]:
        """Write the whole folder, or nothing. Raises UsageError."""
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError(f"{directory} must be a new or an empty folder.")
        if not self.script.source.endswith("/"):
            version_of(self.script.source)
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
        """The options with which the command line attaches the script that lies in the folder."""
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
        found = {ADMINISTRATOR: administrator_policy(self.scope, TARGETS, wheel)}
        if studio:
            found[USER] = user_policy(self.scope, studio, self.shared_spaces, wheel)
        if "notebook-instance" in self.platforms:
            # In a file of its own, because no role needs both.
            found[INSTANCE] = user_policy(self.scope, ["notebook-instance"], wheel=wheel)
        return found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _readme(platforms: Sequence[str], source: str, wheel: str, options: str) -> str:
    scripts = "\n".join(f"- `on-start-{platform}.sh`: {TITLES[platform]}" for platform in platforms)
    steps = [
        _step(f"Check what arrived: `sha256sum --check {CHECKSUMS}`"),
        _place(source, wheel),
    ]
    studio = [platform for platform in platforms if platform in STUDIO]
    if studio:
        steps += [
            _step(
                f"Add `{USER}` to the execution role of the domain or of its user profiles. For "
                f"the next step you yourself need what `{ADMINISTRATOR}` allows."
            ),
            _step(
                "Attach the script, from an environment that has jupyter_server and boto3. The "
                "plan is shown first, and apps that run now get it when they are started again. "
                "`--detach` in place of `--attach` undoes it.",
                f"pip install --no-index --no-deps {wheel}",
                *(
                    f"jupyter auto-shutdown lifecycle-config --for {platform} {options}"
                    for platform in studio
                ),
            ),
            _step(
                "See it work: in an app, `jupyter auto-shutdown status`; in CloudWatch, log group "
                "`/aws/sagemaker/studio`, the streams that end with `LifecycleConfigOnStart`."
            ),
        ]
    if "notebook-instance" in platforms:
        steps.append(
            _step(
                f"Notebook instances: add `{INSTANCE}` to the instance's role, and, while it is "
                "stopped, put `on-start-notebook-instance.sh` into the on-start script of its "
                "lifecycle configuration."
            )
        )
    numbered = "".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    return f"""# {DISTRIBUTION}, offline

Everything needed to install it where there is no internet access.

{numbered}
{scripts}

The scripts hold your configuration and the wheel's SHA-256, change no other package, and never fail
the start of an app: if something goes wrong, the log says so and the app starts without
auto_shutdown.
"""


def _place(source: str, wheel: str) -> str:
    if source.startswith("s3://"):
        text = "Put the wheel where the scripts get it. The policies let the roles read it there."
        return _step(text, f"aws s3 cp {wheel} {source}")
    if source.startswith("/"):
        return _step(
            f"The apps must see the wheel as `{source}`: in the image, or on a file system."
        )
    return _step(f"Put the wheel into the index from which the apps' pip takes `{source}`.")


def _step(text: str, *commands: str) -> str:
    lines = textwrap.wrap(text, 95, break_on_hyphens=False, break_long_words=False)
    block = ["", "```", *commands, "```", ""] if commands else []
    return textwrap.indent("\n".join([*lines, *block]), "   ").strip() + "\n" * (2 if block else 1)
