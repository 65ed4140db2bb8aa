# Every task of the project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests and tools start Python hundreds of times: what it compiles is kept, also where the environment says otherwise.
unexport PYTHONDONTWRITEBYTECODE
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
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
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

# DEV: flags of the operator, --namespace=mine say.
.PHONY: dev
dev: bootstrap ## the operator on this machine, anew at each change, against KUBECONFIG (with SETTINGS) or `make cluster-up`
	@$(BIN)/python -m hack.dev $(DEV)

# Of the CRDs as they are released: what lies in etcd under them is read with all later ones.
.PHONY: stored
stored: tools ## keep objects as an API server stores them with these CRDs, for tests of later ones (RELEASE=0.1.0)
	@$(BIN)/python -m tests.integration.api.storing $(RELEASE)

##@ Checks

.PHONY: verify
verify: bootstrap ## format, lint, types, layers, dependencies, generated files, locks, links: all problems at once
	@$(BIN)/python -m hack.verify $(CHECKS)

# One failure, told shortly: the last lines of a red run say which test failed and why, with the logs of what it used.
PYTEST = $(BIN)/pytest --quiet --tb=short --maxfail=1 --numprocesses=2 --dist=loadfile

.PHONY: test-unit
test-unit: bootstrap ## pure logic and generated files, in seconds (ARGS="-k name" for some)
	@$(PYTEST) $(ARGS) tests/unit tests/golden

.PHONY: test-property
test-property: bootstrap ## decisions in a cruel model world, and mistakes in them that it must find
	@$(PYTEST) --dist=load -m "not deep" $(ARGS) tests/property

# Before the tests: building them takes longer than a test may.
.PHONY: tools
tools: bootstrap ## build API server, S3 server, kubectl and Helm from pinned Go modules, once a version
	@$(BIN)/python -m hack.cluster tools etcd kube-apiserver kube-controller-manager kubectl versitygw helm4 > /dev/null

# Three at once on two cores: a good part of the time they wait for servers.
.PHONY: test-integration
test-integration: tools ## on a real API server, S3 server, Git servers and engine, all started by the tests
	@$(PYTEST) --numprocesses=3 --no-loadscope-reorder -m "not deep" $(ARGS) tests/integration

.PHONY: test-deep
test-deep: tools ## what is not in the gate: many more examples, all seeded mistakes, rare weather, measures of time
	@$(PYTEST) -m deep --maxfail=0 $(ARGS) tests/integration
	@SDG_PROPERTY_DEEP=1 $(PYTEST) --dist=load --maxfail=0 $(ARGS) tests/property

.PHONY: test-engine
test-engine: tools ## the engine and the storage in full: beside upstream, killed, failing, on bad stores (minutes)
	@$(PYTEST) -m "" --maxfail=0 -rP --show-capture=stdout $(ARGS) tests/integration/engine tests/integration/storage

.PHONY: test-chart
test-chart: tools ## releases by Helm 3 and 4 on an API server and on a node, linters, the docs' commands, a release's files
	@$(PYTEST) --maxfail=0 --ignore=tests/chart/node $(ARGS) tests/chart
	@$(BIN)/pytest --quiet --tb=short $(ARGS) tests/chart/node

.PHONY: test-demo
test-demo: tools ## the demo on a cluster of its own: again, on a given cluster, and failing as it should
	@$(BIN)/pytest --quiet --tb=short $(ARGS) tests/demo

# It takes every cluster of this project away first: with the last one goes what they share.
.PHONY: test-cluster
test-cluster: tools ## clusters side by side, killed and mended; nothing is left behind (ENDS ALL CLUSTERS of `make cluster-up`)
	@$(BIN)/pytest --quiet --tb=short $(ARGS) tests/clusterlife

.PHONY: bench
bench: bootstrap ## measure how busy a teacher is kept and what mixing takes (BENCH="engine_busy --leaves 30" for one)
	@$(if $(BENCH),$(BIN)/python -m bench.$(BENCH),$(BIN)/python -m bench.engine_busy; $(BIN)/python -m bench.engine_mix)

.PHONY: test
test: verify test-unit test-property test-integration ## the gate: these four, what CI runs

# On a node that the tests make; it stays for the next time. Not in the gate: it needs a container engine, or makes one.
.PHONY: test-e2e
test-e2e: bootstrap ## the main job on a real node, and what may happen to it in mid-run (CLUSTER=sdg-e2e make cluster-down ends it)
	@$(BIN)/pytest --quiet --tb=short --maxfail=1 -m "not faults" $(ARGS) tests/e2e

.PHONY: test-faults
test-faults: bootstrap ## all that is known to happen to runs on a node: every kill, outage, limit and refusal
	@$(BIN)/pytest --quiet --tb=short $(ARGS) tests/e2e

##@ See it

CLUSTER ?= sdg
# As they are where the cluster is there: another number of nodes would make it anew. BASE: see `make images`.
NODES ?=
GPUS ?=
BASE ?=
KIND = $(BIN)/python -m hack.cluster --name $(CLUSTER)

.PHONY: demo
demo: bootstrap ## do the main job for real: cluster, S3, chart, a run, its files (DEMO_TEACHER=model|scripted|URL)
	@$(BIN)/python -m hack.demo

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

# REGISTRY, IMAGE, TAG: of the command line, or of the environment, where the release workflow puts them.
.PHONY: images-push
images-push: bootstrap ## build the chart's images, bills of materials in dist/, and push them (REGISTRY=registry.example.com/ai; DEMO=1: the demo's too)
	@$(KIND) push $(REGISTRY) --base "$(BASE)" $(if $(DEMO),--demo)
	@$(BIN)/python -m hack.release boms

##@ Release

.PHONY: release-files
release-files: bootstrap ## crds.yaml, install.yaml, chart, Python package and bills of materials into dist/ (REGISTRY=registry.example.com/ai)
	@$(BIN)/python -m hack.release files --registry "$(REGISTRY)"

.PHONY: release-contexts
release-contexts: bootstrap ## what the images are built from, for both architectures, into dist/contexts/ (IMAGE=sdg-runner)
	@$(BIN)/python -m hack.release contexts $(if $(IMAGE),--image $(IMAGE))

.PHONY: release-chart
release-chart: bootstrap ## push the chart of `make release-files` to REGISTRY/charts
	@registry='$(REGISTRY)'; $$($(BIN)/python -m hack.cluster tools helm4) push dist/sdg-operator-*.tgz "oci://$${registry,,}/charts"

.PHONY: release-page
release-page: ## a page of GitHub for TAG, with the files of `make release-files`; again, if it was half done
	@gh release view "$(TAG)" >/dev/null 2>&1 || gh release create "$(TAG)" --draft --generate-notes
	@gh release upload "$(TAG)" --clobber dist/crds.yaml dist/install.yaml dist/*.cdx.json dist/sdg-operator-*.tgz
	@gh release edit "$(TAG)" --draft=false
