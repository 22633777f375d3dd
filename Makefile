# Everything that is done often; `make` alone lists it. Set-up happens by itself and lives in .venv.
#
#   PYTHON=python3.12 make setup    another Python (3.10 to 3.13)
#   JOBS=1 make test                tests one after another
#   ARGS="-k layout" make test      more options for what a target runs

PYTHON ?= python3
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 1); [ "$$n" -le 4 ] && echo "$$n" || echo 4)
ARGS ?=

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-bench setup-rivals demo test test-slow fuzz lint docs docs-networks docs-onnx site dist bench bench-short clean

# what `python3 -m venv` needs, and which package of Debian or Ubuntu brings it
define CHECK_PYTHON
import sys
version = "%d.%d" % sys.version_info[:2]
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    sys.exit("found Python " + version + ", expected 3.10 to 3.13; name another one: make setup PYTHON=python3.12")
try:
    import ensurepip, venv
except ImportError:
    sys.exit("Python " + version + " can't make a venv; on Debian or Ubuntu: sudo apt install python" + version + "-venv")
endef
export CHECK_PYTHON

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/installed  ## make .venv with the compiler and the tools (once, and again when their versions change)

setup-bench: .venv/installed-bench  ## the same with ONNX Runtime, and what plots and training examples need

setup-rivals: setup-bench  ## environments for the other engines that we compare with; one that fails is left out
	-$(BIN)/python -m bench.rivals.setup

demo: setup  ## compile a pruned network, check it, print its report and its speed next to PyTorch's
	$(BIN)/python examples/demo.py $(ARGS)

test: setup  ## run the tests, except the slow ones
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

test-slow: setup  ## run the slow tests: whole networks in all sizes and patterns
	$(BIN)/python -m pytest -n $(JOBS) -m slow $(ARGS)

fuzz: setup  ## damaged files: must end right or as an error; ARGS="network --cases 100" for random networks
	PYTHONPATH=.:examples:tests $(BIN)/python -m fuzz $(ARGS)

lint: setup  ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs-onnx: setup-bench  ## run ONNX's node tests for the table in the documentation (half an hour)
	PYTHONPATH=.:tests $(BIN)/python docs/make_onnx.py

docs-networks: setup-bench  ## compile networks of other packages for the table in the documentation (hours)
	$(INSTALL) huggingface_hub safetensors tqdm
	$(INSTALL) --no-deps segmentation-models-pytorch timm torchvision
	PYTHONPATH=.:tests:examples $(BIN)/python docs/make_networks.py $(ARGS)

docs: setup  ## write the generated part of the documentation anew
	$(BIN)/python docs/make_operators.py
	$(BIN)/python docs/networks_page.py

site: setup-bench  ## the documentation as a site, in build/site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

dist: setup  ## wheel and sources in dist/, checked
	rm -rf dist
	$(INSTALL) '.[release]'
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	PYTHONPATH=. $(BIN)/python -m pytest -m slow tests/test_wheel.py

bench: setup-rivals  ## measure against all engines; takes a quiet machine and some hours
	$(BIN)/python -m bench $(ARGS)

bench-short: setup-bench  ## measure two networks against ONNX Runtime; takes a quiet machine and some minutes
	$(BIN)/python -m bench --rivals onnxruntime --nets mobilenet_v1 resnet50 --n 16 --sparsity 0.75 --threads 1 $(ARGS)

clean:  ## remove caches and outputs; .venv stays, remove it by hand
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.venv/installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON): not found; on Debian or Ubuntu: sudo apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c "$$CHECK_PYTHON"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@echo "installing PyTorch, TVM and the tools into .venv (a few minutes, some GB of disk)"
	$(INSTALL) -e '.[compiler,tune,quantize,dev,docs]'
	@touch $@

.venv/installed-bench: .venv/installed
	$(INSTALL) -e '.[compiler,tune,quantize,prune,dev,docs,bench]'
	@touch $@
