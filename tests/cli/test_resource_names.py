"""The names of resources in tables, and the resource that a name on the command line identifies."""

from __future__ import annotations

from typing import Any

import pytest

from auto_shutdown.api.server_error import ServerError
from auto_shutdown.cli.names import find_id, full_name, short_names


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        ({"kind": "kernel", "id": "1234567890", "name": "python3", "paths": ["a/b.ipynb"]},
         "a/b.ipynb"),
        ({"kind": "kernel", "id": "1234567890",
          "name": "python3__SAGEMAKER_INTERNAL__arn:aws:x:image/ds", "paths": []},
         "python3 12345678"),
        ({"kind": "terminal", "id": "x", "name": "arn:aws:x:image/ds-1.0__2__ml.t3.medium"},
         "ds-1.0 2"),
        ({"kind": "app", "id": "KernelGateway/ds", "name": "ds"}, "ds"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_resources_are_shown_by_the_names_people_use(resource: dict[str, Any], name: str) -> None:
    assert full_name(resource) == name


def kernel(id_: str, *paths: str) -> dict[str, Any]:
    return {"kind": "kernel", "id": id_, "name": "python3", "paths": list(paths)}


def test_paths_are_shown_where_file_names_are_not_unique() -> None:
    """If two kernels share one notebook, the table also shows the start of their ids."""
    resources = [
        kernel("11111111-x", "a/train.ipynb"),
        kernel("22222222-x", "b/train.ipynb"),
        kernel("33333333-x", "deep/alone.ipynb"),
        kernel("44444444-x", "twice.ipynb"),
        kernel("55555555-x", "twice.ipynb"),
        {"kind": "terminal", "id": "alone.ipynb", "name": "alone.ipynb"},
    ]
    assert list(short_names(resources).values()) == [
        "a/train.ipynb",
        "b/train.ipynb",
        "alone.ipynb",
        "twice.ipynb 44444444",
        "twice.ipynb 55555555",
        "alone.ipynb",
    ]


def test_a_file_name_of_two_notebooks_is_answered_with_their_paths() -> None:
    resources = [kernel("11111111-x", "a/train.ipynb"), kernel("22222222-x", "b/train.ipynb")]
    with pytest.raises(ServerError) as caught:
        find_id(resources, "train.ipynb")
    assert caught.value.remedy == (
        "Use a path or an id. a/train.ipynb: 11111111-x; b/train.ipynb: 22222222-x"
    )
    assert find_id(resources, "b/train.ipynb") == "22222222-x"
