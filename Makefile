# Every task of the project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z0-9_-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Development

.PHONY: bootstrap
bootstrap: $(VENV)/.ready ## bring uv and the virtual environment (needs only Python 3.11-3.13 with pip)

# uv itself is pinned with a hash like everything else; the rest is installed by it from the lock. The pip is that of
# $(PYTHON): Debian's Python cannot put one into a new environment. What is there but does not run is made anew.
$(VENV)/.ready: requirements/dev.txt requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "make: $(PYTHON) is not Python 3.11 to 3.13; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear --without-pip $(VENV)
	@$(PYTHON) -m pip --python $(BIN)/python install --quiet --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode --require-hashes requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: lock
lock: bootstrap ## write requirements/dev.txt anew from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --all-extras --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --output-file requirements/dev.txt

.PHONY: generate
generate: bootstrap ## write the CRDs and the API reference
	@$(BIN)/python -m hack.generate

.PHONY: format
format: bootstrap ## format the code and mend what ruff can mend
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

##@ Checks

.PHONY: verify
verify: bootstrap ## format, lint, types, layers, dependencies, generated files, locks, links: all problems at once
	@$(BIN)/python -m hack.verify $(ARGS)

# Few failures, told shortly: the last lines of a red run say which test failed and why.
PYTEST = $(BIN)/pytest --quiet --tb=short --maxfail=3 --numprocesses=2

.PHONY: test-unit
test-unit: bootstrap ## pure logic and generated files, in seconds (ARGS="-k name" for some)
	@$(PYTEST) $(ARGS) tests/unit tests/golden

.PHONY: test-property
test-property: bootstrap ## decisions in a cruel model world, and mistakes in them that it must find
	@$(PYTEST) -m "not deep" $(ARGS) tests/property

.PHONY: test-deep
test-deep: bootstrap ## the same with many more examples, and all the seeded mistakes: half an hour
	@SDG_PROPERTY_DEEP=1 $(PYTEST) $(ARGS) tests/property

.PHONY: test
test: verify ## the gate: everything above but test-deep
	@$(PYTEST) -m "not deep" $(ARGS) tests
