# Two commands need no set-up: `make demo` runs the main job, `make test` runs the tests. Each makes .venv if needed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO ?= demo

.PHONY: demo test lint format bench agreement digests browser help

help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## / - /'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| (echo "geozoo needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 2)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

demo: $(STAMP) ## populate a zoo of 64 networks, learn an embedding of weights, probe both, write card and map
	$(BIN)/geozoo populate zoos/digits_cnn.yaml --to $(DEMO)/digits_cnn
	$(BIN)/geozoo train experiments/hyper/digits_small.yaml --set zoo=$(DEMO)/digits_cnn --to $(DEMO)/digits_small
	$(BIN)/geozoo probe $(DEMO)/digits_cnn --features weights --features stats --model $(DEMO)/digits_small
	$(BIN)/geozoo landscape $(DEMO)/digits_cnn --model $(DEMO)/digits_small -o $(DEMO)/digits_landscape.html
	$(BIN)/geozoo card $(DEMO)/digits_cnn -o $(DEMO)/digits_cnn.html

test: $(STAMP) ## run all tests (data sets found under GEOZOO_DATA are tested too)
	$(BIN)/python -m pytest

lint: $(STAMP) ## format check, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP) ## format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

browser: ## build the page of the zoo browser from its sources (Node)
	cd platform/geozoo/report/browser && npm ci --ignore-scripts --no-audit --no-fund && node build.js

bench: $(STAMP) ## measure beside baselines, write tests/benchmarks/RESULTS.md (half an hour on two cores; GEOZOO_DATA)
	$(BIN)/python -m tests.benchmarks

agreement: $(STAMP) ## compare the lanes engine with the reference over a short run on MNIST
	$(BIN)/python tests/benchmarks/engine_agreement.py zoos/mnist_cnn_1k.yaml --members 64 --epochs 2 --engine lanes

digests: $(STAMP) ## equal digests under kills, with and without Ray, on disk and S3, three times each
	$(BIN)/python tests/benchmarks/equal_digests.py --times 3
