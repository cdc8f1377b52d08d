# Every target works on a bare machine: Python 3.11 or later and make are enough.
# What `make` prints is made from the lines marked ## below.

PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
READY := .venv/.ready
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup check format test test-unit up servers sample secrets demo bench schemas docs hooks clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv from the lock file

$(READY): uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Regua needs Python 3.11 or later: make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "cannot create .venv: install the venv module of $(PYTHON)"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never $(BIN)/uv sync --frozen --inexact --quiet --no-install-project --python $(BIN)/python
	@touch $@

check: $(READY) ## lint, types, contracts between modules, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/codespell

format: $(READY) ## format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

test: $(READY) ## run every test (real PostgreSQL and Kafka, started for the run); ARGS="-k word"
	$(BIN)/pytest $(ARGS)

test-unit: $(READY) ## run the tests that need no server
	$(BIN)/pytest tests/unit tests/contract tests/architecture $(ARGS)

up: $(READY) ## start everything on this machine and stay up; Ctrl-C stops it
	$(BIN)/python -m deploy.local up $(ARGS)

sample: $(READY) ## configure a sample tenant in what `make up` started; prints its key
	@$(BIN)/python -m deploy.demo.sample

secrets: ## write the secret files that docker-compose.yml mounts and that are missing
	@$(PYTHON) -m deploy.containers.keys

servers: $(READY) ## start PostgreSQL and Kafka alone and print how to use them
	$(BIN)/python -m deploy.local servers

demo: $(READY) ## 1,000 debtors, 30 days of a ladder, in minutes, with a report
	$(BIN)/python -m deploy.demo $(ARGS)

bench: $(READY) ## contacts per second, end to end: one line of JSON
	$(BIN)/python -m tests.bench $(ARGS)

schemas: $(READY) ## write the JSON Schemas of the events anew
	$(BIN)/python -m shared.events.schemas

docs: $(READY) ## write generated tables, documents and dashboards anew
	$(BIN)/python -m deploy.documents
	$(BIN)/python -m deploy.observability

hooks: $(READY) ## run the checks before each commit
	$(BIN)/pre-commit install

clean: ## delete what runs left behind (not .venv)
	rm -rf .regua .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
