# Every command that the READMEs name. `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
ARGS ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## install everything, pinned by hash, into .venv (does nothing while nothing changed)
	@:

$(STAMP): requirements.lock pyproject.toml tools/bootstrap.txt tools/setup.sh
	@PYTHON="$(PYTHON)" tools/setup.sh $@

.PHONY: lock
lock: setup ## choose package versions anew and write requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --no-header \
	  --upgrade pyproject.toml -o requirements.lock
	@! grep -n '://' requirements.lock
	@$(MAKE) --no-print-directory setup
