# Every target makes the virtual environment it needs: `make demo` on a bare machine works.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
# Of the tests, at once: they wait for a server or a clock more than half of the time.
PROCESSES ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n > 3 ? 8 : 2 * n)))
.DEFAULT_GOAL := help
# Compiled once, not for each process that is started.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test simulate faults coverage mutants check lock release format docs bench pictures clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
LOCKED := $(PIP) --require-hashes
# Of the project itself, which adds nothing to what is locked.
EDITABLE := $(PIP) --no-index --no-deps --no-build-isolation --editable .

$(VENV)/run.stamp: pyproject.toml requirements/build.txt requirements/run.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "hooktide needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(LOCKED) -r requirements/build.txt -r requirements/run.txt
	$(EDITABLE)
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.txt
	$(LOCKED) -r requirements/dev.txt
	@touch $@

$(VENV)/tools.stamp: $(VENV)/dev.stamp requirements/tools.txt
	$(LOCKED) -r requirements/tools.txt
	@touch $@

$(VENV)/docs.stamp: $(VENV)/run.stamp requirements/docs.txt
	$(LOCKED) -r requirements/docs.txt
	@touch $@

setup: $(VENV)/dev.stamp ## Install what checks and tests need
	@if command -v npm >/dev/null; then npm ci --prefix tests/generated --ignore-scripts --no-audit --no-fund; \
	else echo "without npm, the tests that need node's packages are skipped"; fi

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
faults: export HOOKTIDE_RATE_SECONDS ?= 600
faults: export HOOKTIDE_STANDSTILL ?= 65
faults: export HOOKTIDE_CUT_OFF ?= 75
faults: export HOOKTIDE_WAITING ?= 5000

check: $(VENV)/dev.stamp ## Check format, lint, types and import contracts
	$(BIN)/ruff format --check src tests bench docsite examples
	$(BIN)/ruff check src tests bench docsite examples
	$(BIN)/mypy
	$(BIN)/lint-imports

# A quarter of the time, and it reaches no line that no other test does.
SLOW_PROPERTY = tests/domain/test_chat.py::test_whatever_a_payload_holds_the_service_takes_the_message
coverage: $(VENV)/dev.stamp ## Measure what of the domain and the engine their own tests reach; less than the floor fails
	$(BIN)/python -m coverage run -m pytest -q --hypothesis-profile=few --deselect $(SLOW_PROPERTY) tests/domain tests/engine
	$(BIN)/python -m coverage report

mutants: $(VENV)/tools.stamp ## Change the engine and the domain in many small ways; the tests have to notice (ARGS=PATTERN)
	nice -n 15 $(BIN)/mutmut run --max-children 1 $(ARGS)
	$(BIN)/mutmut results

# Without UPGRADE=1 only what pyproject.toml asks for changes. All files have the versions of dev.txt.
COMPILE = $(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)
SAME = --constraint requirements/dev.txt
lock: $(VENV)/tools.stamp ## Bring requirements/ in line with pyproject.toml (UPGRADE=1: and renew it)
	$(COMPILE) --extra dev pyproject.toml --output-file requirements/dev.txt
	$(COMPILE) $(SAME) pyproject.toml --output-file requirements/run.txt
	$(COMPILE) $(SAME) --extra postgres --extra otel pyproject.toml --output-file requirements/server.txt
	$(COMPILE) $(SAME) --extra docs pyproject.toml --output-file requirements/docs.txt
	$(COMPILE) $(SAME) --group tools --output-file requirements/tools.txt
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
		| $(COMPILE) $(SAME) - --output-file requirements/build.txt

release: $(VENV)/dev.stamp ## Build what is committed, check it in a clean environment, date its changes
	$(BIN)/python tests/make_release.py

format: $(VENV)/dev.stamp ## Put the code in its format
	$(BIN)/ruff format src tests bench docsite examples
	$(BIN)/ruff check --fix src tests bench docsite examples

docs: $(VENV)/docs.stamp ## Build the documentation site in build/site, and check its links
	$(BIN)/python -m docsite

bench: $(VENV)/dev.stamp ## Measure throughput, latency and cost on this machine (needs nginx and wrk)
	$(BIN)/python -m bench.throughput $(ARGS)

pictures: $(VENV)/dev.stamp ## Take the pictures of every page that docs/pictures shows (needs Chromium)
	$(BIN)/python tests/pictures.py

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) build dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
