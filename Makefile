# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SEEDS ?= 3
JOBS ?= $(shell nproc 2>/dev/null || echo 1)
PYTEST := $(BIN)/python -m pytest

.PHONY: help install demo ablation test test-slow check format docs screenshots wheel-test clean

help:  ## List the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(READY)  ## Set up the virtual environment with pinned versions.

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) --constraint constraints.txt --editable '.[dev]'
	-$(BIN)/python -m pip install --quiet $(PIP_FLAGS) --constraint constraints.txt --no-deps --upgrade \
	  --target $(VENV)/torchvision torchvision timm  # aside: tests/stages/torchvision_operators.py
	@touch $@

demo: $(READY)  ## Run every stage on the toy data set, offline, ending in scores and a report.
	$(MAKE) --no-print-directory -C examples/toy TGL=$(abspath $(BIN)/tgl)

ablation: $(READY)  ## Train and compare every arm of the method; SEEDS=1 STEPS=100 for a quick look.
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python examples/toy/ablation.py examples/toy/work/ablation \
	  --seeds $(SEEDS) --jobs $(JOBS) $(if $(STEPS),--steps $(STEPS)) --write docs/ablation.md

# Bytecode is written whatever the environment says: each process would compile all modules again.
test: $(READY)  ## Run the tests.
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(PYTEST) -n 2 --dist worksteal -m "not slow"

test-slow: $(READY)  ## Run the tests that take minutes or gigabytes too.
	$(PYTEST) -m slow --timeout 1800
	TGL_FUZZ_EXAMPLES=200 $(PYTEST) --timeout 1800 $$(grep -lr "^from spoiling" tests --include=test_*.py)

check: $(READY)  ## Format, lint, types and import direction.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) tests/test_imports.py

format: $(READY)  ## Put the code in form.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY)  ## Write docs/commands.md from the commands.
	$(BIN)/python -m tglcli.reference > docs/commands.md

screenshots: $(READY)  ## Make the pictures of docs/annotate.md (needs Chromium) and docs/pictures.md again.
	TGL_SCREENSHOTS=docs $(PYTEST) -m slow --timeout 1800 tests/browser/test_screenshots_page.py \
		tests/stages/tools/render/test_picture_page.py

wheel-test: $(READY)  ## Build the wheel and run `tgl --help` from it in a clean environment.
	rm -rf build dist .venv-wheel
	$(BIN)/python -m build --wheel --outdir dist .
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet --constraint constraints.txt dist/tgl-*.whl
	cd / && $(abspath .venv-wheel)/bin/tgl --help
	rm -rf .venv-wheel

clean:  ## Remove what the demo, the benchmarks and the builds made.
	rm -rf examples/toy/work benchmarks/work build dist .venv-wheel
