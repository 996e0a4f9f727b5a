"""What every test shares: the fixtures of pytest-jupyter (`jp_serverapp`, `jp_fetch`, …)."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ("pytest_jupyter.jupyter_server",)

# Machines are noisy: no test here asserts wall time, and none fails for being slow.
settings.register_profile(
    "here", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("here")
# For a mutation run, which lives through every property a thousand times.
settings.register_profile("few", settings.get_profile("here"), max_examples=15, derandomize=True)
# For the soak.
settings.register_profile("many", settings.get_profile("here"), max_examples=1000)
