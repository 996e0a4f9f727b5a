"""The commands ``lifecycle-config`` and ``iam-policy``. Their parsers are in auto_shutdown.cli.

Exit codes: 0 done; 1 not done, because a call failed or the user did not confirm; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace

from .bundle import Bundle
from .cloudformation import template
from .errors import AttachError, UsageError
from .iam import administrator_policy, broad_permissions, user_policy
from .names import ENVIRONMENTS, PLATFORMS, TARGETS
from .options import scope_of, script_of
from .plan import source_of
from .slots import app_type_of

DONE, NOT_DONE, USAGE = 0, 1, 2

#: The options of ``lifecycle-config`` whose value is a kind of target.
ACTIONS = ("attach", "detach", "update", "rollback", "show")


def iam_policy(arguments: argparse.Namespace) -> int:
    """Print the policy as JSON, and to standard error what it allows beyond its purpose. Returns
    the exit code."""

    def work() -> int:
        scope = scope_of(arguments, notebook_instance=arguments.notebook_instance)
        if arguments.role == "user":
            platforms = arguments.platform or PLATFORMS[:2]
            policy = user_policy(scope, platforms, arguments.shared_spaces, arguments.wheel)
        else:
            policy = administrator_policy(scope, arguments.attach or TARGETS[:1], arguments.wheel)
        print(json.dumps(policy, indent=2))
        for text in broad_permissions(policy):
            print(text, file=sys.stderr)
        return DONE

    return _run(work)


def lifecycle_config(arguments: argparse.Namespace) -> int:
    """Print or write the script, or carry out the action that the options name. Returns the exit
    code."""

    def work() -> int:
        if arguments.bundle is not None:
            return _write_bundle(arguments)
        if arguments.delete_unused:
            from .account_commands import delete_unused

            return DONE if delete_unused(arguments) else NOT_DONE
        if arguments.platform is None:
            raise UsageError(
                f"lifecycle-config needs the kind of app: --for {'|'.join(ENVIRONMENTS)}"
            )
        action, kind = _action(arguments)
        return _act(arguments, action, kind) if action else _write(arguments)

    return _run(work)


def _run(work: Callable[[], int]) -> int:
    """Call ``work``, print its error as one sentence, and return the exit code."""
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


def _write(arguments: argparse.Namespace) -> int:
    """Print the script, or write it to a file; or a CloudFormation template that contains it."""
    script = replace(script_of(arguments), as_code=True)
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


def _write_bundle(arguments: argparse.Namespace) -> int:
    """Write the folder of the offline bundle, and print the names of its files."""
    if not arguments.source:
        raise UsageError(
            "--bundle needs the place from which the apps will get the wheel: --from "
            "s3://BUCKET/PREFIX/ or an absolute path. The command adds the wheel's name."
        )
    platforms = [arguments.platform] if arguments.platform else list(ENVIRONMENTS)
    bundle = Bundle(
        platforms,
        script_of(arguments, platforms[0]),
        scope_of(arguments),
        arguments.wheel,
        arguments.shared_spaces,
    )
    paths = bundle.write(arguments.bundle)
    if arguments.json:
        print(json.dumps({"files": [str(path) for path in paths]}))
    else:
        print("\n".join(str(path) for path in paths))
    return DONE


def _action(arguments: argparse.Namespace) -> tuple[str, str]:
    """The chosen action and its kind of target; two empty texts when none is chosen."""
    chosen = [(name, getattr(arguments, name)) for name in ACTIONS if getattr(arguments, name)]
    return chosen[0] if chosen else ("", "")


def _act(arguments: argparse.Namespace, action: str, kind: str) -> int:
    app_type_of(arguments.platform)  # refuses a notebook instance
    # Imported here, because a script or a policy need not wait for these modules.
    from .account_commands import change, show

    done = show(arguments, kind) if action == "show" else change(arguments, action, kind)
    return DONE if done else NOT_DONE
