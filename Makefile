# `make` alone is the whole check: what it passes can be released.
.DEFAULT_GOAL := check
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
UV := $(shell command -v uv || echo $(VENV)/bin/uv)
BIN := $(VENV)/bin

# Without byte code every start of Python is slower, and the tests start it often.
unexport PYTHONDONTWRITEBYTECODE
# The tests see what users see: Python buffers its output.
unexport PYTHONUNBUFFERED

.PHONY: check format-check lint types imports test format fix install demo reference docs home-assistant faults soak mutants properties docker systemd home-assistant-app deb help clean browser screenshots proxy

check: format-check lint types imports test ## everything below: format, lint, types, imports, tests

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(BIN)/.installed ## a virtual environment with everything, from the lock file

$(BIN)/.installed: pyproject.toml uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(UV) || $(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.9'
	UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync --quiet --frozen --all-extras --inexact --python $(BIN)/python
	touch $@ $(VENV)/.installed

format-check: install ## is the code formatted?
	$(BIN)/ruff format --check .

lint: install ## ruff with all rules but a reasoned list
	$(BIN)/ruff check .

types: install ## mypy, strict
	$(BIN)/mypy

imports: install ## import-linter: imports go down only
	$(BIN)/lint-imports

test: install ## all tests, with warnings as errors
	$(BIN)/pytest

format: install ## format the code
	$(BIN)/ruff format .

fix: install ## format, and mend what ruff can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: install ## docs/reference, written anew from the code
	PYTHONPATH=tests $(BIN)/python script/reference.py

docs: install ## the documentation as a site, in site/
	UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync --quiet --frozen --all-extras --inexact --group docs --python $(BIN)/python
	$(BIN)/zensical build --strict --clean

demo: install ## the demo, from this checkout
	$(BIN)/esquirell demo

home-assistant: install ## against real ones: HOME_ASSISTANT names `hass`, or several with a colon in between
	@test -n "$$HOME_ASSISTANT$$HOME_ASSISTANT_HARNESS" || { echo 'set HOME_ASSISTANT to the program that runs Home Assistant (hass)'; exit 2; }
	$(BIN)/pytest -n0 tests/homeassistant

properties: install ## thousands of lives of a meter and its computer: no energy is lost, none invented; half an hour
	PROPERTIES=3000 $(BIN)/pytest -n0 tests/storage/test_no_energy_is_lost.py

.PHONY: bench
bench: install ## how fast and how small it is, into docs/performance.md; half an hour. BENCH="cost --quick" for less, in .cache/benchmarks
	$(BIN)/python -m benchmarks $(BENCH)

faults: install ## each fault under a running service, for real; an hour. LOOP_S=600: those that come again, for so long
	FAULTS=1 $(BIN)/pytest -n0 tests/faults

SOAK_MINUTES ?= 30
soak: install ## half an hour with a fault at random every minute: SOAK_MINUTES, SOAK_SEED, SOAK_DATABASE=postgresql
	SOAK_MINUTES=$(SOAK_MINUTES) $(BIN)/pytest -n0 -s tests/faults/test_soak.py

mutants: install ## small changes that do harm: which of them no test notices. ROOMS="domain mqtt" COUNT=100 SEED=1
	$(BIN)/python -m script.mutants $(ROOMS) --count $(or $(COUNT),100) --seed $(or $(SEED),1)

AXE := .cache/browser/node_modules/axe-core/axe.min.js

browser: install $(AXE) ## the page in a real Chromium: needs chromium, chromedriver and npm (apt install chromium-driver npm)
	UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync --quiet --frozen --all-extras --inexact --group browser --python $(BIN)/python
	AXE_SCRIPT=$(AXE) $(BIN)/pytest -n0 tests/browser

proxy: install ## the documentation's nginx configurations, before the page and Flower: needs nginx (apt install nginx-light)
	$(BIN)/pytest -n0 tests/proxy

screenshots: install ## the pictures of the page in docs/images, made anew
	UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync --quiet --frozen --all-extras --inexact --group browser --python $(BIN)/python
	$(BIN)/python script/screenshots.py

$(AXE):
	npm install --silent --no-save --no-audit --no-fund --prefix .cache/browser axe-core@4.14.1

docker: install ## docker-compose.yml and the Home Assistant app in real containers: needs a Docker engine (DOCKER_HOST)
	ESQUIRELL_DOCKER=1 $(BIN)/pytest -n0 tests/compose

systemd: install ## the service under a real systemd: SYSTEMD_HARNESS names the program that boots one
	@test -n "$$SYSTEMD_HARNESS" || { echo 'set SYSTEMD_HARNESS to the program that boots a system'; exit 2; }
	$(BIN)/pytest -n0 tests/systemd/test_real_systemd.py

home-assistant-app: ## the Home Assistant app, as a folder for /addons: dist/home-assistant-app
	script/home-assistant-app dist/home-assistant-app

deb: install ## a Debian package in dist/: SUITE and ARCHITECTURE, by default those of this machine
	UV=$(UV) packaging/deb/build $(SUITE) $(ARCHITECTURE)

clean: ## remove the virtual environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
