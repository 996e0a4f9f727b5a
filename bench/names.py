"""Names that both the benchmark and the measured server use. The measured server imports this
module, so it imports nothing itself."""

from __future__ import annotations

REGION = "us-west-2"
TOKEN = "bench"
OWNER = "ada"
IMAGE = f"arn:aws:sagemaker:{REGION}:123456789012:image/datascience-1.0"
