"""The actions of ``lifecycle-config`` that call AWS: attach, update, roll back, detach, show, and
delete what is unused. Each function shows its plan, asks the administrator once, carries the plan
out and prints the result.

The functions return whether everything was done. They raise UsageError and AttachError.
"""

from __future__ import annotations

import argparse
import json
import sys

from .calls import connect
from .drift import Wanted, describe_attached
from .errors import AttachError
from .names import APP_TYPES
from .options import script_of, updated_script
from .rollout import Job, PlanMaker, carry_out, make_plans, select
from .target import split
from .unused import delete, find_unused


def change(arguments: argparse.Namespace, action: str, kind: str) -> bool:
    """Carry out ``action`` (attach, detach, update or rollback) on the targets of ``kind``."""
    make_plan = _plan_maker(arguments, action)
    jobs, errors = _select(arguments, kind)
    make_plans(jobs, make_plan, action, arguments.platform, arguments.replace)
    # With --json there is one answer, with the plans and their results.
    if not arguments.json:
        _print_plans(jobs, errors)
    has_changes = any(job.has_changes for job in jobs)
    confirmed = has_changes and (arguments.yes or _ask(arguments, "Carry out this plan?"))
    if confirmed:
        carry_out(jobs)
    if arguments.json:
        print(json.dumps(_result(jobs, errors, confirmed)))
    else:
        _print_result(jobs, confirmed)
    failed = any(job.error for job in jobs)
    return not failed and not errors and (confirmed or not has_changes)


def _select(arguments: argparse.Namespace, kind: str) -> tuple[list[Job], list[str]]:
    names = {"domain": "", "user-profile": arguments.user_profile, "space": arguments.space}
    return select(connect, kind, arguments.region, arguments.domain, names[kind])


def _plan_maker(arguments: argparse.Namespace, action: str) -> PlanMaker:
    platform = arguments.platform
    if action == "detach":
        return lambda studio, target: studio.plan_detach(target, platform)
    if action == "rollback":
        return lambda studio, target: studio.plan_roll_back(target, platform)
    if action == "update":
        return lambda studio, target: studio.plan_update(
            target, platform, lambda script: updated_script(script, arguments)
        )
    script = script_of(arguments)
    script.render()  # refuses an invalid configuration before the first question
    return lambda studio, target: studio.plan_attach(target, script, not arguments.replace)


def _print_plans(jobs: list[Job], errors: list[str]) -> None:
    """Print the plan of each target. The remarks on a domain follow the plan of a single target;
    with several targets they follow all plans, below the name of the domain."""
    if len(jobs) == 1:
        print("\n".join(jobs[0].lines()))
    else:
        for job in jobs:
            print(f"-- {job.target} ({job.calls.region})")
            print("\n".join(job.plan_lines()))
        for job in jobs:
            if job.domain_remarks:
                print(f"-- domain {job.target.domain_id} as a whole ({job.calls.region})")
                print("\n".join(job.remark_lines()))
    for error in errors:
        print(f"Not planned: {error}", file=sys.stderr)


def _result(jobs: list[Job], errors: list[str], confirmed: bool) -> dict[str, object]:
    return {
        "plan": [line for job in jobs for line in job.lines()],
        "changes": sum(len(job.plan.changes) for job in jobs if job.plan),
        "applied": confirmed and all(job.applied or not job.has_changes for job in jobs),
        "targets": [job.to_json() for job in jobs],
        "errors": errors,
    }


def _print_result(jobs: list[Job], confirmed: bool) -> None:
    failed = [job for job in jobs if job.error]
    for job in failed:
        print(f"Failed: {job.target} ({job.calls.region}): {job.error}", file=sys.stderr)
    if confirmed and not failed:
        print("Done.")
    elif confirmed:
        done = sum(job.applied for job in jobs)
        print(f"Done for {done} of {len(jobs)}. Run the same command again for the rest.")
    elif any(job.has_changes for job in jobs):
        print("Nothing was changed. Use --yes to carry out the plan.", file=sys.stderr)


def show(arguments: argparse.Namespace, kind: str) -> bool:
    """Print the script that is attached to each target. If the options describe a script, also
    print what differs from it. Returns whether nothing differs and every target was read."""
    is_wanted = arguments.config or arguments.set or arguments.source or arguments.wheel
    jobs, errors = _select(arguments, kind)
    wanted = Wanted(script_of(arguments)) if is_wanted else None
    app_type = APP_TYPES[arguments.platform]
    pages = []
    for job in jobs:
        try:
            pages.append(describe_attached(job.calls, job.target, app_type, wanted))
        except AttachError as error:
            errors.append(str(error))
    if arguments.json:
        print(json.dumps({"targets": [page.to_json() for page in pages], "errors": errors}))
    else:
        for page in pages:
            print("\n".join(page.text()))
        for text in errors:
            print(f"Not read: {text}", file=sys.stderr)
    return not errors and not any(page.drifts for page in pages)


def delete_unused(arguments: argparse.Namespace) -> bool:
    """Delete the lifecycle configurations of this package that are attached to no domain, user
    profile or space of the regions."""
    regions = find_unused(connect, split(arguments.region) or [""])
    names = [(name, each.region) for each in regions for name in each.names]
    errors = [each.error for each in regions if each.error]
    if not arguments.json:
        for name, region in names:
            print(f"Delete {name} ({region}).")
        if not names and not errors:
            print("There is no unused lifecycle configuration of auto_shutdown.")
        for text in errors:
            print(text, file=sys.stderr)
    confirmed = bool(names) and (arguments.yes or _ask(arguments, "Delete these?"))
    if confirmed:
        delete(regions)
    failures = [text for each in regions for text in each.failures]
    deleted = [(name, each.region) for each in regions for name in each.deleted]
    if arguments.json:
        answer = {"unused": _to_json(names), "deleted": _to_json(deleted)}
        print(json.dumps({**answer, "errors": errors + failures}))
    else:
        for name, region in deleted:
            print(f"Deleted {name} ({region}).")
        for text in failures:
            print(text, file=sys.stderr)
        if names and not confirmed:
            print("Nothing was deleted. Use --yes to delete these.", file=sys.stderr)
    return not errors and not failures and len(deleted) == len(names)


def _to_json(names: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "region": region} for name, region in names]


def _ask(arguments: argparse.Namespace, question: str) -> bool:
    """Whether the user answers ``question`` with yes. False where nobody can answer."""
    if arguments.json or not sys.stdin.isatty():
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
