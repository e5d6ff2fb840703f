# Needs python3 (3.10 to 3.13) with venv, and make. `make` alone lists the targets.
#
#   make setup PYTHON=python3.12    another interpreter
#   make setup EXTRAS=dev,gcs       with the extras that pyproject.toml names
#   make test ARGS="-k growth -x"   arguments for pytest

PYTHON ?= python3
EXTRAS ?= dev
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed-$(EXTRAS)
SAY := @printf '\n==> %s\n'

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-faults lint docs format clean distclean

help:
	@echo "make setup      create $(VENV) and install everything in it (8 GB on disk, once)"
	@echo "make demo       train a chain of three small models on scanned digits (under 4 minutes)"
	@echo "make test       run the test suite (some 18 minutes on 2 cores)"
	@echo "make test-faults  kill, stop and drain on a cluster of several nodes (some 40 minutes)"
	@echo "make lint       ruff and mypy"
	@echo "make docs       write the site of docs/ into build/site"
	@echo "make format     let ruff format the code"
	@echo "make clean      remove caches and build output"
	@echo "make distclean  remove $(VENV) too; runs/ is never removed"

setup: $(STAMP)
	@echo "ray_compt is installed in $(VENV) ($$($(BIN)/python --version)): $(BIN)/compt --help"

demo: setup
	$(SAY) "Training the chain chains/digits.yaml into runs/digits; run again, it goes on or shows the result"
	@$(BIN)/compt train digits

test: setup
ifeq ($(strip $(ARGS)),)
	$(SAY) "Running the quick tests on all cores"
	@$(BIN)/python -m pytest --ignore=tests/faults -m "not integration" -n logical --dist worksteal
	$(SAY) "Running the tests that start Ray, three at a time: they wait for processes half of the time"
	@$(BIN)/python -m pytest tests/integration -n 3 --dist loadfile
else
	@$(BIN)/python -m pytest --ignore=tests/faults $(ARGS)
endif

test-faults: setup
	$(SAY) "Killing, stopping and draining on a cluster of several nodes on this machine"
	@$(BIN)/python -m pytest tests/faults $(ARGS)

lint: setup
	$(SAY) "Linting"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(SAY) "Writing the site of docs/ into build/site"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "open build/site/index.html; its search needs a server: python3 -m http.server -d build/site"

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find ray_compt tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)

# pip is the last file that venv writes: where it is missing, the environment is absent or half made.
$(BIN)/pip:
	@$(PYTHON) -c '' || { echo "error: '$(PYTHON)' does not run; mend: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	    echo "error: ray_compt needs Python 3.10 to 3.13, '$(PYTHON)' is $$($(PYTHON) --version 2>&1)" >&2; \
	    echo "  mend: make setup PYTHON=python3.11" >&2; exit 1; }
	$(SAY) "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { \
	    echo "error: python3 could not make a virtual environment" >&2; \
	    echo "  mend: install its venv module (on Debian and Ubuntu: the package python3-venv)" >&2; exit 1; }

$(STAMP): pyproject.toml constraints.txt | $(BIN)/pip
	$(SAY) "Installing ray_compt, PyTorch with its CUDA libraries, Ray and DeepSpeed, once: some 3.5 GB to download, 8 GB on disk, 3 to 15 minutes"
	@$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --upgrade pip
	@$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@
