# Each target does all its own set-up, from a fresh clone and with no virtual environment active.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
STAMPS := .make
BUNDLE := auto_shutdown/labextension/package.json
# The fast part; it runs in each time zone, in one process each, all at once.
FAST := tests/core tests/config tests/state tests/world tests/cycle tests/api
ZONES := UTC America/Los_Angeles Asia/Tokyo America/St_Johns

# As pip does: behind a proxy with a certificate of its own, only the system knows it.
export UV_SYSTEM_CERTS ?= 1
export UV_NATIVE_TLS ?= 1
export PATH := $(BIN):$(PATH)

.PHONY: setup build lint test demo lab bench soak test-compat mutation clean

setup: $(STAMPS)/ready

$(STAMPS)/venv:
	@mkdir -p $(STAMPS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Development needs Python 3.10 or newer: make PYTHON=python3.11 …"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "Cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

# uv, because resolving JupyterLab's requirements takes it seconds and pip minutes.
$(STAMPS)/packages: $(STAMPS)/venv pyproject.toml
	@$(BIN)/uv pip install --quiet --python $(BIN)/python editables hatchling hatch-jupyter-builder 'jupyter-builder>=1.2,<2'
	@$(BIN)/python -c 'import tomllib' 2>/dev/null || $(BIN)/uv pip install --quiet --python $(BIN)/python tomli
	@$(BIN)/python tests/packaging/requirements.py dev > $(STAMPS)/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r $(STAMPS)/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target $(STAMPS)/agent jupyter-activity-monitor-extension==0.3.2
	@touch $@

$(STAMPS)/node_modules: $(STAMPS)/packages labextension/package.json labextension/yarn.lock
	@command -v node > /dev/null || { echo "The panel is built with node 20 or newer; install it first."; exit 1; }
	@cd labextension && jlpm install --immutable > $(CURDIR)/$(STAMPS)/jlpm.log 2>&1 || { cat $(CURDIR)/$(STAMPS)/jlpm.log; exit 1; }
	@touch $@

# Whenever its source changed: the build backend itself keeps a bundle that is there, however old.
$(BUNDLE): $(STAMPS)/node_modules $(shell find labextension/src labextension/style labextension/schema -type f) labextension/tsconfig.json
	@rm -rf auto_shutdown/labextension
	@cd labextension && jlpm build > $(CURDIR)/$(STAMPS)/build.log 2>&1 || { cat $(CURDIR)/$(STAMPS)/build.log; exit 1; }

# An editable install leaves out what Jupyter finds by its place: the bundle, install.json and the
# server's configuration are copied there.
SHARE := $(VENV)/share/jupyter/labextensions/jupyterlab-auto-shutdown
$(STAMPS)/ready: $(STAMPS)/packages $(BUNDLE) jupyter-config/jupyter_server_config.d/auto_shutdown.json install.json
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	@rm -rf $(SHARE) && mkdir -p $(SHARE) $(VENV)/etc/jupyter/jupyter_server_config.d
	@cp -r auto_shutdown/labextension/* install.json $(SHARE)/
	@cp jupyter-config/jupyter_server_config.d/auto_shutdown.json $(VENV)/etc/jupyter/jupyter_server_config.d/
	@touch $@

# The wheel and the sdist, with a bundle made anew.
build: $(STAMPS)/node_modules
	@rm -rf dist auto_shutdown/labextension
	@$(BIN)/uv build --quiet --python $(BIN)/python

lint: $(STAMPS)/ready
	ruff check auto_shutdown bench tests
	ruff format --check auto_shutdown bench tests
	mypy
	cd labextension && jlpm check && jlpm test

test: lint
	@printf '%s\n' $(ZONES) | xargs -P 4 -I ZONE tests/in_zone.sh ZONE $(BIN)/python -m pytest -q -p no:cacheprovider -m "not soak" $(wildcard $(FAST))
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --durations=15 -m "not soak" $(addprefix --ignore=,$(FAST) tests/ui)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --durations=15 -m "not soak" tests/ui
	@$(BIN)/python tests/compat/run.py --ci

# What takes minutes.
soak: $(STAMPS)/ready
	$(BIN)/python -m pytest -m soak

demo: $(STAMPS)/ready
	@$(BIN)/python -m auto_shutdown.local_studio demo

lab: $(STAMPS)/ready
	@$(BIN)/python -m auto_shutdown.local_studio lab

# Prints what is measured and writes nothing here; WRITE=1 writes the page of results.
bench: $(STAMPS)/ready
	@$(BIN)/python -m bench $(if $(WRITE),--write docs/performance.md)

# The oldest and the newest supported hosts, on the interpreters found.
test-compat: $(STAMPS)/ready
	@$(BIN)/python tests/compat/run.py

# Does a test fail for every broken line of core/? docs/mutation.md; about five minutes.
mutation: $(STAMPS)/ready
	@$(BIN)/uv pip install --quiet --python $(BIN)/python 'mutmut>=3.8,<4'
	rm -rf mutants && mutmut run --max-children 1
	@mutmut results | grep -v ': killed'

clean:
	rm -rf $(VENV) $(STAMPS) .compat mutants dist auto_shutdown/labextension labextension/lib labextension/node_modules
