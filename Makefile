# Each target makes its own virtual environment when it is missing or older than pyproject.toml.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= auto

.PHONY: help demo test chaos fuzz check lint types layers schema figures figures-emulator bench clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; run: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[emulator,foreign,dev]'
	@touch $@

demo: $(STAMP) ## Run the whole story on the emulator, in under a minute
	@$(BIN)/reconciler demo

test: $(STAMP) ## Run every test
	@$(BIN)/python -m pytest -n $(WORKERS)

chaos: $(STAMP) ## Break every request of every example in every way, then walk 10,000 random steps
	@PYTHONPATH=tests $(BIN)/python -m chaos --resume .chaos-progress.jsonl
	@PYTHONPATH=tests $(BIN)/python -m chaos.walk

fuzz: $(STAMP) ## Feed 16,000 hostile inputs: specs, plan files, journals, answers
	@$(BIN)/python tests/fuzz

check: lint types layers ## Lint, type and layer checks

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

layers: $(STAMP)
	@$(BIN)/lint-imports

schema: $(STAMP) ## Write schemas/*.schema.json from the models
	@VENV=$(VENV) scripts/write-schemas

figures-emulator: $(STAMP) ## Measure the emulator with 1,000 workspaces
	@$(BIN)/python benchmarks/emulator.py

bench: $(STAMP) ## Run the benchmarks on the emulator, half an hour (BENCH=--quick for a minute)
	@$(BIN)/python benchmarks/all.py $(BENCH)

figures: $(STAMP) ## Measure the figures the project states about itself
	@$(BIN)/python benchmarks/figures.py

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
