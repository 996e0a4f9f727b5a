"""auto_shutdown on a SageMaker user profile, with the AWS CDK. See docs/as-code.md.

on-start.sh lies beside this file; it is written by
``jupyter auto-shutdown lifecycle-config --for jupyterlab --output on-start.sh``.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from aws_cdk import App, Fn, Stack
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

SCRIPT = Path(os.environ.get("ON_START", Path(__file__).with_name("on-start.sh")))


class AutoShutdown(Stack):
    """A lifecycle configuration, and a user profile that runs it at each start of its apps."""

    def __init__(
        self, scope: Construct, name: str, *, domain_id: str, user_profile: str, role_arn: str
    ) -> None:
        super().__init__(scope, name)
        script = SCRIPT.read_text(encoding="utf-8")
        # SageMaker cannot change a lifecycle configuration: another script needs another name.
        digest = hashlib.sha256(script.encode()).hexdigest()[:12]
        config = sagemaker.CfnStudioLifecycleConfig(
            self,
            "LifecycleConfig",
            studio_lifecycle_config_name=f"auto-shutdown-jupyterlab-{digest}",
            studio_lifecycle_config_app_type="JupyterLab",
            studio_lifecycle_config_content=Fn.base64(script),
        )
        settings = sagemaker.CfnUserProfile.UserSettingsProperty(
            execution_role=role_arn,
            # The same property stands in default_user_settings of CfnDomain.
            jupyter_lab_app_settings=sagemaker.CfnUserProfile.JupyterLabAppSettingsProperty(
                built_in_lifecycle_config_arn=config.attr_studio_lifecycle_config_arn
            ),
        )
        sagemaker.CfnUserProfile(
            self,
            "UserProfile",
            domain_id=domain_id,
            user_profile_name=user_profile,
            user_settings=settings,
        )


app = App()
AutoShutdown(
    app,
    "AutoShutdown",
    domain_id="d-abcdefghijkl",
    user_profile="ada",
    role_arn="arn:aws:iam::123456789012:role/StudioRole",
)
app.synth()
