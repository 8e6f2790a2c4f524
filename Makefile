# Looma's doors. `make help` lists them; everything a target needs is installed by the target itself.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
NAME ?= looma
ENV ?= dev
CLUSTER ?= auto
TEST_NAME ?= test
SCENARIO ?=
WORKERS ?= 2
RUNS ?= 100
# Of the tests with servers, which wait for those half of the time.
CONTRACT_WORKERS ?= 3

BIN := .venv/bin
READY := .venv/.ready
ASSETS := console/looma_console/static/vendor/.built-from

# What sudo would take away: where things are kept and fetched from, and whom to trust on the way there.
KEPT := HOME PATH XDG_CACHE_HOME XDG_STATE_HOME \
  LOOMA_CONTEXT LOOMA_REGISTRY LOOMA_NO_INSTALL LOOMA_DEBIAN_MIRROR \
  HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy \
  SSL_CERT_FILE SSL_CERT_DIR NODE_EXTRA_CA_CERTS UV_SYSTEM_CERTS PIP_CERT \
  PIP_INDEX_URL UV_DEFAULT_INDEX NPM_CONFIG_REGISTRY GOPROXY GOSUMDB GONOSUMDB GOFLAGS
EMPTY :=
COMMA := ,
# Root's compiled Python in a person's checkout would be in the way of their own `rm`.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=$(subst $(EMPTY) $(EMPTY),$(COMMA),$(strip $(KEPT))) env PYTHONDONTWRITEBYTECODE=1)
# Without compiled Python every process begins by compiling all that it imports.
unexport PYTHONDONTWRITEBYTECODE
# A checkout is made anew more often than its types change: mypy compares contents where the times differ.
export MYPY_CACHE_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/looma/mypy
# uv and npm bring certificates of their own; whoever trusts a further authority has told the system.
CERTIFICATES := $(wildcard /etc/ssl/certs/ca-certificates.crt)
ifneq ($(CERTIFICATES),)
export UV_SYSTEM_CERTS ?= 1
export NODE_EXTRA_CA_CERTS ?= $(CERTIFICATES)
endif

KEYWORD := $(if $(SCENARIO),-k "$(SCENARIO)",)
# One scenario is in one of several runs, and pytest says 5 where it found none.
NONE_IS_FINE := $(if $(SCENARIO),|| test $$? -eq 5,)

.PHONY: help up down status test unit unit-coverage contract contract-servers contract-database contract-programs coverage cluster-tests packages scenarios chaos faults conformance lint format bench judging lock venv helmfile-check

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): locks/bootstrap.txt locks/dev.txt pyproject.toml
	@echo "Looma keeps its Python packages in .venv; the system's Python stays as it is."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Looma needs Python 3.11 or newer; $(PYTHON) is older. Set PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Installing python3-venv, which makes virtual environments"; $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q --no-install-recommends python3-venv; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/bootstrap.txt
	@index="$$($(BIN)/python -m pip config get global.index-url 2>/dev/null || true)"; \
	  if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r locks/dev.txt && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

venv: $(READY) ## Make the virtual environment

# Scripts from npm and compiled catalogues: the console serves both, git holds neither.
$(ASSETS): $(READY) console/package-lock.json $(wildcard console/looma_console/translations/*/LC_MESSAGES/*.po)
	@$(BIN)/python console/build_assets.py
	@touch $@

up: $(READY) ## Build what is missing and run Looma (NAME, ENV, CLUSTER)
	@$(SUDO) $(BIN)/looma up --name $(NAME) --environment $(ENV) --cluster $(CLUSTER)

down: $(READY) ## Stop Looma and keep its data (`.venv/bin/looma down --purge` does not)
	@$(SUDO) $(BIN)/looma down --name $(NAME)

status: $(READY) ## What is running, and where
	@$(SUDO) $(BIN)/looma status --name $(NAME)

# The last fault tests wait for processes to come back most of their time, so tests with a database run beside them.
test: packages lint unit-coverage contract-servers ## Everything: lint, unit, contract, and the road on a cluster of its own
	@mkdir -p test-results && rm -f test-results/alone
	@$(MAKE) --no-print-directory cluster-tests & cluster=$$!; failed=0; \
	  until [ -e test-results/alone ] || ! kill -0 $$cluster 2>/dev/null; do sleep 1; done; \
	  $(MAKE) --no-print-directory --output-sync=recurse contract-database || failed=1; \
	  wait $$cluster || failed=1; exit $$failed
	@$(MAKE) --no-print-directory coverage

# Where they are missing, tests that lay a network's wires leave themselves out; `make test` leaves out none.
packages: $(READY)
	@$(SUDO) $(BIN)/looma build --only packages

lint: $(READY) ## Style, types and the borders between the packages
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(READY) ## Put the sources into the house style
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

unit: $(ASSETS) ## Unit tests alone, under a minute (SCENARIO=word runs the ones so named)
	@$(BIN)/pytest tests/unit -m "not database and not long" -q -n $(WORKERS) --dist loadfile $(KEYWORD)

# Coverage doubles what tests cost, and more where it looks for greenlets (SQLAlchemy's async sessions are some). So it
# looks for them only where a database is, and not at all in contract tests, where servers are most of the work and many
# processes of ours begin and end: its figure is a lower bound.
unit-coverage: $(ASSETS)
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run --concurrency=thread -m pytest tests/unit -m "not database and not long" -q -n $(WORKERS) --dist loadfile $(KEYWORD) $(NONE_IS_FINE)

contract: $(READY) ## Definitions, operator and database against the real API server and PostgreSQL
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target contract-servers contract-database

contract-servers: $(ASSETS) contract-programs
	@rm -f $(AUDITED)
	@$(BIN)/pytest tests/contract -m "not database and not long" -q -n $(CONTRACT_WORKERS) --dist loadfile $(KEYWORD) $(NONE_IS_FINE)
	@if [ -e $(AUDITED) ]; then cat $(AUDITED); fi
AUDITED := $(or $(LOOMA_TEST_RESULTS),test-results)/kill-matrix-audited.md

contract-database: $(ASSETS) contract-programs
	@$(BIN)/coverage run -m pytest tests/unit -m "database and not long" -q -n $(WORKERS) --dist loadfile $(KEYWORD) $(NONE_IS_FINE)
	@$(BIN)/pytest tests/contract -m "database and not long" -q -n $(WORKERS) --dist loadfile $(KEYWORD) $(NONE_IS_FINE)

contract-programs: $(READY)
	@$(SUDO) $(BIN)/looma build --only binaries --only haproxy --only prometheus --only registry

coverage: $(READY)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report $(if $(SCENARIO),,--fail-under=90) | tail -n 40

cluster-tests: $(READY) ## End to end, browser and fault tests on an instance of their own
	@$(SUDO) tests/on-cluster $(TEST_NAME) $(KEYWORD)

scenarios: $(ASSETS) ## What `make test` leaves out for its time: many more examples, and all scenarios of rollouts, models and SyncJobs, and their report
	@$(BIN)/pytest tests/unit -m "(hypothesis or long) and not database" --hypothesis-profile thorough -q -n $(WORKERS) $(KEYWORD) $(NONE_IS_FINE)
	@rm -f $(AUDITED)
	@$(SUDO) $(BIN)/pytest tests/contract -m long -q -n $(CONTRACT_WORKERS) $(KEYWORD) $(NONE_IS_FINE)
	@if [ -e $(AUDITED) ]; then cat $(AUDITED); $(if $(SCENARIO),,$(BIN)/python -m tests.bench.kill_matrix_table $(dir $(AUDITED));) fi
	@failed=0; $(SUDO) env TESTS="tests/e2e tests/browser" MARK="long or not long" tests/on-cluster scenarios $(KEYWORD) || failed=1; \
	  $(if $(SCENARIO),,$(BIN)/python -m tests.bench.scenarios test-results/scenarios.xml || failed=1;) exit $$failed

chaos: $(READY) ## All fault tests on a cluster, the long ones too (`make faults`: those of syncs, by seeds)
	@rm -f $(AUDITED)
	@failed=0; $(SUDO) env TESTS=tests/chaos MARK="long or not long" tests/on-cluster chaos $(KEYWORD) || failed=1; \
	  $(if $(SCENARIO),,$(BIN)/python -m tests.bench.kill_matrix_table $(dir $(AUDITED)) || failed=1;) exit $$failed

# Whatever some of them came to, the table has all of them.
faults: $(READY) contract-programs ## 200 syncs under seeded faults of worker, database, source and operator; table in docs/reports
	@mkdir -p test-results && failed=0; \
	  $(BIN)/pytest tests/contract/test_database_sync_fault_seeds.py -m "long or not long" -q -n $(WORKERS) --dist worksteal \
	    --junitxml test-results/fault-seeds.xml $(KEYWORD) || failed=1; \
	  $(BIN)/python -m tests.bench.faults_table test-results/fault-seeds.xml || failed=1; exit $$failed

conformance: $(READY) ## The Gateway API's own tests against the gateway, and their table in docs/reports
	@$(SUDO) $(BIN)/python -m tests.conformance --name conformance $(if $(SCENARIO),--only "$(SCENARIO)",)

judging: $(READY) ## 100 canaries that are as good and 100 bad ones, and how they were judged (RUNS=10 for fewer)
	@$(SUDO) $(BIN)/python -m tests.bench --only judging --judged $(RUNS) --name judging

bench: $(READY) ## Measure, and keep the report in docs/reports
	@$(SUDO) $(BIN)/python -m tests.bench --name bench
	@$(SUDO) $(BIN)/python -m tests.bench --name bench --only aborts,rollbacks
	@$(BIN)/python -m tests.bench --only scale
	@$(BIN)/python -m tests.bench --only records
	@$(BIN)/python -m tests.bench --only duplicates
	@$(BIN)/python -m tests.bench --only sync
	@$(BIN)/python -m tests.bench --only queries
	@$(SUDO) $(BIN)/python -m tests.bench --only storage
	@$(SUDO) $(BIN)/python -m tests.bench --name bench --only console

bench-million: $(READY) ## A sync of a million people, beside a bare COPY and the rules alone, the queries over a million, and their backups
	@$(BIN)/python -m tests.bench --only sync --synced 1000000
	@$(BIN)/python -m tests.bench --only queries --queried 1000000
	@$(SUDO) $(BIN)/python -m tests.bench --only storage --stored 1000000

lock: $(READY) ## Resolve the dependencies anew, with hashes and without addresses
	@echo 'uv' | $(BIN)/uv pip compile - --upgrade $(LOCK) -o locks/bootstrap.txt
	@$(BIN)/uv pip compile pyproject.toml --extra dev $(LOCK) -o locks/dev.txt
	@for extra in operator engines gateway console; do \
	  $(BIN)/uv pip compile pyproject.toml --extra $$extra -c locks/dev.txt $(LOCK) -o locks/$$extra.txt; done
LOCK := --universal --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 --quiet

helmfile-check: $(READY) ## Build helmfile and prove that it gives the release `looma up` gives
	@$(BIN)/python -m looma_cluster.helmfile
