# Everything runs in .venv; only Python 3.11 or later, make and git are needed beforehand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: setup check test demo bench clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (about two minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[local,dev]'
	@touch $@

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cfn-lint deployments/*.yaml

test: setup
	$(BIN)/python -m pytest

demo: setup
	$(BIN)/exemplar demo

bench: setup
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:
	@if [ -x $(BIN)/exemplar ]; then $(BIN)/exemplar down; fi
	rm -rf $(VENV) .exemplar build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
