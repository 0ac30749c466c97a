# Development. Users need install.sh only.
VENV ?= .venv
RUN := $(VENV)/bin/

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## a virtual environment with all that development needs
	./tests/setup $(VENV)

check: ## format, lint, types, the dependency law
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy
	$(RUN)lint-imports

fix: ## repair what can be repaired
	$(RUN)ruff check --fix-only .
	$(RUN)ruff format .

test: ## unit tests: no root, no sleep
	$(RUN)pytest -m "not kernel and not podman and not cluster"

.PHONY: help setup check fix test
