"""What `jupyter auto-shutdown lifecycle-config` and `iam-policy` do: arguments in, text and exit
code out. Their parsers are in auto_shutdown.cli.

Exit codes: 0 done, 1 not done (a call failed, or nobody said yes), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .bundle import Bundle
from .errors import AttachError, UsageError
from .iam import Scope, administrator_policy, user_policy
from .lifecycle import Script, version_of
from .names import APP_TYPES, ENVIRONMENTS, PLATFORMS, TARGETS

if TYPE_CHECKING:
    from .attach import Plan, Target

DONE, NOT_DONE, USAGE = 0, 1, 2


def iam_policy(arguments: argparse.Namespace) -> int:
    """Print the policy."""

    def work() -> int:
        scope = _scope(arguments, notebook_instance=arguments.notebook_instance)
        if arguments.role == "user":
            platforms = arguments.platform or PLATFORMS[:2]
            policy = user_policy(scope, platforms, arguments.shared_spaces, arguments.wheel)
        else:
            policy = administrator_policy(scope, arguments.attach or TARGETS[:1], arguments.wheel)
        print(json.dumps(policy, indent=2))
        return DONE

    return _run(work)


def lifecycle_config(arguments: argparse.Namespace) -> int:
    """Write the script, or do with it what is asked."""

    def work() -> int:
        if arguments.bundle is not None:
            return _bundle(arguments)
        if arguments.platform is None:
            raise UsageError(f"Say which sort of app it is: --for {'|'.join(ENVIRONMENTS)}")
        if arguments.attach or arguments.detach:
            return _attach_or_detach(arguments)
        text = _script(arguments).render()
        if arguments.output is not None:
            arguments.output.write_bytes(text.encode())
        if arguments.json:
            print(json.dumps({"script": text, "bytes": len(text.encode())}))
        elif arguments.output is None:
            print(text, end="")
        else:
            print(f"{arguments.output}: {len(text.encode())} bytes")
        return DONE

    return _run(work)


def _run(work: Callable[[], int]) -> int:
    try:
        return work()
    except UsageError as error:
        print(error, file=sys.stderr)
        return USAGE
    except AttachError as error:
        print(error, file=sys.stderr)
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"{error.filename or 'A file'}: {error.strerror or error}.", file=sys.stderr)
    return NOT_DONE


def _scope(arguments: argparse.Namespace, notebook_instance: str = "") -> Scope:
    return Scope(
        partition=arguments.partition,
        region=arguments.region,
        account=arguments.account,
        domain=arguments.domain,
        user_profile=arguments.user_profile,
        notebook_instance=notebook_instance,
    )


def _script(arguments: argparse.Namespace, platform: str = "") -> Script:
    sha256 = arguments.sha256
    if arguments.wheel is not None and not arguments.bundle:
        sha256 = hashlib.sha256(arguments.wheel.read_bytes()).hexdigest()
        source = arguments.source
        if source and version_of(source) != version_of(f"/{arguments.wheel.name}"):
            raise UsageError(f"{arguments.wheel.name} is not the wheel of {source}.")
    return Script(
        platform or arguments.platform,
        **({"source": arguments.source} if arguments.source else {}),
        sha256=sha256,
        index_url=arguments.index_url,
        environment=arguments.environment,
        region=arguments.region,
        configuration=_configuration(arguments),
    )


def _configuration(arguments: argparse.Namespace) -> dict[str, Any]:
    """Of the file, and then of ``--set``."""
    found: dict[str, Any] = {}
    if arguments.config is not None:
        try:
            content = json.loads(arguments.config.read_text(encoding="utf-8"))
        except ValueError:
            raise UsageError(f"{arguments.config} is not JSON.") from None
        section = content.get("AutoShutdown", content) if isinstance(content, dict) else None
        if not isinstance(section, dict):
            raise UsageError(f"{arguments.config} must hold a JSON object.")
        found.update(section)
    for assignment in arguments.set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment}: write NAME=VALUE.")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _bundle(arguments: argparse.Namespace) -> int:
    if not arguments.source:
        raise UsageError(
            "Say where the apps will get the wheel: --from s3://BUCKET/PREFIX/ or an absolute path "
            "(the wheel's name is added)."
        )
    platforms = [arguments.platform] if arguments.platform else list(ENVIRONMENTS)
    bundle = Bundle(
        platforms,
        _script(arguments, platforms[0]),
        _scope(arguments),
        arguments.wheel,
        arguments.shared_spaces,
    )
    paths = bundle.write(arguments.bundle)
    if arguments.json:
        print(json.dumps({"files": [str(path) for path in paths]}))
    else:
        print("\n".join(str(path) for path in paths))
    return DONE


def _attach_or_detach(arguments: argparse.Namespace) -> int:
    if arguments.platform not in APP_TYPES:
        raise UsageError(
            "A notebook instance takes one lifecycle configuration, by name: put this script into "
            "its on-start script, while it is stopped (docs/administrators.md)."
        )
    # Here, for it loads a server's parts, and a script or a policy need not wait for that.
    from .attach import Studio

    target = _target(arguments, arguments.attach or arguments.detach)
    studio = Studio(_client(arguments.region))
    if arguments.detach:
        plan = studio.plan_detach(target, arguments.platform)
    else:
        plan = studio.plan_attach(target, _script(arguments), not arguments.replace)
    # In JSON the answer comes once, with what became of it.
    if not arguments.json:
        print("\n".join(plan.lines()))
    agreed = bool(plan.changes) and (arguments.yes or _ask(arguments))
    if agreed:
        studio.apply(plan)
    return _tell(arguments, plan, agreed)


def _tell(arguments: argparse.Namespace, plan: Plan, agreed: bool) -> int:
    if arguments.json:
        print(json.dumps({"plan": plan.lines(), "changes": len(plan.changes), "applied": agreed}))
    elif agreed:
        print("Done.")
    elif plan.changes:
        print("Nothing was changed; --yes does it.", file=sys.stderr)
    return DONE if agreed or not plan.changes else NOT_DONE


def _ask(arguments: argparse.Namespace) -> bool:
    if arguments.json or not sys.stdin.isatty():
        return False
    return input("Do it? [y/N] ").strip().lower() in ("y", "yes")


def _target(arguments: argparse.Namespace, kind: str) -> Target:
    names = {"domain": "", "user-profile": arguments.user_profile, "space": arguments.space}
    if not arguments.domain or (kind != "domain" and not names[kind]):
        needed = "--domain" if kind == "domain" else f"--domain and --{kind}"
        raise UsageError(f"Attaching to a {kind} needs {needed}.")
    from .attach import Target

    return Target(kind, arguments.domain, names[kind])


def _client(region: str) -> Any:
    try:
        from boto3.session import Session
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise AttachError("This needs boto3: pip install boto3") from None
    try:
        return Session(region_name=region or None).client("sagemaker")
    except BotoCoreError as error:
        advice = "give --region, and credentials as the AWS command line takes them"
        raise AttachError(f"No client for SageMaker ({type(error).__name__}): {advice}.") from None
