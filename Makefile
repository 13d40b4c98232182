# Works with GNU make 3.81 and any POSIX shell. `make` alone lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
ARGS ?=

.PHONY: help run demo test check test-setup test-tools bench clean

help:
	@echo 'make run          install what is needed and serve on http://127.0.0.1:8000'
	@echo 'make demo         the same in a folder of its own, with users and 30 days of calls'
	@echo 'make test         run every check and test that can run here'
	@echo 'make check        format, lint, types and import contracts only'
	@echo 'make test-setup   install the programs that some tests need (Debian)'
	@echo 'make bench        measure; ARGS="..." are handed on'
	@echo 'make clean        remove caches; data and .venv stay'

run: $(VENV)/.installed
	@$(BIN)/python app.py

demo: $(VENV)/.installed
	@AI_GATEWAY_DEMO=true AI_GATEWAY_DATA_DIR=./demo-var $(BIN)/python app.py

# The last lines name what was left out; where CI=true that is a failure.
test: test-tools check
	@status=0; \
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS) || status=$$?; \
	$(BIN)/python tests/tools.py report || status=1; \
	exit $$status

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Where CI=true and we are root, what is missing is installed without being asked.
test-tools: $(VENV)/.installed-dev
	@if [ "$$(id -u)" = 0 ] && ! $(BIN)/python tests/tools.py report > /dev/null; then \
		$(MAKE) test-setup; \
	fi

# The policy keeps the packages from starting their services.
test-setup: $(BIN)/python
	@command -v apt-get > /dev/null || { \
		echo 'make test-setup needs apt-get; install by other means:' >&2; \
		$(BIN)/python tests/tools.py packages >&2; exit 1; }
	@set -e; policy=/usr/sbin/policy-rc.d; \
	if [ ! -e $$policy ]; then \
		trap '$(SUDO) rm -f /usr/sbin/policy-rc.d' EXIT; \
		printf '#!/bin/sh\nexit 101\n' | $(SUDO) tee $$policy > /dev/null; \
		$(SUDO) chmod 755 $$policy; \
	fi; \
	$(SUDO) apt-get update; \
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
		$$($(BIN)/python tests/tools.py packages)

bench: $(VENV)/.installed-dev
	$(BIN)/python -m bench $(ARGS)

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache .coverage
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed anew only when the lists have changed.
$(VENV)/.installed: requirements.txt | $(BIN)/python
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt | $(BIN)/python
	$(PIP) -r requirements-dev.txt
	@touch $(VENV)/.installed $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || { \
		echo "ai-gateway: Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1 | head -n 1)." \
			"Name another: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }
