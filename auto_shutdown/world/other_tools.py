"""Other tools that stop idle apps, recognised in the scripts and crontabs that start them.

The names are those of AWS's samples, repositories of ``aws-samples`` on GitHub:
``sagemaker-studio-apps-lifecycle-config-examples`` (JupyterLab, Code Editor),
``amazon-sagemaker-notebook-instance-lifecycle-config-samples``, and
``sagemaker-studio-lifecycle-config-examples`` (Studio Classic).
"""

from __future__ import annotations

import re

#: The name of each tool, and the text that a script or crontab contains when it starts the tool.
_TOOLS = (
    ("auto_stop_idle.py", re.compile(r"auto[_-]stop[_-]idle(?!\w*/autostop\.py)")),
    ("autostop.py", re.compile(r"\bautostop\.py\b")),
    ("sagemaker_studio_autoshutdown", re.compile(r"sagemaker[_-]studio[_-]auto-?shutdown")),
)
_BY_HAND = re.compile(r"delete[-_]app\b|\bDeleteApp\b|stop[-_]notebook[-_]instance\b")


def tools_in(script: str) -> tuple[str, ...]:
    """The names of the tools that ``script`` starts. Also recognises a script that itself deletes
    an app or stops a notebook instance. Ignores comment lines."""
    lines = (line for line in script.splitlines() if not line.lstrip().startswith("#"))
    text = "\n".join(lines)
    found = tuple(name for name, pattern in _TOOLS if pattern.search(text))
    if not found and _BY_HAND.search(text):
        return ("a script that deletes apps or stops instances by itself",)
    return found
