"""Names that both sides of the local Studio use."""

from __future__ import annotations

INTERNAL = "__SAGEMAKER_INTERNAL__"
IMAGE_ARN = "arn:aws:sagemaker:us-west-2:236514542706:image/"


def kernelspec(image: str) -> str:
    """The kernelspec of Python 3 in ``image``, as Studio names it."""
    return f"python3{INTERNAL}{IMAGE_ARN}{image}"


def image_terminal(image: str, instance_type: str, number: int = 1) -> str:
    """The name of a terminal that runs inside an app."""
    return f"{IMAGE_ARN}{image}__{number}__{instance_type}"
