"""The commands of the AWS command line in the pages name operations and parameters that exist."""

from __future__ import annotations

import pages
import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel

#: Commands that the AWS command line has beside the operations of the services' APIs.
HIGH_LEVEL = {("s3", "cp"), ("s3", "rm"), ("cloudformation", "deploy")}
GLOBAL = {"--region"}
#: Options that the AWS command line names otherwise than the API does.
RENAMED = {("sns", "subscribe"): {"--notification-endpoint"}}


@pytest.mark.parametrize("page", sorted(path.name for path in pages.DOCS.glob("*.md")))
def test_aws_commands_name_operations_and_parameters_that_exist(page: str) -> None:
    for command in pages.commands((pages.DOCS / page).read_text()):
        if command.words[0] != "aws" or command.words[1:3] in HIGH_LEVEL:
            continue
        service, operation, *rest = command.words[1:]
        model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
        names = {xform_name(name, "-"): name for name in model.operation_names}
        assert operation in names, command.line
        shape = model.operation_model(names[operation]).input_shape
        known = {f"--{xform_name(name, '-')}" for name in shape.members} | GLOBAL
        known |= RENAMED.get((service, operation), set())
        assert {word for word in rest if word.startswith("--")} <= known, command.line
