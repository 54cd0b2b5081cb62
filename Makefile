# Every target makes the virtual environment it needs: `make demo` on a bare machine works.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
# Of the tests, at once: many wait for a server or a clock, so it may be more than there are cores.
PROCESSES ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 3 ? 3 : n > 4 ? 4 : n)))
.DEFAULT_GOAL := help

.PHONY: help demo test simulate faults check format bench pictures clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/run.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "hooktide needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(VENV)/run.stamp ## Start a server, deliver five providers' events, show what happened (ONCE=1: then stop)
	$(BIN)/hooktide demo $(if $(ONCE),--once)

test: $(VENV)/dev.stamp ## Run the tests
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder
endif

SEEDS ?= 1-200
simulate: $(VENV)/dev.stamp ## Run the engine through simulated days of faults (SEEDS=1-200)
	PYTHONPATH=tests $(BIN)/python -m simulation $(SEEDS)

faults: $(VENV)/dev.stamp ## Kill, starve, fill and slow down real servers, for longer than the tests do
	$(BIN)/python -m pytest -s tests/faults $(ARGS)
faults: export HOOKTIDE_KILLS ?= 20
faults: export HOOKTIDE_STANDSTILL ?= 65
faults: export HOOKTIDE_CUT_OFF ?= 75
faults: export HOOKTIDE_WAITING ?= 5000

check: $(VENV)/dev.stamp ## Check format, lint, types and import contracts
	$(BIN)/ruff format --check src tests bench examples
	$(BIN)/ruff check src tests bench examples
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp ## Put the code in its format
	$(BIN)/ruff format src tests bench examples
	$(BIN)/ruff check --fix src tests bench examples

bench: $(VENV)/dev.stamp ## Measure throughput, latency and cost on this machine (needs nginx and wrk)
	$(BIN)/python -m bench.throughput $(ARGS)

pictures: $(VENV)/dev.stamp ## Take the pictures of every page that docs/pictures shows (needs Chromium)
	$(BIN)/python tests/pictures.py

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
