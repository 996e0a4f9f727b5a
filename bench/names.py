"""What both sides of a measurement must agree on; imported in the servers, so it loads nothing."""

from __future__ import annotations

REGION = "us-west-2"
TOKEN = "bench"
OWNER = "ada"
IMAGE = f"arn:aws:sagemaker:{REGION}:123456789012:image/datascience-1.0"
