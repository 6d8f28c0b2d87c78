# make run: everything, with a demo.   make test: the whole suite.   Both bring what they need into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test test-services bench faults lint format

run: export DEBUG := 1
run: $(VENV)/.runs
	@$(BIN)/python manage.py up

test: export DATABASE_URL :=
test: export REDIS_URL :=
test: $(VENV)/.tests
	@$(BIN)/python -m pytest -n auto

# The same suite on PostgreSQL and Redis. The role must be allowed to create databases; the tests make one of their own.
test-services: export DATABASE_URL ?= postgresql:///gelatoconnect
test-services: export REDIS_URL ?= redis://localhost:6379/15
test-services: $(VENV)/.tests
	@$(BIN)/python -c 'import os, psycopg as pg, redis; redis.Redis.from_url(os.environ["REDIS_URL"]).ping(); \
	  pg.connect(pg.conninfo.make_conninfo(os.environ["DATABASE_URL"], dbname="postgres"), connect_timeout=5).close()'
	@$(BIN)/python -m pytest -n auto

bench: $(VENV)/.tests
	@$(BIN)/python -m bench

faults: $(VENV)/.tests
	@$(BIN)/python -m bench.faults points
	@$(BIN)/python -m bench.faults chaos

lint: $(VENV)/.tests
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy gelatoconnect orders intake shipping

format: $(VENV)/.tests
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runs: requirements.txt | $(BIN)/python
	@echo "Installing what it runs on …"
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.tests: requirements-dev.txt requirements.txt | $(BIN)/python
	@echo "Installing what the tests need …"
	@$(PIP) -r requirements-dev.txt
	@touch $@ $(VENV)/.runs
