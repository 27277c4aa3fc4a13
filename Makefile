# `make run` starts callpacer on this machine, `make test` runs the tests, `make check` runs all that CI runs. They
# install what they need into .venv. Only Python 3.11 or newer has to be there before, with its venv module.

PYTHON ?= python3
# further arguments of the program, such as ARGS="--port 8001 --state .other"
ARGS ?=
# which deployment on AWS
STAGE ?= prod
# how many stories `make simulate` runs
SEEDS ?= 10000
# how many steps two accounts take in `make isolation`, at several a second
STEPS ?= 10000
# how many calls `make cost` makes, and how long a start_url takes to answer
CALLS ?= 10000
LATENCY_MS ?= 200
# --whole for all tests, and not a sample of those that take long
SIZE ?=

BIN := .venv/bin
INSTALLED := .venv/installed
AUDITOR := .venv/checkov
RINGER := .venv-sip
# Makes an environment match a lock: it has the same packages and no others, and every file has its hash.
SYNC := $(BIN)/uv pip sync --require-hashes
# Takes the newest versions that the ranges admit, for all Pythons and platforms in one lock.
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command 'make lock'
PYTEST := $(BIN)/python -m pytest --dist loadgroup
TWO_PARTS = $(MAKE) --no-print-directory --jobs 2 --output-sync=line test-waiting test-computing

.PHONY: help install lock run demo ring test test-whole test-waiting test-computing test-pythons simulate isolation \
	cost scale coldstart bench lint types audit check package deploy clean

help: ## List what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | while IFS='	' read -r target does; do \
		printf '%-14s %s\n' "$$target" "$$does"; done

install: $(INSTALLED) ## Make .venv with all that is needed

$(INSTALLED): requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { \
		echo "callpacer needs Python 3.11 or newer; there is no $(PYTHON). Name another with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "callpacer needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another with PYTHON=..." >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) lacks its venv module. On Debian and Ubuntu it is in the package python3-venv." >&2; exit 1; }
	@test -x $(BIN)/python || { echo "Making .venv with $$($(PYTHON) -V)."; $(PYTHON) -m venv .venv; }
	@echo "Installing uv, which installs the rest."
	@sed -n '/^uv==/,/# via/p' requirements-dev.txt >.venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.txt
	@echo "Installing what requirements-dev.txt names."
	@$(SYNC) --python .venv requirements-dev.txt
	@touch $@

# The environments of `make test-pythons`.
.venv-%/installed: requirements-dev.txt | $(INSTALLED)
	@test -x .venv-$*/bin/python || { echo "Making .venv-$* with $$($(PYTHON) -V)."; $(PYTHON) -m venv .venv-$*; }
	@$(SYNC) --python .venv-$* requirements-dev.txt
	@touch $@

# The lock of all that is tested comes first. It constrains the lock of what is shipped, so both have the same versions.
lock: $(INSTALLED) ## Renew the locks: the newest versions that the ranges in requirements*.in admit
	@$(LOCK) requirements-dev.in --output-file requirements-dev.txt
	@$(LOCK) requirements.in --constraint requirements-dev.txt --output-file requirements.txt
	@$(LOCK) requirements-checkov.in --output-file requirements-checkov.txt
	@$(LOCK) examples/sip/requirements.in --output-file examples/sip/requirements.txt

run: $(INSTALLED) ## Start callpacer on this machine, until Ctrl-C
	@$(BIN)/python -m infra.local $(ARGS)

demo: $(INSTALLED) ## Watch 240 numbers being called, while make run runs
	@$(BIN)/python -m demo $(ARGS)

# Telephones need PJSIP, which is under the GPL and no part of callpacer: it has an environment of its own.
ring: $(RINGER)/installed ## Ring SIP telephones on this machine, one number for each way in which a call can end
	@$(RINGER)/bin/python -m examples.sip $(ARGS)

$(RINGER)/installed: examples/sip/requirements.txt | $(INSTALLED)
	@echo "Installing what examples/sip/requirements.txt names into $(RINGER)."
	@test -x $(RINGER)/bin/python || $(BIN)/python -m venv $(RINGER)
	@$(SYNC) --python $(RINGER) examples/sip/requirements.txt
	@touch $@

test: $(INSTALLED) ## Run the tests, and a sample of those that take long; ARGS="tests/unit" for some of them
	@$(if $(ARGS),$(PYTEST) --numprocesses 4 $(ARGS),$(TWO_PARTS))

test-whole: $(INSTALLED) ## Run every test, whole
	@$(if $(ARGS),$(PYTEST) --numprocesses 4 --whole $(ARGS),$(TWO_PARTS) SIZE=--whole)

# Whatever gets no processor is late, so the tests that compute are nice to those that watch the time.
test-waiting: $(INSTALLED) ## Run the tests that watch a deployment or the time; SIZE=--whole for all of them
	@$(PYTEST) --numprocesses 2 $(SIZE) -m waits

test-computing: $(INSTALLED) ## Run all other tests, likewise
	@nice $(PYTEST) --numprocesses 2 $(SIZE) -m "not waits"

test-pythons: $(INSTALLED) ## Run unit and package tests on the other Pythons that are installed
	@.ci/test-pythons

# `make test-whole` runs the stories of the first 300 seeds.
simulate: $(INSTALLED) ## Simulate SEEDS stories with crashes, lost answers, duplicates and wrong clocks
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

isolation: $(INSTALLED) ## Let two accounts take STEPS steps, and check that they stay apart
	@ISOLATION_STEPS=$(STEPS) $(BIN)/python -m pytest tests/isolation/test_two_accounts.py --timeout 14400 $(ARGS)

# Compares each function with a bare hello world, and fails if the API is too slow.
coldstart: $(INSTALLED) ## Measure how long each function takes to its first answer
	@$(BIN)/python -m benchmarks.coldstart $(ARGS)

# Compares its speed with that of the least work that could do the same. All benchmarks take about twenty minutes.
bench: $(INSTALLED) ## Measure how fast it is; ARGS="uploads gateway" for some of it
	@$(BIN)/python -m benchmarks $(ARGS)

cost: $(INSTALLED) ## Estimate what a million calls cost on AWS, and what for
	@$(BIN)/python -m benchmarks.cost --calls $(CALLS) --latency-ms $(LATENCY_MS) $(ARGS)

# On simulated time. It takes about an hour, and 6 GB of memory.
scale: $(INSTALLED) ## Measure how much one deployment can do
	@$(BIN)/python -m benchmarks.cost.scale

lint: $(INSTALLED) ## Check style, and which module imports which
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check
	@$(BIN)/lint-imports

types: $(INSTALLED) ## Check types
	@$(BIN)/python -m mypy

# checkov has an environment of its own.
audit: $(INSTALLED) $(AUDITOR)/installed ## Check the template with checkov
	@$(BIN)/python -m infra.deploy.audit $(AUDITOR)/bin/checkov

$(AUDITOR)/installed: requirements-checkov.txt | $(INSTALLED)
	@echo "Installing what requirements-checkov.txt names into $(AUDITOR)."
	@$(BIN)/python -m venv $(AUDITOR)
	@$(SYNC) --python $(AUDITOR) requirements-checkov.txt
	@touch $@

# Two at a time, the longest first: the tests that wait leave most of the cores to those that compute.
check: $(INSTALLED) ## Run what CI runs
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target SIZE=--whole \
		test-waiting test-computing lint types audit test-pythons

package: $(INSTALLED) ## Build what is deployed
	@$(BIN)/python -m infra.deploy.package --for-aws

deploy: $(INSTALLED) ## Deploy it to AWS as STAGE
	@$(BIN)/python -m infra.deploy --stage $(STAGE) $(ARGS)

# .callpacer holds the local deployment's data.
clean: ## Remove everything that was made, except .callpacer
	rm -rf .venv .venv-* build .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find app.py benchmarks chalicelib demo examples infra tests -name __pycache__ -prune -exec rm -rf {} +
