# Each target does all its own set-up, from a fresh clone and with no virtual environment active.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
STAMPS := .make
BUNDLE := auto_shutdown/labextension/package.json
# Tests that need no process of their own. `make test` runs them in a time zone ahead of UTC. The
# compatibility tests run them in UTC, and in a zone behind it with summer time and half an hour.
FAST := tests/core tests/config tests/state tests/world tests/cycle tests/api
ZONE := Asia/Tokyo
# Tests with real processes are tried a second time, at most eight in a run, and both tries are shown
# (docs/decisions/019).
TWICE := --reruns 1 --rerun-show-tracebacks --max-suite-reruns 8
PYTEST := $(BIN)/python -m pytest -q
# pip and uv should trust the certificates of the system, as a proxy of one's own needs.
export UV_SYSTEM_CERTS ?= 1
export UV_NATIVE_TLS ?= 1
export PATH := $(BIN):$(PATH)

.PHONY: help setup check-node build lint test-panel fast test soak demo demo-domain lab docs bench \
  test-compat mutation pre-commit clean

help:  ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
	  while IFS=$$'\t' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

setup: check-node $(STAMPS)/ready  ## Set up .venv for development (1 to 3 minutes).

# The panel is built with node. Say at once when it is missing, before minutes of other work.
check-node:
	@command -v node > /dev/null || { \
	  echo "This needs node 20 or newer, to build the JupyterLab panel. Install it first."; \
	  echo "Without node you can run: make demo, make demo-domain, make docs"; exit 1; }
	@node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' || { \
	  echo "This needs node 20 or newer; node $$(node --version) is installed."; exit 1; }

$(STAMPS)/venv:
	@mkdir -p $(STAMPS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Development needs Python 3.10 or newer: make PYTHON=python3.11 …"; exit 1; }
	@echo "Making a virtual environment in $(VENV) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "Cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

# uv, because resolving JupyterLab's requirements takes it seconds and pip minutes. jsonschema uses
# rfc3987-syntax if it is there, to check IRIs. Importing it takes more than half of the time in which
# a Jupyter server starts, and nothing here checks IRIs.
define install_extra
	@$(BIN)/python -c 'import tomllib' 2>/dev/null || $(BIN)/uv pip install --quiet --python $(BIN)/python tomli
	@$(BIN)/python tests/packaging/requirements.py $(1) > $(STAMPS)/$(1).txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r $(STAMPS)/$(1).txt
	@$(BIN)/uv pip uninstall --quiet --python $(BIN)/python rfc3987-syntax
endef

$(STAMPS)/packages: $(STAMPS)/venv pyproject.toml
	@echo "Installing the Python packages for development …"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python editables hatchling hatch-jupyter-builder 'jupyter-builder>=1.2,<2'
	$(call install_extra,dev)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target $(STAMPS)/agent jupyter-activity-monitor-extension==0.3.2
	@touch $@

$(STAMPS)/node_modules: $(STAMPS)/packages labextension/package.json labextension/yarn.lock | check-node
	@echo "Installing the panel's node packages …"
	@cd labextension && jlpm install --immutable > $(CURDIR)/$(STAMPS)/jlpm.log 2>&1 || { cat $(CURDIR)/$(STAMPS)/jlpm.log; exit 1; }
	@touch $@

# Whenever its source changed: the build backend itself keeps a bundle that is there, however old.
PANEL_SOURCES := $(shell find labextension/src labextension/style labextension/schema -type f) docs/users.md docs/bring-back.md
$(BUNDLE): $(STAMPS)/node_modules $(PANEL_SOURCES) labextension/tsconfig.json labextension/webpack.config.cjs labextension/css-loader.cjs
	@echo "Building the panel …"
	@rm -rf auto_shutdown/labextension
	@cd labextension && jlpm build > $(CURDIR)/$(STAMPS)/build.log 2>&1 || { cat $(CURDIR)/$(STAMPS)/build.log; exit 1; }

# An editable install leaves out the files that Jupyter finds by their place: the bundle, install.json
# and the server's configuration. They are copied there.
SHARE := $(VENV)/share/jupyter/labextensions/jupyterlab-auto-shutdown
SERVER_CONFIG := jupyter-config/jupyter_server_config.d/auto_shutdown.json
$(STAMPS)/ready: $(STAMPS)/packages $(BUNDLE) $(SERVER_CONFIG) install.json
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	@rm -rf $(SHARE) && mkdir -p $(SHARE) $(VENV)/etc/jupyter/jupyter_server_config.d
	@cp -r auto_shutdown/labextension/* install.json $(SHARE)/
	@cp $(SERVER_CONFIG) $(VENV)/etc/jupyter/jupyter_server_config.d/
	@touch $@

# The demo needs no panel, and so no node: the packages of the local Studio, and this folder on the path.
$(STAMPS)/demo: $(STAMPS)/venv pyproject.toml
	@echo "Installing JupyterLab, a kernel gateway and a SageMaker API stand-in …"
	$(call install_extra,demo)
	@touch $@

build: check-node $(STAMPS)/node_modules  ## Build the wheel and the sdist into dist/, and the panel.
	@rm -rf dist auto_shutdown/labextension
	@$(BIN)/uv build --quiet --python $(BIN)/python
	@ls dist/*

lint: check-node $(STAMPS)/ready  ## Check style and types, Python and TypeScript.
	ruff check auto_shutdown bench docs tests
	ruff format --check auto_shutdown bench docs tests
	mypy
	cd labextension && jlpm check

test-panel: check-node $(STAMPS)/node_modules  ## Run the panel's own unit tests.
	cd labextension && jlpm test

fast: lint test-panel  ## Lint, types and unit tests (1 to 2 minutes).
	$(PYTEST) -n 2 --hypothesis-profile=few -m "not soak and not slow" $(wildcard $(FAST)) tests/test_layers.py tests/test_docs.py tests/packaging/test_panel_types.py

test: lint test-panel docs  ## Run everything that CI runs (about 25 minutes).
	TZ=$(ZONE) $(PYTEST) -n 2 --dist loadfile --durations=10 -m "not soak and not slow" $(wildcard $(FAST))
	$(PYTEST) -n 2 --dist loadfile $(TWICE) -m "slow and not soak" $(wildcard $(FAST))
	$(PYTEST) -n 4 --dist loadfile --no-loadscope-reorder --durations=15 $(TWICE) -m "not soak" $(addprefix --ignore=,$(FAST) tests/ui)
	$(PYTEST) -n 2 --dist loadfile --durations=15 $(TWICE) -m "not soak" tests/ui
	@$(BIN)/python tests/compat/run.py --ci

soak: check-node $(STAMPS)/ready  ## Long tests: random examples, a busy machine (an hour).
	$(PYTEST) -m soak
	$(PYTEST) -m "hypothesis and not soak" --hypothesis-profile=random --timeout=7200
	$(BIN)/python tests/soak/under_load.py -q -m "not soak" $(wildcard $(FAST))

demo: $(STAMPS)/demo  ## Watch it remove idle apps in a small Studio (a minute).
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m auto_shutdown.local_studio demo

demo-domain: $(STAMPS)/demo  ## The domain commands for an account of 1,000 people.
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m auto_shutdown.local_studio domain-demo

lab: check-node $(STAMPS)/ready  ## Open the demo's Studio in JupyterLab, with short limits.
	@$(BIN)/python -m auto_shutdown.local_studio lab

docs: $(STAMPS)/docs  ## Build the documentation site into site/, strictly.
	@$(BIN)/mkdocs build --quiet --strict
	@echo "The documentation is in site/index.html."

$(STAMPS)/docs: $(STAMPS)/venv pyproject.toml
	@echo "Installing mkdocs …"
	$(call install_extra,docs)
	@touch $@

bench: check-node $(STAMPS)/ready  ## Measure what it costs; WRITE=1 writes docs/performance.md.
	@$(BIN)/python -m bench $(if $(WRITE),--write docs/performance.md)

test-compat: check-node $(STAMPS)/ready  ## Test the oldest and the newest supported hosts.
	@$(BIN)/python tests/compat/run.py

mutation: check-node $(STAMPS)/ready  ## Check that a test fails for each broken line of core.
	@$(BIN)/uv pip install --quiet --python $(BIN)/python 'mutmut>=3.8,<4'
	rm -rf mutants && mutmut run --max-children 1
	@mutmut results | grep -v ': killed'

pre-commit: $(STAMPS)/packages  ## Run the pre-commit hooks on all files.
	@$(BIN)/pre-commit run --all-files

clean:  ## Delete everything that these targets have made.
	rm -rf $(VENV) $(STAMPS) .compat mutants dist site auto_shutdown/labextension labextension/lib labextension/node_modules
