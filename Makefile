# One place for every command. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# own | kind | existing; picked by what this machine has when left empty
CLUSTER ?=
export CLUSTER
# options of a benchmark
ARGS ?=
NODE := $(BIN)/python -m e2e.cluster
# keeps what is pinned already, but with --upgrade
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes -q --no-header \
  --no-annotate $(ARGS)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup check format unit test e2e demo crds telemetry manifests lock clean
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with the overspill command and all tools
$(READY): requirements/dev.lock pyproject.toml
	@echo "setup: creating $(VENV) from requirements/dev.lock"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "setup: Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "setup: $(PYTHON) has no venv module; install it (Debian: apt-get install python3-venv)"; exit 2; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

check: $(READY) ## format, lint, types, import direction
	@ruff format --check .
	@ruff check .
	@mypy operator/overspill tests e2e bench
	@lint-imports --no-logo

format: $(READY) ## rewrite the code in the project's format
	@ruff format . && ruff check --fix .

unit: $(READY) ## unit tests and chart tests; no cluster, no root
	@$(NODE) build --only helm
	@pytest tests

test: check unit e2e ## everything, the real cluster included

e2e: $(READY) ## the real cluster: build, start, test, stop (CLUSTER=kind where Docker runs)
	@$(BIN)/python -m e2e.run tests

demo: $(READY) ## watch it work: a policy, traffic, replicas, spill and spend on a real cluster
	@$(BIN)/python -m e2e.run demo

bench-decide: $(READY) ## how fast the scaling core decides
	@$(BIN)/python -m bench.decide

bench-leases: $(READY) ## what the budget costs a request, and 500 sidecars at one operator
	@$(BIN)/python -m bench.leases $(ARGS)

bench-pacing: $(READY) ## what a budget buys over recorded days, spent greedily and spread
	@$(BIN)/python -m bench.pacing $(ARGS)

bench-bill: $(READY) ## what routing, scaling and a budget cost together, and how good it is; ARGS="--days 14"
	@$(BIN)/python -m bench.bill $(ARGS)

bench-stream: $(READY) ## is the promise of quality kept on live traffic; ARGS="--seeds 20 --data FOLDER"
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bench.stream $(ARGS)

bench-debit: $(READY) ## what a budget adds to each request
	@$(BIN)/python -m bench.debit

bench-scaling: $(READY) ## what ways to scale cost on recorded traffic; ARGS="--traces FOLDER" or --short
	@$(BIN)/python -m bench.scaling $(ARGS)
	@$(BIN)/python -m bench.hosted $(ARGS)

bench-routing: $(READY) ## what the learned score is worth; ARGS="--data FOLDER", --prior to train anew
	@$(BIN)/python -m bench.routing $(ARGS)

bench-sidecar: $(READY) ## the sidecar beside Envoy, LiteLLM and others; ARGS=--short for a quick look
	@$(BIN)/python -m bench.sidecar $(ARGS)

profile-sidecar: $(READY) ## where each microsecond of the sidecar goes; needs root or the right to trace
	@$(BIN)/python -m bench.profile_sidecar

soak: $(READY) ## the sidecar under mixed load for ten minutes: memory, files, errors; ARGS="--minutes 1"
	@$(BIN)/python -m bench.soak $(ARGS)

crds: $(READY) ## generate crds/ from the models
	@for kind in routingpolicies budgetledgers; do \
	  overspill crd $$kind > crds/overspill.dev_$$kind.yaml; \
	  cp crds/overspill.dev_$$kind.yaml charts/overspill/files/; done

telemetry: $(READY) ## generate the dashboard and the alerts from the metric names
	@overspill telemetry dashboard > charts/overspill/files/dashboard.json
	@overspill telemetry alerts > charts/overspill/files/alerts.yaml
	@cp charts/overspill/files/dashboard.json manifests/grafana/
	@cp charts/overspill/files/alerts.yaml manifests/prometheus/

manifests: crds telemetry ## render manifests/ from the chart
	@$(NODE) build --only helm
	@HELM="$$($(BIN)/python -c 'from e2e.cluster import paths; print(paths.binary("helm"))')" \
	  $(BIN)/python manifests/render.py

lock: $(READY) ## renew all lock files; ARGS=--upgrade takes newer versions
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv
	@$(LOCK) pyproject.toml --extra otel -o requirements/runtime.lock
	@$(LOCK) pyproject.toml --extra otel --group dev \
	  -c requirements/runtime.lock -o requirements/dev.lock
	@for one in app models; do $(LOCK) e2e/$$one/requirements.in -o e2e/$$one/requirements.lock; done

clean: ## remove .venv and build/ (binaries of the cluster stay in the cache)
	@rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
