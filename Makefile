# Two commands: `make atlas` builds the demo atlas into site/, `make test` checks everything.
# They need Python 3.11 or newer, make and the network. Another Python: `make atlas PYTHON=python3.12`.

PYTHON ?= python3
VENV ?= .venv
LOCK := requirements.lock
BIN := $(VENV)/bin
# Newer than what it depends on: this virtual environment holds what the project asks for.
READY := $(VENV)/.ready
PIP := -m pip --disable-pip-version-check install --quiet

.PHONY: help atlas test test-fast lint format docs lock clean

help:
	@echo 'make atlas      build the atlas of the bundled demo network into site/'
	@echo 'make test       format, lint, types, floors and all tests, in a browser too'
	@echo 'make test-fast  the tests that take less than three seconds each'
	@echo 'make lint       format, lint, types and floors'
	@echo 'make format     put the code into its format'
	@echo 'make docs       write docs/cli.md, docs/data.md, docs/models.md and the outputs of the notebooks in docs/ again'
	@echo 'make lock       resolve all versions anew and write $(LOCK)'
	@echo 'make clean      remove caches and $(VENV); site/ and its store stay'

atlas: $(READY)
	$(BIN)/circuit-atlas

test: $(READY)
	sh .ci/chromium
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-fast: $(READY)
	$(BIN)/python -m pytest -m 'not slow' -n auto --dist loadfile

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	MYPYPATH=tests $(BIN)/mypy --explicit-package-bases --follow-imports=silent --disable-error-code=import-not-found tests/benchmarks
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY)
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_data.py
	$(BIN)/python docs/generate_models.py
	$(BIN)/python docs/run_notebooks.py

$(READY): pyproject.toml $(LOCK)
	@sh .ci/python '$(PYTHON)'
	$(PYTHON) -m venv $(VENV)
	@echo 'Installing into $(VENV): 4 GB, some minutes.'
	$(BIN)/python $(PIP) -c $(LOCK) setuptools
	$(BIN)/python $(PIP) -c $(LOCK) --no-build-isolation -e '.[dev]'
	@touch $@

# What pip resolves today in an empty environment, and nothing that somebody installed by hand.
lock:
	@sh .ci/python '$(PYTHON)'
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python $(PIP) 'setuptools>=77'
	build/lock/bin/python $(PIP) --no-build-isolation -e '.[dev]'
	{ echo '# Written by `make lock`; the Makefile installs exactly these versions.'; \
	  build/lock/bin/python -m pip freeze --all --exclude-editable --exclude pip; } > $(LOCK).part
	mv $(LOCK).part $(LOCK)
	rm -rf build/lock

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
