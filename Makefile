# run: the site, with demo people, on this machine.   test: everything that is checked, on SQLite or
# what DATABASE_URL says.   everywhere: the same on SQLite, PostgreSQL and MariaDB one after another.
# The virtual environment makes itself, and again only when a requirements file has changed.

PORT ?= 8000
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

export DEBUG ?= 1

# One more than there are processors: tests wait a good deal, for servers and browsers.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

DRIVER := $(if $(filter mysql:%,$(DATABASE_URL)),.venv/.installed-mariadb)

.PHONY: run test everywhere lint bench goals pictures format messages clean

run: .venv/.installed $(DRIVER)
	@$(BIN)/python -c 'import socket; socket.create_server(("127.0.0.1", $(PORT))).close()' 2>/dev/null \
	  || { echo "Port $(PORT) is taken. Stop what listens there, or choose another: make run PORT=8001" >&2; exit 1; }
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py demo
	@echo "Open http://127.0.0.1:$(PORT)/ (Ctrl-C stops it)"
	@exec $(BIN)/daphne --bind 127.0.0.1 --port $(PORT) config.asgi:application

test: lint tests/node/node_modules/.installed $(DRIVER)
	@$(BIN)/pytest -n $(WORKERS) $(ARGS)

everywhere: lint tests/node/node_modules/.installed .venv/.installed-mariadb
	@$(BIN)/python -m tests.everywhere -n $(WORKERS) $(ARGS)

lint: .venv/.installed-test
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@$(BIN)/python manage.py makemigrations --check

# What readers are promised of the pages: each goal, and whether it is met.
goals: .venv/.installed-test tests/node/node_modules/.installed
	@$(BIN)/python -m benchmarks.goals

# Those of docs/images, which the README shows. Needs Chromium.
pictures: .venv/.installed-test
	@$(BIN)/pytest -q tests/pictures.py

# In a virtual environment of its own: what the peers bring along changes how uvicorn runs.
bench: .venv/bench/.installed
	@.venv/bench/bin/python -m benchmarks.run $(ARGS)

.venv/bench/.installed: requirements-bench.txt requirements-test.txt requirements.txt
	@echo "Installing requirements-bench.txt"
	@$(PYTHON) -m venv .venv/bench
	@.venv/bench/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

format: .venv/.installed-test
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format --quiet

# After a text has changed: collect, translate what is new in the .po files, run it again. Needs gettext.
messages: .venv/.installed
	@$(BIN)/python manage.py makemessages --locale zh_Hans --no-location --no-obsolete
	@$(BIN)/python manage.py compilemessages --ignore .venv

clean:
	@rm -rf .venv tests/node/node_modules staticfiles screenshots .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/pip:
	@echo "Making a virtual environment in .venv"
	@$(PYTHON) -m venv .venv

.venv/.installed: requirements.txt | $(BIN)/pip
	@echo "Installing requirements.txt"
	@$(PIP) -r $<
	@touch $@

.venv/.installed-test: requirements-test.txt .venv/.installed
	@echo "Installing requirements-test.txt"
	@$(PIP) -r $<
	@touch $@

.venv/.installed-mariadb: requirements-mariadb.txt .venv/.installed
	@echo "Installing requirements-mariadb.txt"
	@$(PIP) -r $<
	@touch $@

tests/node/node_modules/.installed: tests/node/package-lock.json
	@if command -v npm >/dev/null; then \
	  echo "Installing tests/node" && cd tests/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null \
	    && touch node_modules/.installed; \
	else echo "npm is not installed: the tests that need it will be skipped"; fi
