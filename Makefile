# Everything goes through here: people, CI and pre-commit run the same targets.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNS := tests/grid/execution tests/grid/runs/test_session.py
FAST := "not ray and not browser and not slow"
LIBRARIES := tests/cifar_models $(addprefix tests/grid/,analysis questions records report tables)

.PHONY: run test test-fast fast-libraries fast-others test-runs test-others check lint formatted types format bench faults lock clean help

help: ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 10

run: setup ## Two questions on the embedded digits, then where to look
	$(BIN)/cifar-grid run q2 q3 --profile quick

test: setup ## All tests, those of whole runs beside the others: they mostly wait for Ray
	@$(MAKE) --no-print-directory --jobs=2 test-runs test-others

test-runs:
	$(BIN)/python -m pytest $(RUNS)

test-others:
	$(BIN)/python -m pytest $(addprefix --ignore=,$(RUNS))

test-fast: setup ## Two minutes of tests for a small change: no Ray, no browser, nothing slow
	@$(MAKE) --no-print-directory --jobs=2 fast-libraries fast-others

fast-libraries:
	$(BIN)/python -m pytest -m $(FAST) $(LIBRARIES)

fast-others:
	$(BIN)/python -m pytest -m $(FAST) $(addprefix --ignore=,$(LIBRARIES))

check: setup ## Lint, format and types, as pre-commit and CI do
	@$(MAKE) --no-print-directory lint formatted types

# without setup: pre-commit calls these, and a commit is no time to install anything
lint:
	$(BIN)/ruff check .

formatted:
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

format: setup ## Puts the code into the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Timings beside their peers, then error rates; ROW=start for one, ARGS="--quick --json FILE"
	$(BIN)/python -m tests.benchmarks $(ROW) $(ARGS)

faults: setup ## Breaks what can break, thousands of times; hours, as root on Linux
	$(BIN)/python -m tests.faults

setup: $(VENV)/.installed ## The environment, from the locked versions

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cifar-grid needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

lock: ## Locks the newest versions that pyproject.toml allows, for every platform, with the SHA-256 of every file
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --universal --upgrade --python-version 3.11 --extra dev --no-header --no-annotate \
		--only-binary :all: --generate-hashes --output-file requirements.lock pyproject.toml
	rm -rf $(VENV)-lock

clean: ## Removes the environment and caches, never results
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
