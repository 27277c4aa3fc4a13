# `make run` starts callpacer on this machine, `make test` runs every test. All that they need goes into .venv; what is
# there already must be Python 3.11 or newer, with its venv module.

PYTHON ?= python3
# what else the program is to be told, such as ARGS="--port 8001 --state .other"
ARGS ?=
# which deployment on AWS
STAGE ?= prod
# how many stories `make simulate` tells
SEEDS ?= 10000
# how many steps two accounts take beside each other, at several a second
STEPS ?= 10000
# how many calls `make cost` makes, and how long a start_url takes to answer
CALLS ?= 10000
LATENCY_MS ?= 200

BIN := .venv/bin
INSTALLED := .venv/installed
AUDITOR := .venv/checkov

.PHONY: help install run demo test simulate isolation cost scale coldstart bench lint types audit check package deploy \
	clean

help: ## List what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | while IFS='	' read -r target does; do \
		printf '%-10s %s\n' "$$target" "$$does"; done

install: $(INSTALLED) ## Make .venv with all that is needed

$(INSTALLED): requirements.txt requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { \
		echo "callpacer needs Python 3.11 or newer; there is no $(PYTHON). Name another with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "callpacer needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another with PYTHON=..." >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) lacks its venv module. On Debian and Ubuntu it is in the package python3-venv." >&2; exit 1; }
	@echo "Installing into .venv; this takes a minute."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

run: $(INSTALLED) ## Start callpacer on this machine, until Ctrl-C
	@$(BIN)/python -m infra.local $(ARGS)

demo: $(INSTALLED) ## Watch 300 numbers go out, beside make run
	@$(BIN)/python -m demo $(ARGS)

test: $(INSTALLED) ## Run every test
	@$(BIN)/python -m pytest --numprocesses 4 --dist loadgroup $(ARGS)

# More of what `make test` tells a thousand seeds of: stories in which all goes wrong that can.
simulate: $(INSTALLED) ## Tell SEEDS more stories in which all goes wrong that can
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

isolation: $(INSTALLED) ## Let two accounts take STEPS steps beside each other
	@ISOLATION_STEPS=$(STEPS) $(BIN)/python -m pytest tests/isolation/test_two_accounts.py --timeout 14400 $(ARGS)

# How long each function takes to its first answer, beside a bare hello world; fails if the API is too slow.
coldstart: $(INSTALLED) ## Measure how long each function takes to its first answer
	@$(BIN)/python -m benchmarks.coldstart $(ARGS)

# How fast it is beside what it could be at best, such as ARGS="uploads gateway" for two of the benchmarks; about
# twenty minutes for all.
bench: $(INSTALLED) ## Measure how fast it is; ARGS="uploads gateway" for some of it
	@$(BIN)/python -m benchmarks $(ARGS)

# What a million calls cost on AWS, and what for.
cost: $(INSTALLED) ## Tell what a million calls cost on AWS
	@$(BIN)/python -m benchmarks.cost --calls $(CALLS) --latency-ms $(LATENCY_MS) $(ARGS)

# How much one deployment carries, on simulated time; about an hour, and 6 GB of memory.
scale: $(INSTALLED) ## Tell how much one deployment carries
	@$(BIN)/python -m benchmarks.cost.scale

lint: $(INSTALLED) ## Look at style
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check

types: $(INSTALLED) ## Check types
	@$(BIN)/python -m mypy

# A second look at the template, by a program that has an environment of its own.
audit: $(INSTALLED) $(AUDITOR)/installed ## Have the template looked at by checkov
	@$(BIN)/python -m infra.deploy.audit $(AUDITOR)/bin/checkov

$(AUDITOR)/installed: requirements-checkov.txt | $(INSTALLED)
	@echo "Installing checkov into $(AUDITOR); this takes a minute."
	@$(BIN)/python -m venv $(AUDITOR)
	@$(AUDITOR)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-checkov.txt
	@touch $@

check: lint types audit test ## Run what CI runs

package: $(INSTALLED) ## Build what is deployed
	@$(BIN)/python -m infra.deploy.package --for-aws

deploy: $(INSTALLED) ## Deploy it to AWS as STAGE
	@$(BIN)/python -m infra.deploy --stage $(STAGE) $(ARGS)

# What the local stack keeps, in .callpacer, stays.
clean: ## Remove all that was made, but for .callpacer
	rm -rf .venv build .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find app.py benchmarks chalicelib infra tests -name __pycache__ -prune -exec rm -rf {} +
