"""Evaluates a policy for one request, by the rules of IAM: actions, resources with wildcards and
variables, and the conditions that the policies of this package use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any


def with_values(pattern: str, context: Mapping[str, str]) -> str | None:
    """``pattern`` with the values of its variables in the request. None if the request lacks one of
    them: then the pattern matches no resource."""
    names = re.findall(r"\$\{([^}]+)\}", pattern)
    if any(name not in context for name in names):
        return None
    return re.sub(r"\$\{([^}]+)\}", lambda m: context[m[1]], pattern)


def matches(patterns: Sequence[str], value: str, context: Mapping[str, str]) -> bool:
    """Whether one of the patterns matches ``value``."""
    return any(
        p is not None and fnmatchcase(value, p) for p in (with_values(p, context) for p in patterns)
    )


def condition_holds(condition: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """Whether the request fulfils the condition of a statement."""
    for operator, tests in condition.items():
        for key, wanted in tests.items():
            if operator == "Null":
                if (key not in context) != (wanted == "true"):
                    return False
            elif operator in ("ArnLike", "StringEquals"):
                if key not in context or not matches([wanted], context[key], context):
                    return False
            else:
                raise AssertionError(operator)
    return True


def allows(
    policy: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str] | None = None
) -> bool:
    """Whether the policy allows ``action`` on the ARN ``resource``. ``context`` has the condition
    keys of the request, which are also the values of variables."""
    context = context or {}
    return any(
        action in s["Action"]
        and matches(s["Resource"], resource, context)
        and condition_holds(s.get("Condition", {}), context)
        for s in policy["Statement"]
    )
