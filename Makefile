# One door for everything: what people type here is what CI runs.

PYTHON ?= python3
BIN := .venv/bin
REACT := client_examples/react
PAGE := server/chatops/rest/assets/app/index.html
PAGE_SOURCES := $(shell find $(REACT)/src -type f) \
    $(addprefix $(REACT)/,index.html vite.config.ts package-lock.json)

.DEFAULT_GOAL := help
.PHONY: help install install-dev page wheel run cluster test test-long lint types arch fmt schema bench check clean

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

$(REACT)/node_modules: $(REACT)/package-lock.json
	npm ci --prefix $(REACT) --no-audit --no-fund --loglevel error
	@touch $@

NODE_MODULES := client_examples/node/node_modules tests/typescript/node_modules $(REACT)/node_modules

$(PAGE): $(PAGE_SOURCES) | $(REACT)/node_modules
	npm run --silent --prefix $(REACT) build -- --logLevel warn

page: $(PAGE)  ## build the page that the server opens with; needs npm
	@:

wheel: install page  ## build the package, with the page in it, into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

run: install  ## install, build the page if npm is there, serve on http://127.0.0.1:8500
	@! command -v npm >/dev/null || $(MAKE) --no-print-directory page || \
	    echo "The page could not be built, all else works." >&2
	$(BIN)/chatops serve

cluster: install-dev  ## two nodes, a Celery worker, MongoDB and Redis, all on this machine
	$(BIN)/python tools/cluster.py

test: install-dev $(NODE_MODULES) page  ## install, then run all tests
	npm run --silent --prefix $(REACT) check
	$(BIN)/pytest -m "not long" -n 2 --dist loadfile

test-long: install-dev $(NODE_MODULES) page  ## the long fault and load runs
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

bench: install-dev page  ## measure the server beside its peers, in one run
	@$(BIN)/python -m benchmarks; one=$$?; \
	$(BIN)/python -m benchmarks.realtime --with-chainlit; two=$$?; \
	$(BIN)/python -m benchmarks.cluster && exit $$((one | two))

check: lint types arch test  ## everything CI runs

clean:  ## remove what was installed and cached
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache $(NODE_MODULES) $(dir $(PAGE))
