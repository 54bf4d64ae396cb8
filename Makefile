# Needs: Python 3.11 or newer, make, git. Everything else goes into $(VENV).
VENV ?= .venv
PORT ?= 7071
SEEDS ?= 10000
MINUTES ?= 10
# Most tests of the host wait rather than compute: more test processes than cores.
TEST_PROCESSES ?= 4
PYTEST_ARGS ?=
ENDURE := tests/host/test_everything_under_kills.py
ENDURE_POSTGRES := tests/faults/test_samples_under_kills.py

PY := $(VENV)/bin/python

.PHONY: help start test check bench load growth soak simulate scale properties crash official endure endure-postgres faults protobuf clean

help:
	@echo "make start [PORT=7071]      run the sample app samples/hello_cities"
	@echo "make test                   the whole test suite"
	@echo "make check                  format, lint, types, import rules"
	@echo "make bench                  workloads A to F against perdure and the peers that install"
	@echo "make load                   what a host bears through HTTP: highest rate, gates, eight workloads (30 minutes)"
	@echo "make growth                 the same questions with 1,000,000 finished instances in the store"
	@echo "make soak MINUTES=30        half of the highest rate for so long; memory must not grow"
	@echo "make simulate SEEDS=10000   the whole hub on virtual time, with faults; a fifth of them with several hosts"
	@echo "make scale                  how one hub grows from 1 to 16 hosts, computed on virtual time"
	@echo "make properties             every property test with 5,000 examples (an hour)"
	@echo "make crash                  the slow suites: long crash and load tests"
	@echo "make official               the official Python and JavaScript SDKs against perdure serve, all of it"
	@echo "make endure MINUTES=10      an app with everything, under starts and kill -9 for so long"
	@echo "make faults                 three hosts on PostgreSQL: kills, pauses, cuts, restarts, a full disk (as root; an hour and a half)"
	@echo "make endure-postgres MINUTES=10   the samples on three hosts that are killed by chance for so long"
	@echo "make protobuf               the message descriptors anew, after an edit of a .proto file"

# PYTHON=... chooses another interpreter for a new environment.
$(VENV)/bin/python:
	@for candidate in $(PYTHON) python3 python3.11 python3.12 python3.13 python3.14 python; do \
	  if "$$candidate" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    found="$$candidate"; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "perdure needs Python 3.11 or newer (with venv and ensurepip); none was found on PATH." >&2; \
	  echo "Install it, or name it: make PYTHON=/path/to/python3.11 start" >&2; \
	  exit 1; \
	fi; \
	echo "Making the environment $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv "$(VENV)"

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml benchmarks/requirements.txt benchmarks/peers.toml | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check --editable ".[grpc,postgres]"
	$(PY) benchmarks/install_peers.py
	@touch $@ $(VENV)/.installed

start: $(VENV)/.installed
	@$(PY) -c 'import socket; socket.create_server(("127.0.0.1", $(PORT))).close()' 2>/dev/null || { \
	  echo "Port $(PORT) is in use. Choose another one: make start PORT=$$(( $(PORT) + 1 ))" >&2; exit 1; }
	@exec $(VENV)/bin/perdure start samples/hello_cities --port $(PORT)

test: $(VENV)/.installed-dev
	$(PY) -m pytest -n $(TEST_PROCESSES) --dist loadscope $(PYTEST_ARGS)

check: $(VENV)/.installed-dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pyright --pythonpath $(PY)
	$(VENV)/bin/lint-imports

bench: $(VENV)/.installed-bench
	$(PY) -m benchmarks --keep $(BENCH_ARGS)

# These need psutil besides perdure; their figures are kept in benchmarks/results.
$(VENV)/.installed-load: pyproject.toml benchmarks/requirements.txt | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check --editable . --requirement benchmarks/requirements.txt
	@touch $@ $(VENV)/.installed

load: $(VENV)/.installed-load
	$(PY) -m benchmarks.load load --keep $(LOAD_ARGS)

growth: $(VENV)/.installed-load
	$(PY) -m benchmarks.load growth --keep $(LOAD_ARGS)

soak: $(VENV)/.installed-load
	$(PY) -m benchmarks.load soak --minutes $(MINUTES) --keep $(LOAD_ARGS)

simulate: $(VENV)/.installed-dev
	PERDURE_SIMULATION_SEEDS=$(SEEDS) $(PY) -m pytest tests/simulation -m "slow or not slow" --timeout 0 $(PYTEST_ARGS)

scale: $(VENV)/.installed-dev
	$(PY) -m perdure.testing.scale $(SCALE_ARGS)

properties: $(VENV)/.installed-dev
	HYPOTHESIS_PROFILE=thorough $(PY) -m pytest -m "hypothesis and not slow" -n $(TEST_PROCESSES) --dist loadscope \
	  --timeout 0 $(PYTEST_ARGS)

crash: $(VENV)/.installed-dev
	$(PY) -m pytest -m slow --timeout 1800 --ignore tests/official --ignore tests/faults --deselect $(ENDURE) \
	  $(PYTEST_ARGS)

# As root, with PgBouncer (apt-get install pgbouncer): a host is cut off in a network namespace, and a disk is filled.
faults: $(VENV)/.installed-dev
	$(PY) -m pytest -m slow -s tests/faults --deselect $(ENDURE_POSTGRES) --timeout 0 $(PYTEST_ARGS)

endure-postgres: $(VENV)/.installed-dev
	PERDURE_CRASH_MINUTES=$(MINUTES) PERDURE_FIGURES=benchmarks/results \
	  $(PY) -m pytest -m slow -s $(ENDURE_POSTGRES) --timeout 0 $(PYTEST_ARGS)

# Needs Node.js 20 or newer for the JavaScript part.
official: $(VENV)/.installed-dev
	$(PY) -m pytest tests/official -m "slow or not slow" --timeout 600 $(PYTEST_ARGS)

endure: $(VENV)/.installed-dev
	PERDURE_CRASH_MINUTES=$(MINUTES) $(PY) -m pytest -m slow -s $(ENDURE) $(PYTEST_ARGS)

# Only after an edit of a .proto file; versions do not matter, since no code is generated.
protobuf: $(VENV)/.installed-dev
	$(PY) -m pip install --quiet --disable-pip-version-check grpcio-tools
	$(PY) packaging/make_protobuf.py

clean:
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
