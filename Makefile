# Every command that the READMEs name. `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
ARGS ?=
SEEDS ?= 2000
CUTS ?= 10
CODE := $(wildcard doorbell device relay sim tests bench tools)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## install everything, pinned by hash, into .venv (does nothing while nothing changed)
	@:

$(STAMP): requirements.lock pyproject.toml tools/bootstrap.txt tools/setup.sh
	@PYTHON="$(PYTHON)" tools/setup.sh $@

.PHONY: demo
demo: setup ## a small neighbourhood, live in the terminal; ARGS="--story" plays and checks it without a person
	@$(BIN)/doorbell-sim demo $(ARGS)

.PHONY: test
test: setup test-deps check test-fast ## what must pass before a commit: check and the everyday tests

.PHONY: check
check: setup ## format, lint, types, layers
	@$(BIN)/ruff format --check --quiet $(CODE) || { $(BIN)/ruff format --diff $(CODE); exit 1; }
	@$(BIN)/ruff check --quiet $(CODE)
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports --no-cache

.PHONY: test-fast
test-fast: setup ## the everyday tests alone; ARGS="-k panel" chooses
	@$(BIN)/pytest -q -n 2 -m "not slow" $(ARGS)

.PHONY: test-slow
test-slow: setup test-deps ## the storm (SEEDS=2000), the kill table, the broker matrix, the package in a real Debian 13
	@# The storm computes and waits for nothing, most of these tests wait and compute little: it takes what they leave.
	@storm=$$(mktemp); nice -n 19 $(BIN)/doorbell-sim storm --seeds $(SEEDS) >"$$storm" 2>&1 & running=$$!; tests=0; \
	  THOROUGH=yes $(BIN)/pytest -q -n 4 --dist loadgroup -m "(slow or thorough) and not virtual_pi and not fault_table" --ignore=tests/package $(ARGS) || tests=$$?; \
	  stormed=0; wait $$running || stormed=$$?; cat "$$storm"; rm -f "$$storm"; exit $$((tests | stormed))
	@$(BIN)/pytest -q -n 2 -m slow tests/package

.PHONY: million
million: setup ## a million presses for help under faults, hours long; goes on where it was ended; ARGS="--jobs 1"
	@mkdir -p var
	@$(BIN)/doorbell-sim storm --busy --presses 1000000 --keep var/million.jsonl $(ARGS)

.PHONY: audit
audit: setup ## no dependency with a known weakness, no secret in the tree or in any commit
	@$(BIN)/python -m tools.audit

.PHONY: test-deps
test-deps: ## Debian packages that only tests need: a broker, a database server, a player, a voice, file systems to spoil, a Debian 13
	@tools/apt.sh mosquitto alsa-utils espeak-ng e2fsprogs mount util-linux postgresql
	@tools/apt.sh systemd systemd-container mmdebstrap debian-archive-keyring dpkg binutils swig gcc libc6-dev
	@tools/apt.sh fonts-wqy-microhei

.PHONY: format
format: setup ## write the format that check wants
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

.PHONY: docs
docs: setup test-deps ## write the pages that come from the code: docs/wire/, alarm-life.md, faults.md, sounds.md, wiring/
	@$(BIN)/python -m doorbell.wire.schema
	@$(BIN)/python -m relay.alarm_page
	@$(BIN)/python -m doorbell.faults
	@$(BIN)/python -m device.sounds_page
	@$(BIN)/python -m tools.wiring

.PHONY: lock
lock: setup ## write requirements.lock, and the relay's part of it, after a change of pyproject.toml; ARGS="--upgrade" takes newer versions
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --no-header \
	  $(ARGS) pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --constraints requirements.lock \
	  --extra relay --extra postgresql --extra opentelemetry --extra build pyproject.toml -o requirements-relay.lock
	@! grep -n '://' requirements.lock requirements-relay.lock
	@$(MAKE) --no-print-directory setup

.PHONY: install-relay
install-relay: ## make this Debian 12 or 13 the relay's machine, or upgrade it (docs/install-relay.md); ARGS="--back", "--uninstall"
	@tools/install-relay.sh $(ARGS)

.PHONY: deb
deb: setup ## dist/doorbell-device_VERSION_all.deb, for a Raspberry Pi; ARGS="--version 1.2.3"
	@$(BIN)/python -m tools.deb_device $(ARGS)

.PHONY: deb-lgpio
deb-lgpio: setup deb-deps ## dist/python3-lgpio_*_{arm64,amd64}.deb for plain Debian 13, which has none; ARGS=amd64 chooses
	@$(BIN)/python -m tools.deb_lgpio $(ARGS)

.PHONY: deb-deps
deb-deps: ## Debian packages that building python3-lgpio needs: cross compiler, SWIG
	@tools/apt.sh debian-archive-keyring dpkg binutils swig gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross

.PHONY: virtual-pi
virtual-pi: setup test-deps virtual-pi-deps ## boots a Pi in QEMU with our package in it: pressed, heard, broken, cut off (CUTS=10)
	@CUTS=$(CUTS) $(BIN)/pytest -q -p no:cacheprovider -m virtual_pi --durations=12 tests/virtual_pi $(ARGS)

.PHONY: virtual-pi-cuts
virtual-pi-cuts: setup test-deps virtual-pi-deps ## 50 power cuts of it; ARGS="--write" keeps the table in docs/virtual-pi.md
	@$(BIN)/python -m tests.virtual_pi.cuts $(ARGS)

.PHONY: virtual-pi-deps
virtual-pi-deps: ## Debian packages that the virtual Pi needs: an emulator, what makes a root and a disk
	@tools/apt.sh mmdebstrap debian-archive-keyring qemu-system-x86 ipxe-qemu seabios qemu-utils e2fsprogs kmod cpio dosfstools mtools

.PHONY: fault-table
fault-table: setup test-deps ## a story for each process or resource and moment, told to its end; ARGS="--write" keeps docs/fault-table.md
	@$(BIN)/python -m tests.system.fault_table $(ARGS)

.PHONY: mutants
mutants: setup ## would a test notice a wrong line of the cores? ARGS="relay.core.lease" chooses, ARGS="--fresh --write" keeps it
	@$(BIN)/python -m tools.mutants $(ARGS)

.PHONY: fuzz
fuzz: setup ## a million inputs of strangers for everything that reads them; ARGS="packets --number 50000", "--replay FILE"
	@$(BIN)/python -m tests.fuzz $(ARGS)

.PHONY: bench
bench: setup test-deps ## the relay beside its floor and Node-RED (20 minutes, ARGS="--quick" less); ARGS="--write" keeps it
	@$(BIN)/python -m bench.relay $(ARGS)

.PHONY: bench-device
bench-device: setup test-deps ## a device's memory, idle CPU, start, edge to broker; ARGS="--write" keeps it in docs/benchmarks.md
	@$(BIN)/python -m bench.device $(ARGS)

.PHONY: clean
clean: ## remove .venv and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
