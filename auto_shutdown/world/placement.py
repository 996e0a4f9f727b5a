"""Find the app in which each kernel and terminal runs, and the instance types that follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from ..core.model import IN_SERVICE, App, Kernel, Terminal

Tenant = TypeVar("Tenant", Kernel, Terminal)


def place(terminals: Iterable[Terminal], apps: Iterable[App]) -> tuple[Terminal, ...]:
    """Fill in the app of each image terminal.

    That is the app with the terminal's image and instance type. If no app has that image, each app
    of the instance type fits. An app whose instance type is unknown fits every instance type. If
    several apps fit, the terminal may run in any of them (``may_be_in``).
    """
    alive = [app for app in apps if app.status == IN_SERVICE]

    def placed(terminal: Terminal) -> Terminal:
        if not terminal.in_image:
            return terminal
        types = (terminal.instance_type, None)
        fitting = [app for app in alive if app.instance_type in types and not app.own]
        same_image = [app for app in fitting if _same_image(app.image, terminal.environment)]
        found = tuple(app.id for app in same_image or fitting)
        if len(found) == 1:
            return replace(terminal, app=found[0])
        return replace(terminal, may_be_in=found) if found else terminal

    return tuple(placed(terminal) for terminal in terminals)


def _same_image(image: str | None, environment: str | None) -> bool:
    """Whether both ARNs name the same image: ``…:image/NAME`` and ``…:image-version/NAME/3`` do."""
    if not image or not environment:
        return False
    return _image_name(image) == _image_name(environment)


def _image_name(arn: str) -> str:
    return arn.split("image-version/")[-1].split("image/")[-1].split("/")[0].lower()


def within(own: App, tenant: Tenant) -> Tenant:
    """``tenant``, placed in the server's own app if its app is not known."""
    if tenant.app is not None:
        return tenant
    instance_type = tenant.instance_type or own.instance_type
    return replace(tenant, app=own.id, instance_type=instance_type)


def completed(apps: tuple[App, ...], kernels: tuple[Kernel, ...]) -> tuple[App, ...]:
    """Fill in the instance type of each app from its kernels. boto3 before 1.27 drops the
    ResourceSpec of ListApps, so that rules by instance type would never match an app."""
    if all(app.instance_type for app in apps):
        return apps
    known = {k.app: k.instance_type for k in kernels if k.app and k.instance_type}
    return tuple(
        app if app.instance_type else replace(app, instance_type=known.get(app.id)) for app in apps
    )
