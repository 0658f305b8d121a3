# Touchstone. `make` alone lists the targets. Needs Python 3.11 or later (with venv), and make; nothing else.
#
# All paths are relative: the checkout may lie under a path with spaces. Variables given on the command line
# (make demo PORT=8001 TOUCHSTONE_HOME=/data/touchstone) reach the commands through the environment.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
PYTEST_WORKERS ?= 2

.PHONY: help demo up stop test check format e2e e2e-producers bench lock clean clean-state

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done
	@printf '\nVariables: PORT (8000), TOUCHSTONE_HOME (var), DATABASE_URL, REDIS_URL, ONCE=1 (demo), ONLY=name (bench), ARGS (test, e2e, e2e-producers).\n'

demo: $(RUNTIME) ## the demo world on a running installation (ONCE=1: one full cycle, then stop)
	@exec $(PY) -m controlplane.embedded up --demo $(if $(filter-out 0,$(ONCE)),--once)

up: $(RUNTIME) ## web, worker, beat and relay, on embedded or configured services
	@exec $(PY) -m controlplane.embedded up

stop: $(RUNTIME) ## stop what runs from TOUCHSTONE_HOME
	@$(PY) -m controlplane.embedded stop

test: $(DEV) ## the tests, but those in a browser
	$(PY) -m pytest -n $(PYTEST_WORKERS) --dist loadfile -m "not e2e" $(ARGS)

check: $(DEV) ## format, lint, types, import contracts, migrations, settings
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy .
	$(VENV)/bin/lint-imports
	$(PY) -m controlplane.embedded run --fast --home var/check -- $(PY) manage.py makemigrations --check --dry-run
	$(PY) -m controlplane.embedded run --fast --home var/check -- $(PY) manage.py check --fail-level WARNING
	$(PY) -m controlplane.embedded run --fast --home var/check -- $(PY) manage.py spectacular --fail-on-warn --validate --file /dev/null

format: $(DEV) ## put the code into its format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

e2e: $(DEV) ## whole installations and pages in real Chromium
	@if sh deploy/chromium.sh; then \
		$(PY) -m pytest -m e2e tests/e2e $(ARGS) || test $$? -eq 5; \
	else \
		echo "No Chromium could be had here: the tests that need it will be skipped."; \
		$(PY) -m pytest -m e2e tests/e2e $(ARGS) || test $$? -eq 5; \
	fi

e2e-producers: $(DEV) ## real producers (OpenLineage client, dbt, Airflow) against a running installation
	@$(PY) -m tests.producers.environments
	$(PY) -m pytest -m e2e tests/producers $(ARGS)

bench: $(DEV) ## every performance figure, against its reference (ONLY=name for one)
	@$(PY) -m benchmarks $(if $(ONLY),--only $(ONLY))

lock: $(DEV) ## pin the newest allowed versions into the lock files
	$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -o requirements.lock pyproject.toml
	$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -o requirements-dev.lock -c requirements.lock --group dev pyproject.toml
	for name in tests/producers/requirements/*.in; do \
		$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -o "$${name%.in}.lock" "$$name" || exit 1; \
	done

clean: ## delete the virtual environment and caches; state stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov var/check var/test
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-state: $(RUNTIME) ## stop everything and delete TOUCHSTONE_HOME with all data
	@$(PY) -m controlplane.embedded destroy --yes

# The development lock holds the runtime's pins as well, so an environment for tests serves the demo too.
$(RUNTIME): requirements.lock
	@if test -e $(DEV) && test ! requirements-dev.lock -nt $(DEV); then touch $(RUNTIME); else $(MAKE) --no-print-directory install-lock LOCK=requirements.lock; fi
	@touch $(RUNTIME)

$(DEV): requirements-dev.lock
	@$(MAKE) --no-print-directory install-lock LOCK=requirements-dev.lock
	@touch $(RUNTIME) $(DEV)

.PHONY: install-lock
install-lock:
	@sh deploy/venv.sh $(VENV)
	@echo "Installing $(LOCK) …"
	@$(PY) -m pip install --quiet --quiet --disable-pip-version-check --no-input --require-hashes --no-deps -r $(LOCK)
