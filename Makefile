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
	$(BIN)/hadolint serving/Dockerfile

test: setup
	$(BIN)/python -m tests.side_by_side

demo: setup
	$(BIN)/exemplar demo

# Both are folders: one with class folders of pictures, one with mobilenet_v2_imagenet.pth.
PICTURES ?= $(EXEMPLAR_TEST_IMAGES)/intel_scenes
WEIGHTS ?= $(EXEMPLAR_WEIGHTS_DIR)

bench: setup
	@test -d "$(PICTURES)" && test -d "$(WEIGHTS)" || \
		{ echo "say where they are: make bench PICTURES=folder WEIGHTS=folder"; exit 2; }
	@echo "== serving"; $(BIN)/python -m benchmarks.serving \
		--pictures "$(PICTURES)" --weights "$(WEIGHTS)/mobilenet_v2_imagenet.pth"
	@echo "== recipes"; $(BIN)/python -m benchmarks.recipes "$(PICTURES)" \
		--weights "$(WEIGHTS)/mobilenet_v2_imagenet.pth"
	@echo "== throughput"; $(BIN)/python -m benchmarks.throughput "$(PICTURES)" \
		--weights "$(WEIGHTS)/mobilenet_v2_imagenet.pth"

clean:
	@if [ -x $(BIN)/exemplar ]; then $(BIN)/exemplar down; fi
	rm -rf $(VENV) .exemplar build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
