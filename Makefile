PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo
DATAFLOW := .dataflow
MAKEFLAGS += --no-print-directory

# What runners and servers say is of interest only after a failure.
QUIETLY = 2> .bench.log || { tail -n 30 .bench.log >&2; exit 1; }

.DEFAULT_GOAL := help
.PHONY: bench-latency bench-scale bench-silence help setup run test lint types unit docs flink flink-stop test-flink dataflow-check bench wheel lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv and install everything, pinned

$(STAMP): requirements-dev.lock setup.py pyproject.toml
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("trailcanary needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

run: $(STAMP) ## simulate a day with an attack in it, run the job on it, show what it found
	@rm -rf $(DEMO)
	$(BIN)/trailcanary simulate --output $(DEMO)/bucket --attack stop-logging
	$(BIN)/trailcanary run --input $(DEMO)/bucket --output $(DEMO)/lake --config $(DEMO)/bucket/trailcanary.toml --as-of data
	@echo
	@echo "Go on with:"
	@echo "  $(BIN)/trailcanary query --output $(DEMO)/lake"
	@echo "  $(BIN)/trailcanary query --output $(DEMO)/lake 'SELECT * FROM incidents'"
	@echo "  $(BIN)/trailcanary query --output $(DEMO)/lake 'SELECT * FROM delivery_lag'"
	@echo "  duckdb -init $(DEMO)/lake/views.sql"

test: lint types unit ## everything: lint, types, tests, generated docs

lint: $(STAMP) ## ruff: style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

unit: $(STAMP) ## the tests
	$(BIN)/pytest -n auto

docs: $(STAMP) ## write the generated documents anew
	$(BIN)/python -m pipeline.schema_docs > docs/schema.md
	$(BIN)/python -m pipeline.command_docs > docs/commands.md
	$(BIN)/python -m pipeline.attack_docs

flink: $(STAMP) ## start a Flink cluster on this machine, for `trailcanary stream`
	@$(BIN)/python -m deploy.flink.cluster start

flink-stop: $(STAMP) ## stop it
	@$(BIN)/python -m deploy.flink.cluster stop

test-flink: $(STAMP) ## the tests that need a Flink cluster: they start one of their own
	$(BIN)/pytest -m flink -ra tests/flink

dataflow-check: $(DATAFLOW)/.installed ## hand the stream to Beam's Dataflow runner as a dry run, offline
	@$(DATAFLOW)/bin/python -m deploy.dataflow.check

$(DATAFLOW)/.installed: requirements-dev.lock setup.py
	$(PYTHON) -m venv $(DATAFLOW)
	$(DATAFLOW)/bin/pip install --quiet --disable-pip-version-check --no-compile --constraint requirements-dev.lock \
	    build 'setuptools>=77' --editable '.[gcp]'
	@touch $@

bench: $(STAMP) ## the job against DuckDB's JSON reader; BENCH_INPUT=FOLDER adds real objects
	@$(BIN)/python -m benchmarks.bench $(if $(BENCH_INPUT),--input $(BENCH_INPUT)) $(QUIETLY)

bench-latency: $(STAMP) ## how long a stream takes from an object to its alert, on a Flink cluster of its own
	@$(BIN)/python -m benchmarks.latency $(QUIETLY)

bench-scale: $(STAMP) ## whether a stream keeps up with 1,000 accounts, on a Flink cluster of its own (20 minutes)
	@$(BIN)/python -m benchmarks.scale $(QUIETLY)

bench-silence: $(STAMP) ## what a stream does while nothing arrives, on a Flink cluster of its own (half an hour)
	@$(BIN)/python -m benchmarks.silence $(QUIETLY)

wheel: $(STAMP) ## build the wheel into dist/
	$(BIN)/python -m build --wheel --outdir dist

lock: $(STAMP) ## write requirements-dev.lock anew from setup.py's ranges
	$(BIN)/pip-compile --quiet --extra dev --strip-extras --no-emit-index-url --no-emit-trusted-host --output-file requirements-dev.lock setup.py

clean: ## remove the environment and everything generated
	rm -rf $(VENV) $(DATAFLOW) $(DEMO) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
