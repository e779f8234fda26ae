# Everything that a person or a machine runs in this repository. `make` alone lists the targets.
# `run`, `test`, `ui`, `bench` and `lint` set the project up first (scripts/setup.sh); the second time this takes no time.
#
#   LOCK=cpu|gpu            the lock file; without it, gpu where nvidia-smi finds a device, else cpu
#   PYTHON=/path/python3.11 the interpreter, if it is not on the PATH
#   TORCH_INDEX=URL         PyTorch's CPU wheel index or a mirror, used only if pip's own configuration has no CPU build
#   CHROMIUM=/path          the browser that the tests use
#   JOBS=3                  number of test processes; many tests wait for other processes, and each may need 4 GB
#   MINUTES=60              how long `fuzz` runs
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup run test fuzz ui bench lint clean

LOCK ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
JOBS ?= 3
MINUTES ?= 60
BIN := .venv/bin
export PYTHON TORCH_INDEX CHROMIUM
# Python stores byte code in .venv: without it every process would compile Dagster, torch and the rest again.
unexport PYTHONDONTWRITEBYTECODE
# No library sends telemetry.
export DO_NOT_TRACK := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export VLLM_NO_USAGE_STATS := 1
export RAY_USAGE_STATS_ENABLED := 0

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1|/' | awk -F'|' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: ## build .venv from the lock file (the other targets do it themselves)
	@scripts/setup.sh $(LOCK)

run: setup ## bring the whole graph up to date on the sample, or ARGS="SELECTION --options"
	@$(BIN)/nemotron run $(ARGS)

test: ## run all tests, or ARGS="tests/web -k dedup"
	@scripts/setup.sh $(LOCK) --with-browser
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

fuzz: ## try new random examples of all property tests for MINUTES=60, or ARGS="tests/web"
	@scripts/setup.sh $(LOCK) --with-browser
	@$(BIN)/python -m tests.fuzzing $(MINUTES) $(ARGS)

ui: setup ## Dagster's web UI and daemon on 127.0.0.1, on the same lake
	@$(BIN)/nemotron ui $(ARGS)

bench: setup ## list the benchmarks and their claims; NAME=ingest runs one
	@$(BIN)/python -m benchmarks.harness $(NAME) $(ARGS)

lint: setup ## style and likely bugs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

clean: ## remove .venv, .nemotron, benchmarks/.data and caches of this folder; never a lake outside it
	@rm -rf .venv .nemotron .pytest_cache .ruff_cache .hypothesis build dist *.egg-info benchmarks/.data
	@find nemotron_assets resources tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
