"""`jupyter auto-shutdown lifecycle-config` and `iam-policy`: arguments in, text and exit code out.

Exit codes: 0 done, 1 not done (a call failed, or nobody said yes), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bundle import Bundle
from .errors import AttachError, UsageError
from .iam import PLATFORMS, TARGETS, Scope, administrator_policy, user_policy
from .lifecycle import APP_TYPES, ENVIRONMENTS, Script, version_of

if TYPE_CHECKING:
    from .attach import Plan, Target

DONE, NOT_DONE, USAGE = 0, 1, 2


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register both with the command line (``commands``: what ``add_subparsers`` gives)."""
    _add_lifecycle_config(commands)
    _add_iam_policy(commands)


def _add_lifecycle_config(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "lifecycle-config",
        help="write, attach or detach the script that installs this in SageMaker",
        description="Writes the on-start script of a lifecycle configuration, attaches it to a "
        "domain, user profile or space, or makes an offline bundle of it.",
    )
    option = parser.add_argument
    option("--for", dest="platform", choices=list(ENVIRONMENTS), help="which sort of app")
    option(
        "--from",
        dest="source",
        metavar="SOURCE",
        help="where the app gets the wheel: s3://BUCKET/…/WHEEL, an absolute path, or "
        "jupyterlab-auto-shutdown==VERSION for an index (default: this version)",
    )
    option("--index-url", default="", help="the index, if not pip's own")
    option("--wheel", type=Path, help="that wheel here: its SHA-256 goes into the script")
    option("--sha256", default="", help="the wheel's SHA-256, in place of --wheel")
    option("--config", type=Path, help="JSON file with the configuration (class AutoShutdown)")
    option(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one trait of the configuration, e.g. dry_run=true; may be repeated",
    )
    option("--environment", default="", help="the server's environment, if not SageMaker's usual")
    option("--output", type=Path, help="write the script to this file, not to the terminal")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--attach", choices=TARGETS, help="create it, and attach it to this")
    what.add_argument("--detach", choices=TARGETS, help="undo --attach")
    what.add_argument("--bundle", type=Path, metavar="DIR", help="make an offline bundle there")
    option("--space", default="", help="name of the space")
    option(
        "--replace",
        action="store_true",
        help="do not run the lifecycle configuration that was there before",
    )
    option("--yes", action="store_true", help="do as planned without asking")
    _add_scope(parser)
    parser.set_defaults(run=lifecycle_config)


def _add_iam_policy(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "iam-policy",
        help="print the IAM policy that a user's role, or an administrator, needs",
        description="Prints an IAM policy of least privilege as JSON.",
    )
    option = parser.add_argument
    option("--for", dest="role", choices=("user", "administrator"), required=True)
    option(
        "--platform",
        action="append",
        choices=PLATFORMS,
        help="user: where the apps run; may be repeated (default: both sorts of Studio)",
    )
    option(
        "--attach",
        action="append",
        choices=TARGETS,
        help="administrator: what is attached to; may be repeated (default: domain)",
    )
    option("--notebook-instance", default="", help="its name (default: any)")
    option("--wheel", default="", metavar="S3", help="S3 address from which the wheel is installed")
    _add_scope(parser)
    parser.set_defaults(run=iam_policy)


def _add_scope(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--domain", default="", help="the Studio domain (d-…)")
    option("--user-profile", default="", help="name of the user profile")
    option("--region", default="", help="the AWS region")
    option("--account", default="", help="for policies: the AWS account's number")
    option("--partition", default="", help="for policies, if it does not follow from the region")
    option(
        "--shared-spaces",
        action="store_true",
        help="for policies: also the apps of shared spaces, which cannot be limited to one's own",
    )
    option("--json", action="store_true", help="answer as JSON")


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
    except (AttachError, OSError) as error:
        print(error, file=sys.stderr)
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
    # Here, for it loads a server's parts, and every command's help waits for that.
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
