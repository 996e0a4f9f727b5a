"""The names that the commands, the scripts and the policies share. It loads nothing, so that
``--help`` answers at once."""

from __future__ import annotations

DISTRIBUTION = "jupyterlab-auto-shutdown"

#: The names of our lifecycle configurations begin with this, so that policies can be limited to
#: them and leftovers can be found.
PREFIX = "auto-shutdown-"

#: From the platform's name on the command line to SageMaker's app type and the environment that
#: runs its server.
APP_TYPES = {"jupyter-server": "JupyterServer", "jupyterlab": "JupyterLab"}
ENVIRONMENTS = {
    "jupyter-server": "/opt/conda/envs/studio",
    "jupyterlab": "/opt/conda",
    "notebook-instance": "/home/ec2-user/anaconda3/envs/JupyterSystemEnv",
}
#: Where the server of each platform answers.
SERVERS = {
    "jupyter-server": "http://127.0.0.1:8888/jupyter/default/",
    "jupyterlab": "http://127.0.0.1:8888/jupyterlab/default/",
    "notebook-instance": "https://127.0.0.1:8443/",
}
TITLES = {
    "jupyter-server": "Studio Classic (JupyterServer apps)",
    "jupyterlab": "Studio spaces with JupyterLab",
    "notebook-instance": "notebook instances",
}

#: The platforms as the policies and the report name them.
PLATFORMS = ("studio-classic", "studio-space", "notebook-instance")

#: The kinds of resource that a script can be attached to.
TARGETS = ("domain", "user-profile", "space")
