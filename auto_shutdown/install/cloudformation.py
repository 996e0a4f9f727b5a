"""A CloudFormation template that creates the lifecycle configuration."""

from __future__ import annotations

import json

from .errors import UsageError
from .lifecycle import Script, version_of
from .names import APP_TYPES, TITLES
from .plan import config_name

#: The logical id of the resource, and the output that holds its ARN.
RESOURCE = "AutoShutdownLifecycleConfig"
OUTPUT = "AutoShutdownLifecycleConfigArn"


def template(script: Script) -> str:
    """The template, as JSON. SageMaker cannot change a lifecycle configuration, so its name
    contains a digest of the script. With another script CloudFormation creates a new configuration
    before it deletes the old one. Raises UsageError for a notebook instance, which takes another
    resource."""
    app_type = APP_TYPES.get(script.platform)
    if app_type is None:
        raise UsageError(
            "A template is made for Studio. For a notebook instance use the script "
            "(--format script) as OnStart of an AWS::SageMaker::NotebookInstanceLifecycleConfig."
        )
    text = script.render()
    resource = {
        "Type": "AWS::SageMaker::StudioLifecycleConfig",
        "Properties": {
            "StudioLifecycleConfigName": config_name(
                script.platform, version_of(script.source), text
            ),
            "StudioLifecycleConfigAppType": app_type,
            "StudioLifecycleConfigContent": {"Fn::Base64": text},
        },
    }
    output = {
        "Description": "For the domain's or the user profile's settings.",
        "Value": {"Fn::GetAtt": [RESOURCE, "StudioLifecycleConfigArn"]},
        "Export": {"Name": {"Fn::Sub": f"${{AWS::StackName}}-{OUTPUT}"}},
    }
    return (
        json.dumps(
            {
                "AWSTemplateFormatVersion": "2010-09-09",
                "Description": f"auto_shutdown for {TITLES[script.platform]}",
                "Resources": {RESOURCE: resource},
                "Outputs": {OUTPUT: output},
            },
            indent=2,
        )
        + "\n"
    )
