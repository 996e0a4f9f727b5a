"""The commands `lifecycle-config` and `iam-policy`: arguments in, text and exit code out. Their
parsers are in auto_shutdown.cli.

Exit codes: 0 done, 1 not done (a call failed, or the user did not confirm), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._version import __version__
from .bundle import Bundle
from .cloudformation import template
from .digest import default_digest, file_digest
from .errors import AttachError, UsageError
from .iam import Scope, administrator_policy, gives_away, user_policy
from .lifecycle import Script, version_of
from .names import APP_TYPES, DISTRIBUTION, ENVIRONMENTS, PLATFORMS, TARGETS
from .plan import source_of
from .target import split

if TYPE_CHECKING:
    from .calls import Calls
    from .rollout import Job, PlanMaker

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
        for text in gives_away(policy):
            print(text, file=sys.stderr)
        return DONE

    return _run(work)


def lifecycle_config(arguments: argparse.Namespace) -> int:
    """Write the script, or do with it what the options ask for."""

    def work() -> int:
        if arguments.bundle is not None:
            return _bundle(arguments)
        if arguments.delete_unused:
            return _delete_unused(arguments)
        if arguments.platform is None:
            raise UsageError(f"Say which sort of app it is: --for {'|'.join(ENVIRONMENTS)}")
        action, kind = _action(arguments)
        return _act(arguments, action, kind) if action else _write(arguments)

    return _run(work)


def _write(arguments: argparse.Namespace) -> int:
    """Print the script, or write it, or a CloudFormation template with it, to a file."""
    script = replace(_script(arguments), as_code=True)
    text = script.render()
    if arguments.format == "cloudformation":
        text = template(script)
    if arguments.output is not None:
        arguments.output.write_bytes(text.encode())
    if arguments.json:
        print(json.dumps({"script": text, "bytes": len(text.encode())}))
    elif arguments.output is None:
        print(text, end="")
    else:
        print(f"{arguments.output}: {len(text.encode())} bytes")
        print(f"It installs {source_of(script)}")
    return DONE


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
    source = arguments.source or Script.source
    return Script(
        platform or arguments.platform,
        source=source,
        sha256="" if arguments.bundle else _sha256(arguments, source),
        index_url=arguments.index_url,
        environment=arguments.environment,
        region=_bucket_region(arguments),
        configuration=_configuration(arguments),
    )


def _bucket_region(arguments: argparse.Namespace) -> str:
    """S3 leads from any region to the bucket's own, so one of several will do."""
    return next(iter(split(arguments.region)), "")


def _sha256(arguments: argparse.Namespace, source: str) -> str:
    """The digest that the script demands: of ``--wheel``, of ``--sha256``, or of the wheel that
    this command was installed from. Raises UsageError without any."""
    if arguments.wheel is not None:
        if version_of(source) != version_of(f"/{arguments.wheel.name}"):
            raise UsageError(f"{arguments.wheel.name} is not the wheel of {source}.")
        return file_digest(arguments.wheel)
    return arguments.sha256 or default_digest(source)


def _configuration(arguments: argparse.Namespace) -> dict[str, Any]:
    """The configuration of ``--config``, and over it that of ``--set``."""
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


#: What is done with a configuration that SageMaker has: option and kind of target.
ACTIONS = ("attach", "detach", "update", "rollback", "show")


def _action(arguments: argparse.Namespace) -> tuple[str, str]:
    """The chosen action and its kind of target; two empty texts for none."""
    chosen = [(name, getattr(arguments, name)) for name in ACTIONS if getattr(arguments, name)]
    return chosen[0] if chosen else ("", "")


def _act(arguments: argparse.Namespace, action: str, kind: str) -> int:
    if arguments.platform not in APP_TYPES:
        raise UsageError(
            "A notebook instance takes one lifecycle configuration, by name: put this script into "
            "its on-start script, while it is stopped (docs/administrators.md)."
        )
    # Imported here, because it loads boto3, and a script or a policy need not wait for that.
    from .rollout import carry_out, make_plans, select

    make_plan = None if action == "show" else _plan_maker(arguments, action)
    names = {"domain": "", "user-profile": arguments.user_profile, "space": arguments.space}
    jobs, errors = select(_calls, kind, arguments.region, arguments.domain, names[kind])
    if make_plan is None:
        return _show(arguments, jobs, errors)
    make_plans(jobs, make_plan, arguments.platform, arguments.replace)
    # In JSON there is one answer, with what became of the plans.
    if not arguments.json:
        _print_plans(jobs, errors)
    agreed = any(job.has_changes for job in jobs) and (arguments.yes or _ask(arguments))
    if agreed:
        carry_out(jobs)
    return _tell(arguments, jobs, errors, agreed)


def _plan_maker(arguments: argparse.Namespace, action: str) -> PlanMaker:
    platform = arguments.platform
    if action == "detach":
        return lambda studio, target: studio.plan_detach(target, platform)
    if action == "rollback":
        return lambda studio, target: studio.plan_roll_back(target, platform)
    if action == "update":
        return lambda studio, target: studio.plan_update(
            target, platform, lambda script: _updated(script, arguments)
        )
    script = _script(arguments)
    script.render()  # a wrong configuration is refused before anybody is asked
    return lambda studio, target: studio.plan_attach(target, script, not arguments.replace)


def _updated(script: Script, arguments: argparse.Namespace) -> Script:
    """``script`` with this version, or the one of ``--from``, at the same kind of place."""
    source = arguments.source or _same_place(script.source)
    return replace(script, source=source, sha256=_sha256(arguments, source))


def _same_place(source: str) -> str:
    if source.startswith(("s3://", "/")):
        folder = source.rpartition("/")[0]
        return f"{folder}/{DISTRIBUTION.replace('-', '_')}-{__version__}-py3-none-any.whl"
    return f"{DISTRIBUTION}=={__version__}"


def _print_plans(jobs: list[Job], errors: list[str]) -> None:
    for job in jobs:
        if len(jobs) > 1:
            print(f"-- {job.target} ({job.calls.region})")
        print("\n".join(job.lines(with_notes=len(jobs) == 1)))
    for job in jobs:
        if len(jobs) > 1 and job.notes:
            print(f"-- domain {job.target.domain_id} as a whole ({job.calls.region})")
            print("\n".join(f"Mind: {note}" for note in job.notes))
    for error in errors:
        print(f"Not planned: {error}", file=sys.stderr)


def _tell(arguments: argparse.Namespace, jobs: list[Job], errors: list[str], agreed: bool) -> int:
    failed = [job for job in jobs if job.error]
    changes = any(job.has_changes for job in jobs)
    if arguments.json:
        answer = {
            "plan": [line for job in jobs for line in job.lines()],
            "changes": sum(len(job.plan.changes) for job in jobs if job.plan),
            "applied": agreed and all(job.applied or not job.has_changes for job in jobs),
            "targets": [job.to_json() for job in jobs],
            "errors": errors,
        }
        print(json.dumps(answer))
    else:
        for job in failed:
            print(f"Failed: {job.target} ({job.calls.region}): {job.error}", file=sys.stderr)
        if agreed and not failed:
            print("Done.")
        elif agreed:
            done = sum(job.applied for job in jobs)
            print(f"Done for {done} of {len(jobs)}. Run the same command again for the rest.")
        elif changes:
            print("Nothing was changed; --yes does it.", file=sys.stderr)
    return DONE if not failed and not errors and (agreed or not changes) else NOT_DONE


def _show(arguments: argparse.Namespace, jobs: list[Job], errors: list[str]) -> int:
    """What is attached where. With a configuration given, also what differs from it."""
    from .drift import Wanted, show

    given = arguments.config is not None or arguments.set or arguments.source or arguments.wheel
    wanted = Wanted(_script(arguments)) if given else None
    pages = []
    for job in jobs:
        try:
            pages.append(show(job.calls, job.target, APP_TYPES[arguments.platform], wanted))
        except AttachError as error:
            errors.append(str(error))
    drifts = [text for page in pages for text in page.drifts]
    if arguments.json:
        print(json.dumps({"targets": [page.to_json() for page in pages], "errors": errors}))
    else:
        for page in pages:
            print("\n".join(page.text()))
        for text in errors:
            print(f"Not looked at: {text}", file=sys.stderr)
    return NOT_DONE if drifts or errors else DONE


def _delete_unused(arguments: argparse.Namespace) -> int:
    """Delete this package's lifecycle configurations to which nothing in the regions refers."""
    from .unused import delete, find_unused

    found = find_unused(_calls, split(arguments.region) or [""])
    names = [(name, each.region) for each in found for name in each.names]
    errors = [each.error for each in found if each.error]
    if not arguments.json:
        for name, region in names:
            print(f"Delete {name} ({region}).")
        if not names and not errors:
            print("None is left.")
        for text in errors:
            print(text, file=sys.stderr)
    agreed = bool(names) and (arguments.yes or _ask(arguments))
    if agreed:
        delete(found)
    failures = [text for each in found for text in each.failures]
    deleted = [(name, each.region) for each in found for name in each.deleted]
    if arguments.json:
        answer = {"unused": _places(names), "deleted": _places(deleted)}
        print(json.dumps({**answer, "errors": errors + failures}))
    else:
        for name, region in deleted:
            print(f"Deleted {name} ({region}).")
        for text in failures:
            print(text, file=sys.stderr)
        if names and not agreed:
            print("Nothing was deleted; --yes does it.", file=sys.stderr)
    return NOT_DONE if errors or failures or len(deleted) < len(names) else DONE


def _places(names: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "region": region} for name, region in names]


def _ask(arguments: argparse.Namespace) -> bool:
    if arguments.json or not sys.stdin.isatty():
        return False
    return input("Do it? [y/N] ").strip().lower() in ("y", "yes")


def _calls(region: str) -> Calls:
    """The SageMaker API of a region, with the administrator's credentials. Raises AttachError."""
    try:
        from boto3.session import Session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise AttachError("This needs boto3: pip install boto3") from None
    from .calls import Calls

    # A large domain is some thousand calls, and SageMaker throttles at a few a second.
    config = Config(retries={"mode": "standard", "total_max_attempts": 8})
    try:
        return Calls(Session(region_name=region or None).client("sagemaker", config=config))
    except BotoCoreError as error:
        advice = "give --region, and credentials as the AWS command line takes them"
        raise AttachError(f"No client for SageMaker ({type(error).__name__}): {advice}.") from None
