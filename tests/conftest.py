"""What every test shares: the fixtures of pytest-jupyter (`jp_serverapp`, `jp_fetch`, …)."""

pytest_plugins = ("pytest_jupyter.jupyter_server",)
