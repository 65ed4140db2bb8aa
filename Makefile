# Every task of the project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := operator runner engine pdf teacher dev

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
lock: bootstrap ## write requirements/*.txt anew from pyproject.toml
	@for role in $(LOCKS); do $(MAKE) --no-print-directory lock-$$role; done

.PHONY: lock-%
lock-%:
	@extras="--extra $*"; [ $* != dev ] || extras="--all-extras"; \
	$(BIN)/uv pip compile pyproject.toml $$extras --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --output-file requirements/$*.txt

.PHONY: generate
generate: bootstrap ## write the CRDs, the API reference and the chart's generated files
	@$(BIN)/python -m hack.generate

.PHONY: format
format: bootstrap ## format the code and mend what ruff can mend
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

##@ Checks

.PHONY: verify
verify: bootstrap ## the one gate: format, lint, types, layers, dependencies, generated files, links, unused code, workflows
	@$(BIN)/python -m hack.verify $(ARGS)

# The long series of kills and outages have a target of their own; one of each kind is among the rest.
PYTEST = $(BIN)/pytest --quiet -m "not faults" $(ARGS)
# Tests that mostly wait for others - pods, servers, time-outs - run side by side.
WORKERS ?= 3
NODE_WORKERS ?= 4

.PHONY: test-unit
test-unit: bootstrap ## pure logic and generated files, in seconds (ARGS="-k name" for some)
	@$(PYTEST) --numprocesses=auto tests/unit tests/golden

.PHONY: test-property
test-property: bootstrap ## decisions in a cruel model world, and the mistakes that it must find
	@$(PYTEST) --numprocesses=auto tests/property

# Before the tests: building them takes longer than a test may.
.PHONY: tools
tools: bootstrap ## build the pinned Go commands that the cluster and the tests need, once a version
	@$(BIN)/python -m hack.cluster tools > /dev/null

.PHONY: test-integration
test-integration: tools ## on a real API server, S3 server, Git servers, engine and Helm, all started by the tests
	@$(PYTEST) --numprocesses=$(WORKERS) --dist=loadfile tests/integration tests/chart

.PHONY: test-e2e
test-e2e: tools ## on real nodes: runs, then the demo and the chart; the runs' cluster stays for the next time
	@$(BIN)/pytest --quiet -m "not faults and not alone" $(ARGS) --numprocesses=$(NODE_WORKERS) tests/e2e
	@$(MAKE) --no-print-directory --jobs=2 --output-sync test-alone test-demo

# Both mostly wait, so they run side by side, and the demo's two files too; each has a cluster of its own.
.PHONY: test-alone test-demo
test-alone: tools ## runs whose cluster loses a node, or gets Kueue
	@$(BIN)/pytest --quiet -m "alone and not faults" $(ARGS) tests/e2e
test-demo: tools ## the demo and the chart, on a node each
	@$(PYTEST) --numprocesses=2 --dist=loadfile tests/demo

.PHONY: test-faults
test-faults: tools ## the long series of kills, outages and lost nodes
	@$(BIN)/pytest --quiet -m faults $(ARGS) tests

.PHONY: test
test: verify test-unit test-property test-integration test-e2e ## everything; leaves nothing running, not even the cluster of `make cluster-up`
	@$(PYTEST) tests/clusterlife

##@ Cluster

CLUSTER ?= sdg
# As they are where the cluster is there: another number of nodes would make it anew. BASE: see `make images`.
NODES ?=
GPUS ?=
BASE ?=
KIND = $(BIN)/python -m hack.cluster --name $(CLUSTER)

.PHONY: cluster-up
cluster-up: bootstrap ## a real Kubernetes node on this machine (NODES=1 GPUS=2 CLUSTER=sdg), or mend what is there
	@$(KIND) up $(if $(NODES),--nodes $(NODES)) $(if $(GPUS),--gpus $(GPUS))

.PHONY: cluster-down
cluster-down: bootstrap ## take the cluster away, and all that it made on this machine
	@$(KIND) down

.PHONY: cluster-status
cluster-status: bootstrap ## what of the cluster there is
	@$(KIND) status

.PHONY: images
images: cluster-up ## build our images and load them onto the nodes (BASE=a Debian-like image with Python 3.11)
	@$(KIND) images --base "$(BASE)"

.PHONY: images-push
images-push: bootstrap ## build the chart's images, with bills of materials in dist/, and push them (REGISTRY=… DEMO=1: the demo's too)
	@$(KIND) push $(REGISTRY) --base "$(BASE)" $(if $(DEMO),--demo)
	@$(BIN)/python -m hack.release boms

##@ Release

.PHONY: release-files
release-files: bootstrap ## install.yaml, chart, Python package and bills of materials into dist/ (REGISTRY=registry.example.com/ai)
	@$(BIN)/python -m hack.release files --registry "$(REGISTRY)"

.PHONY: release-contexts
release-contexts: bootstrap ## what the images are built from, for both architectures, into dist/contexts/ (IMAGE=sdg-runner)
	@$(BIN)/python -m hack.release contexts $(if $(IMAGE),--image $(IMAGE))

##@ See it

.PHONY: dev
dev: bootstrap ## the operator on this machine, anew at each change, against KUBECONFIG (with SETTINGS) or `make cluster-up`
	@$(BIN)/python -m hack.dev $(ARGS)

.PHONY: demo
demo: bootstrap ## do the main job for real: cluster, S3, chart, a run, its files (DEMO_TEACHER=model|scripted|URL)
	@$(BIN)/python -m hack.demo
