# What a newcomer needs: `make run`, `make test`. Everything is set up in .venv on first use.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8080
DEBIAN := redis-server prometheus
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-virtualenv

.PHONY: help run claude-agent test test-jaeger check format docs build bench bench-peers lock clean $(DEBIAN)

help: ## Show this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## Serve the personas on the sandbox, on port 8080 (PORT=… for another)
	@exec $(BIN)/execution-platform serve --sandbox --port $(PORT)

claude-agent: $(VENV)/.installed-claude-agent ## Add the Claude Agent SDK and its CLI (160 MB), which `make run` then uses
	@echo "The Claude Agent SDK is in $(VENV): \`make run\` serves Claude's personas through it."

test: $(DEBIAN) $(VENV)/.installed-dev ## Run all tests, with branch coverage
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest $(PYTEST_ARGS)
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage report

# A running one at JAEGER_QUERY_URL, a container, or its Go module, built into build/jaeger once.
test-jaeger: $(VENV)/.installed-dev ## Run the tests of traces against a real Jaeger, which is started for them
	@$(BIN)/python -m tests.telemetry.backends.start_jaeger $(PYTEST_ARGS)

# Debian's packages, each with the program of its name, for the tests of what server processes share and
# of the metrics. They are started by no one but the tests.
$(DEBIAN):
	@command -v $@ >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing Debian's $@ for the tests."; \
			export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive; \
			install="apt-get install -o DPkg::Lock::Timeout=120 --quiet=2 --yes --no-install-recommends $@"; \
			$$install >/dev/null 2>&1 || { apt-get update --quiet=2 && $$install >/dev/null; } || :; \
		fi; \
		hash -r; \
		if command -v $@ >/dev/null; then :; \
		elif [ "$${CI:-}" = true ]; then \
			echo "CI needs $@, which is not here, nor is there a way to install it:" \
				"have it in the image (Debian: apt-get install $@), or be root." >&2; \
			exit 1; \
		else \
			echo "No $@ here, and no way to install it: its tests are skipped" \
				"(Debian: apt-get install $@)."; \
		fi; \
	}

check: $(VENV)/.installed-dev ## Format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## Format the code and mend what can be mended
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

docs: $(VENV)/.installed-dev ## Write the fidelity matrix and the table of metrics anew, and the API reference into build/api
	@$(BIN)/python -m tests.fidelity.matrix
	@$(BIN)/python -m tests.telemetry.metrics_table
	@$(BIN)/pdoc --docformat google --output-directory build/api \
		execution_platform proxy policy translators
	@echo "The API reference: build/api/execution_platform.html"

build: $(VENV)/.installed-dev ## Build the wheel and the sdist into dist/
	@$(BIN)/python -m build --no-isolation --outdir dist

bench: $(VENV)/.installed-dev ## Measure speed and memory (BENCH_ARGS="--quick", or --help)
	@$(BIN)/python -m tests.benchmarks $(BENCH_ARGS)

bench-peers: $(VENV)/.installed-dev ## Install what `make bench` compares with: nginx, Portkey, LiteLLM
	@$(BIN)/python -m tests.benchmarks.peers.install $(PEERS_ARGS)

lock: $(VENV)/.installed-dev ## Pin the dependencies anew, with hashes
	@$(PIP) uv
	@$(BIN)/uv pip compile $(LOCK_FLAGS) --group build -o deploy/requirements.txt pyproject.toml
	@$(BIN)/uv pip compile $(LOCK_FLAGS) --group build --extra claude-agent \
		--constraint deploy/requirements.txt -o deploy/requirements-claude-agent.txt pyproject.toml
	@$(BIN)/uv pip compile $(LOCK_FLAGS) --group build --extra redis --extra vertex --extra bedrock \
		--extra otlp-grpc --constraint deploy/requirements.txt \
		-o deploy/requirements-extras.txt pyproject.toml
	@$(BIN)/uv pip compile $(LOCK_FLAGS) --group dev -o tests/requirements.txt pyproject.toml

LOCK_FLAGS := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	--no-annotate --no-emit-index-url --no-strip-extras

clean: ## Remove what was set up and built
	@rm -rf $(VENV) dist build .coverage .coverage.*

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with PYTHON=…" >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version): once, about a minute."
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "Python's venv module is missing (Debian: apt-get install python3-venv)." >&2; exit 1; }

# The pins name hashes and no index: whatever index pip is set up with has to serve those files.
$(VENV)/.installed: deploy/requirements.txt pyproject.toml | $(BIN)/python
	@$(PIP) --require-hashes -r deploy/requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# All of the above and the extra: installed on top of it, this adds what is missing.
$(VENV)/.installed-claude-agent: deploy/requirements-claude-agent.txt pyproject.toml | $(BIN)/python
	@echo "Installing the Claude Agent SDK with its command line: 160 MB."
	@$(PIP) --require-hashes -r deploy/requirements-claude-agent.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: tests/requirements.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the tests need."
	@$(PIP) --require-hashes -r tests/requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.installed
