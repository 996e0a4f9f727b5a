"""The names that the commands, the scripts and the policies share. This module imports nothing, so
that ``--help`` answers at once."""

from __future__ import annotations

DISTRIBUTION = "jupyterlab-auto-shutdown"

#: The names of this package's lifecycle configurations begin with this prefix. Policies can be
#: limited to it, and unused configurations can be found by it.
PREFIX = "auto-shutdown-"

#: SageMaker's app type of each platform of Studio, by the platform's name on the command line.
APP_TYPES = {"jupyter-server": "JupyterServer", "jupyterlab": "JupyterLab"}

#: The Python environment in which the server of each platform runs.
ENVIRONMENTS = {
    "jupyter-server": "/opt/conda/envs/studio",
    "jupyterlab": "/opt/conda",
    "notebook-instance": "/home/ec2-user/anaconda3/envs/JupyterSystemEnv",
}

#: The URL of the server of each platform, from inside its app.
SERVERS = {
    "jupyter-server": "http://127.0.0.1:8888/jupyter/default/",
    "jupyterlab": "http://127.0.0.1:8888/jupyterlab/default/",
    "notebook-instance": "https://127.0.0.1:8443/",
}

#: Each platform in words.
TITLES = {
    "jupyter-server": "Studio Classic (JupyterServer apps)",
    "jupyterlab": "Studio spaces with JupyterLab",
    "notebook-instance": "notebook instances",
}

#: The platforms as ``iam-policy`` and the report of a server name them.
PLATFORMS = ("studio-classic", "studio-space", "notebook-instance")

#: The kinds of target to which a script can be attached.
TARGETS = ("domain", "user-profile", "space")
