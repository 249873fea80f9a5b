# One door for everything: what people type here is what CI runs.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install install-dev run cluster test test-long lint types arch fmt schema bench check clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: .venv/.installed  ## make .venv with everything the server needs

install-dev: .venv/.installed-dev  ## make .venv with everything the tests need

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "chatops needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.installed-dev: .venv/.installed tools/install_services.sh
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@tools/install_services.sh
	@touch $@

client_examples/node/node_modules: client_examples/node/package-lock.json
	npm ci --prefix client_examples/node --no-audit --no-fund --loglevel error
	@touch $@

tests/typescript/node_modules: tests/typescript/package-lock.json
	npm ci --prefix tests/typescript --no-audit --no-fund --loglevel error
	@touch $@

NODE_MODULES := client_examples/node/node_modules tests/typescript/node_modules

run: install  ## install, then serve on http://127.0.0.1:8500
	$(BIN)/chatops serve

cluster: install-dev  ## two nodes, a Celery worker, MongoDB and Redis, all on this machine
	$(BIN)/python tools/cluster.py

test: install-dev $(NODE_MODULES)  ## install, then run all tests
	$(BIN)/pytest -m "not long" -n 2 --dist loadfile

test-long: install-dev $(NODE_MODULES)  ## the long fault and load runs
	$(BIN)/pytest -m long --timeout 1800

lint: install-dev  ## check style and form
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: install-dev  ## check types
	$(BIN)/mypy

arch: install-dev  ## check which way imports run
	$(BIN)/lint-imports --no-logo

fmt: install-dev  ## mend style and form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

schema: install  ## write the generated references again
	$(BIN)/python tools/write_reference.py

bench: install-dev  ## measure the server beside its peers, in one run
	@$(BIN)/python -m benchmarks; one=$$?; \
	$(BIN)/python -m benchmarks.realtime --with-chainlit; two=$$?; \
	$(BIN)/python -m benchmarks.cluster && exit $$((one | two))

check: lint types arch test  ## everything CI runs

clean:  ## remove what was installed and cached
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache $(NODE_MODULES)
