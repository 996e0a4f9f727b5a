"""The names of resources. This module is small, because a server loads it before its first answer;
:mod:`~auto_shutdown.core.model` has the resources themselves."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Kind(str, Enum):
    """The kind of resource of a :class:`Ref`. Only keep-alives use ``ALL``."""

    KERNEL = "kernel"
    TERMINAL = "terminal"
    APP = "app"
    ALL = "all"

    # Faster than Enum's own hash, which is Python code.
    __hash__ = str.__hash__


class Ref(NamedTuple):
    """The name of one resource: a kernel id, a terminal name, or ``AppType/AppName``.

    It is a tuple for speed: a pass looks up each Ref a dozen times, and a tuple's hash is C code.
    """

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.id}"


#: A keep-alive on this Ref covers every resource.
EVERYTHING = Ref(Kind.ALL, "all")
