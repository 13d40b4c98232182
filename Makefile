# Works with GNU make 3.81 and any POSIX shell. `make` alone lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUPPLY := $(VENV)/supply/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
ARGS ?=

.PHONY: help run demo test check style test-setup test-tools bench growth scale total-loss operating protocol faults hosts fuzz figures refusals model-server pictures board-pictures container-check lock audit sbom clean

help:
	@echo 'make run          install what is needed and serve on http://127.0.0.1:8000'
	@echo 'make demo         the same in a folder of its own, with users and 30 days of calls'
	@echo 'make test         run every check and test that can run here'
	@echo 'make check        format, lint, types and import contracts only'
	@echo 'make test-setup   install the programs that some tests need (Debian)'
	@echo 'make bench        compare what calls and streams cost with others; ARGS=--quick'
	@echo 'make protocol     run the money protocol under random faults; ARGS="--seeds 100 --from 0"'
	@echo 'make faults       hurt a running gateway in every way of docs/faults.md; ARGS="--only F11 --seed 7"'
	@echo 'make fuzz         fuzz the readers of what strangers send; ARGS="--seconds 300 --only toml"'
	@echo 'make operating    try an upgrade with streams open, as docs/operating.md has it'
	@echo 'make total-loss   empty Redis before a long ledger; ARGS="--accounts 100000 --bookkeepers 2"'
	@echo 'make hosts        two hosts under load: one dies, Redis dies, totals stay; ARGS="--store cluster"'
	@echo 'make figures      measure the ten figures of docs/figures.md; ARGS="--only 3 --scale full"'
	@echo 'make refusals     measure how many calls a budget refuses in vain'
	@echo 'make scale        measure the staff pages with many users and a long ledger'
	@echo 'make growth       measure a million users and ten million rows; ARGS="--parts accounts"'
	@echo 'make model-server compare the ledger with what a real model server counts'
	@echo 'make pictures     write the pictures of docs/images anew'
	@echo 'make board-pictures  draw the Grafana boards over a day of demo calls (needs Node.js)'
	@echo 'make container-check  do every step of the Dockerfile without a container engine'
	@echo 'make lock         write requirements.lock anew, after a change of requirements.txt'
	@echo 'make audit        ask whether a package that we run on has a known weakness'
	@echo 'make sbom         write sbom.json, the bill of materials'
	@echo 'make clean        remove caches; data and .venv stay'

run: $(VENV)/.installed
	@$(BIN)/python app.py

# Whatever .env says, made-up users and calls reach no real store, no provider and no inbox.
demo: $(VENV)/.installed
	@AI_GATEWAY_DEMO=true AI_GATEWAY_SIMULATOR=on AI_GATEWAY_DATA_DIR=./demo-var \
		AI_GATEWAY_CONFIG= DATABASE_URL= REDIS_URL= LANGSMITH_API_KEY= \
		AI_GATEWAY_ALERT_EMAILS= AI_GATEWAY_ALERT_WEBHOOK_URL= $(BIN)/python app.py

# In memory where there is room, since each of the many small databases waits for the disk. The types
# are checked meanwhile: mypy keeps one core busy for half a minute. The last lines name what was left
# out; where CI=true that is a failure.
test: test-tools style
	@room=$$(df -Pk /dev/shm 2> /dev/null | awk 'NR == 2 { print $$4 }'); \
	[ "$${room:-0}" -lt 4000000 ] || export TMPDIR=/dev/shm; \
	status=0; \
	types=$$(mktemp); $(BIN)/mypy > "$$types" 2>&1 & mypy=$$!; \
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS) || status=$$?; \
	wait $$mypy || status=$$?; cat "$$types"; rm "$$types"; \
	$(BIN)/python tests/tools.py report || status=1; \
	exit $$status

check: style
	$(BIN)/mypy

style: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
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

# Some 20 minutes; Portkey's gateway and LiteLLM's proxy are installed into .bench, apart from ours.
bench: $(VENV)/.installed-dev
	$(BIN)/python -m bench $(ARGS)

protocol: $(VENV)/.installed-dev
	$(BIN)/python -m tests.protocol $(ARGS)

faults: $(VENV)/.installed-dev
	$(BIN)/python -m tests.faults $(ARGS)

# Exit status 1 where something was found; var/fuzz has it.
fuzz: $(VENV)/.installed-fuzz
	$(BIN)/python -m tests.security.fuzz $(ARGS)

# Exit status 1 where a stream was cut, a call refused, or a sum differs.
operating: $(VENV)/.installed-dev
	$(BIN)/python -m tests.operating $(ARGS)

# Some ten minutes, most of them to make the ledger; exit status 1 where a counter differs.
total-loss: $(VENV)/.installed-dev
	$(BIN)/python -m bench.total_loss $(ARGS)

# Some four minutes; exit status 1 where a total is not exact.
hosts: $(VENV)/.installed-dev
	$(BIN)/python -m tests.many_hosts $(ARGS)

# Some 25 minutes on two idle cores; exit status 1 where a target is not met.
figures: $(VENV)/.installed-dev
	$(BIN)/python -m tests.figures $(ARGS)

refusals: $(VENV)/.installed-dev
	$(BIN)/python -m tests.e2e.false_refusals $(ARGS)

# Ten minutes; exit status 1 where a page is beyond its bound.
scale: $(VENV)/.installed-dev
	$(BIN)/python -m bench.scale $(ARGS)

# An hour on an idle machine, 26 GB of disk; each part is written to bench/results/growth.json when it ends.
growth: $(VENV)/.installed-dev
	$(BIN)/python -m bench.growth $(ARGS)

# All of them, in every state: python -m tests.browser.screenshots FOLDER
pictures: $(VENV)/.installed-dev
	$(BIN)/python -m tests.browser.screenshots docs/images --chosen

# Grafana's components are installed into .board-pictures, some 450 MB.
board-pictures: $(VENV)/.installed-dev
	$(BIN)/python -m bench.boards docs/images

# The model server is installed into .model-server, apart from what the gateway needs.
model-server: $(VENV)/.installed-dev
	$(BIN)/python -m bench.model_server $(ARGS)

# Needs PostgreSQL, as the tests do, and fetches every package anew.
container-check: $(VENV)/.installed-dev
	$(BIN)/python -m tests.deploy

# For any Python from 3.11 on and any system, not only for those of whoever writes it.
lock: $(VENV)/.installed-supply
	@echo '# Every package that the gateway runs on, with the hashes of its files.' \
		'Written by `make lock` from requirements.txt; do not edit.' > requirements.lock
	$(SUPPLY)/uv pip compile requirements.txt --universal --generate-hashes --python-version 3.11 \
		--no-header --no-annotate --quiet >> requirements.lock

# Exit status 1 where there is one. What could not be asked about is a warning: that is no weakness.
audit: $(VENV)/.installed-supply
	@status=0; \
	said=$$($(SUPPLY)/pip-audit --disable-pip --require-hashes -r requirements.lock 2>&1) || status=$$?; \
	echo "$$said"; \
	case "$$said" in \
	*"could not be audited"*) echo 'make audit: WARNING: some packages could not be asked about' >&2;; \
	*ConnectionError*|*ServiceError*|*"Max retries"*) status=0; \
		echo 'make audit: WARNING: the list of weaknesses could not be asked' >&2;; \
	esac; exit $$status

sbom: $(VENV)/.installed-supply
	$(SUPPLY)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml \
		--output-reproducible --of JSON -o sbom.json

# Tools that look at packages, apart from the packages that they look at.
$(VENV)/.installed-supply: requirements-supply.txt | $(BIN)/python
	$(PYTHON) -m venv $(VENV)/supply
	$(SUPPLY)/python -m pip install --quiet --disable-pip-version-check -r requirements-supply.txt
	@touch $@

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache .coverage
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed anew only when the lists have changed.
$(VENV)/.installed: requirements.lock | $(BIN)/python
	$(PIP) --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.installed-dev: requirements.lock requirements-dev.txt | $(BIN)/python
	$(PIP) -r requirements-dev.txt
	@touch $(VENV)/.installed $@

$(VENV)/.installed-fuzz: requirements-fuzz.txt $(VENV)/.installed-dev
	$(PIP) -r requirements-fuzz.txt
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || { \
		echo "ai-gateway: Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1 | head -n 1)." \
			"Name another: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }
