"""The words that the commands, the scripts and the policies have in common. Loads nothing, so that
``--help`` is not kept waiting."""

from __future__ import annotations

DISTRIBUTION = "jupyterlab-auto-shutdown"

#: Ours are known by their name, and policies can be limited to it.
PREFIX = "auto-shutdown-"

#: From the platform's name on the command line to SageMaker's app type and the environment that
#: runs its server.
APP_TYPES = {"jupyter-server": "JupyterServer", "jupyterlab": "JupyterLab"}
ENVIRONMENTS = {
    "jupyter-server": "/opt/conda/envs/studio",
    "jupyterlab": "/opt/conda",
    "notebook-instance": "/home/ec2-user/anaconda3/envs/JupyterSystemEnv",
}
TITLES = {
    "jupyter-server": "Studio Classic (JupyterServer apps)",
    "jupyterlab": "Studio spaces with JupyterLab",
    "notebook-instance": "notebook instances",
}

#: What the policies call the platforms, as the report does.
PLATFORMS = ("studio-classic", "studio-space", "notebook-instance")

#: What a script can be attached to.
TARGETS = ("domain", "user-profile", "space")
