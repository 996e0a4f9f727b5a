"""The names of resources: the short name that a table shows, and the resource that a name on the
command line identifies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ..api.server_error import ExitCode, ServerError

Resource = Mapping[str, Any]
Key = tuple[str, str]

#: Studio puts this between name and image in the names of kernelspecs and image terminals.
IMAGE_SEPARATOR = "__"

#: The fewest characters of an id that identify a resource. Fewer are more likely a typing error.
SHORTEST_START = 4

#: How many characters of an id a table shows beside a name.
ID_START = 8


def full_name(resource: Resource) -> str:
    """The name that identifies a resource: for a kernel the paths of its notebooks, or the name of
    its kernelspec and the start of its id; for an image terminal its image; else its own name."""
    name = str(resource["name"])
    if resource["kind"] == "kernel":
        if resource["paths"]:
            return ", ".join(resource["paths"])
        return f"{name.partition(IMAGE_SEPARATOR)[0]} {resource['id'][:ID_START]}".strip()
    if resource["kind"] == "terminal" and name.startswith("arn:"):
        image, _, rest = name.rpartition("/")[2].partition(IMAGE_SEPARATOR)
        return f"{image} {rest.partition(IMAGE_SEPARATOR)[0]}".strip()
    return name


def short_names(resources: Iterable[Resource]) -> dict[Key, str]:
    """A name for each resource (by kind and id) that no other resource of its kind has. A kernel
    has the file name of its notebook. If two notebooks have the same file name, it has the path; if
    two kernels have the same path, the name ends with the start of the id."""
    resources = list(resources)
    names = {key_of(r): _file_names(r) for r in resources}
    for better in (full_name, _with_id):
        count = Counter((kind, name) for (kind, _), name in names.items())
        for resource in resources:
            key = key_of(resource)
            if count[key[0], names[key]] > 1:
                names[key] = better(resource)
    return names


def key_of(resource: Resource) -> Key:
    """The kind and the id of a resource."""
    return str(resource["kind"]), str(resource["id"])


def _file_names(resource: Resource) -> str:
    if resource["kind"] == "kernel" and resource["paths"]:
        return ", ".join(path.rpartition("/")[2] for path in resource["paths"])
    return full_name(resource)


def _with_id(resource: Resource) -> str:
    return f"{full_name(resource)} {resource['id'][:ID_START]}"


def find_id(resources: Iterable[Resource], name: str) -> str | None:
    """The id of the resource that ``name`` identifies; None if there is none. ``resources`` are all
    of one kind. Raises ServerError when ``name`` identifies several."""
    resources = list(resources)
    for is_match in (_has_id, _has_name, _id_starts_with):
        matches = {str(r["id"]): r for r in resources if is_match(r, name)}
        if len(matches) > 1:
            choices = "; ".join(f"{full_name(r)}: {id_}" for id_, r in sorted(matches.items()))
            kind = next(iter(matches.values()))["kind"]
            message = f"The name {name!r} fits {len(matches)} {kind}s."
            remedy = f"Use a path or an id. {choices}"
            raise ServerError(ExitCode.TROUBLE, message, remedy)
        if matches:
            return next(iter(matches))
    return None


def _has_id(resource: Resource, name: str) -> bool:
    return bool(resource["id"] == name)


def _has_name(resource: Resource, name: str) -> bool:
    paths = resource["paths"]
    file_names = [path.rpartition("/")[2] for path in paths]
    return name in (resource["name"], resource["id"].rpartition("/")[2], *paths, *file_names)


def _id_starts_with(resource: Resource, name: str) -> bool:
    return len(name) >= SHORTEST_START and str(resource["id"]).startswith(name)


def unknown_name(error: ServerError, resources: Iterable[Resource]) -> ServerError:
    """``error``, with which the server refused a name, and the existing names as its remedy."""
    known = "; ".join(sorted({full_name(r) for r in resources})) or "none"
    return ServerError(error.code, str(error), f"These exist: {known}")
