# Everything runs in .venv, which `make setup` makes; every other target calls it first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# torch goes first, as one exact version: the newest that the range of pyproject.toml admits can be a much larger build.
TORCH ?= torch==2.13.0
LOWEST_PYTHON ?= $(PYTHON)
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done
LOWEST_VENV := .venv-lowest
LOWEST_STAMP := $(LOWEST_VENV)/.setup-done
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
SOURCES := $(wildcard seeclear tests examples benchmarks)

export PIP_ROOT_USER_ACTION := ignore

.PHONY: help setup test test-lowest demo style quality clean

help:
	@echo "make setup        make the environment in $(VENV) (TORCH=$(TORCH), PYTHON=$(PYTHON))"
	@echo "make demo         upscale the example clip into outputs/"
	@echo "make test         run the tests (PYTEST_ARGS='-k name' for some of them)"
	@echo "make test-lowest  run the tests with the lowest supported dependencies, in $(LOWEST_VENV)"
	@echo "make style        put the sources into the house style"
	@echo "make quality      check style and types"
	@echo "make clean        remove environments, caches and outputs"

setup: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) "$(TORCH)"
	$(BIN)/python $(PIP_INSTALL) -e ".[dev]"
	touch $@

# as many processes as processors, a file of tests in each, and one thread in each process
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile $(PYTEST_ARGS)

demo: setup
	mkdir -p outputs
	$(BIN)/seeclear upscale examples/assets/bunny_lr.mp4 outputs/bunny_sr.mp4 --compare outputs/bunny_compare.png

style: setup
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

quality: setup
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

$(LOWEST_STAMP): pyproject.toml requirements/lowest.txt
	test -x $(LOWEST_VENV)/bin/python || $(LOWEST_PYTHON) -m venv $(LOWEST_VENV)
	$(LOWEST_VENV)/bin/python $(PIP_INSTALL) -r requirements/lowest.txt -e ".[dev]"
	touch $@

test-lowest: $(LOWEST_STAMP)
	OMP_NUM_THREADS=1 $(LOWEST_VENV)/bin/python -m pytest --numprocesses auto --dist loadfile $(PYTEST_ARGS)

clean:
	rm -rf $(VENV) $(LOWEST_VENV) outputs .pytest_cache .mypy_cache .ruff_cache .hypothesis
