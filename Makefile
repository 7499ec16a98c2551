# Every target says what it does after '##'; `make help` shows it.
.DEFAULT_GOAL := help
.PHONY: help messages setup run test-fast test test-long test-all test-packages soak check format bench clean

PYTHON ?= python3
UV := .tools/bin/uv
BIN := .venv/bin
PYTEST := $(BIN)/pytest -n 2 --dist worksteal --durations 25
export UV_PYTHON_DOWNLOADS := never
export UV_COMPILE_BYTECODE := 1
# Where it is set, each of the hundreds of processes that the tests start would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## Install everything that development needs, into this folder

.venv/.ready: pyproject.toml uv.lock
	@scripts/system-packages py:ensurepip=python3-venv
	@[ -x $(UV) ] || { echo "Installing uv"; $(PYTHON) -m venv .tools && .tools/bin/pip install -q uv; }
	@$(UV) sync --frozen --quiet --python $(PYTHON)
	@touch $@

run: setup ## Start a demo: a small library, two users, three curl lines to try
	@$(BIN)/playhead serve --demo

test-fast: setup tests/provider/node_modules/.ready ## Test rules, media, services, storage and HTTP on SQLite; two minutes
	@$(PYTEST) -m 'not long and not postgresql' tests/domain tests/media tests/services tests/storage tests/http \
		--ignore tests/http/hostile

# Only the rules have to be covered completely, by their own tests: measuring everything would take a quarter longer.
test: setup test-packages ## Run every test but the long ones, on both engines; a quarter of an hour
	@$(PYTEST) tests/domain --cov=playhead.domain --cov-report=term-missing:skip-covered --cov-fail-under=100
	@$(PYTEST) -m 'not long' --ignore tests/domain

test-long: setup test-packages ## Run the long tests only: fuzzing, faults, races, households, packages
	@$(PYTEST) -m long --timeout 900

test-all: test test-long ## Run every test

test-packages: tests/provider/node_modules/.ready
	@scripts/system-packages chromium=chromium nginx=nginx-light strace=strace pg_ctlcluster=postgresql \
		systemd-analyze=systemd strip=binutils unshare=util-linux haproxy=haproxy caddy=caddy

soak: setup ## Prove at length that nothing is lost: power, kills, faults, races, load; one and a half hours
	@scripts/system-packages strace=strace pg_ctlcluster=postgresql
	@$(BIN)/pytest --soak --timeout 7200 tests/storage/engine/test_power_loss.py tests/e2e/test_durability.py tests/e2e/test_restore.py tests/e2e/test_failing_disks.py \
		tests/e2e/test_failing_wires.py tests/e2e/test_races.py tests/e2e/test_no_lock_errors.py tests/e2e/test_workers.py \
		tests/e2e/test_household.py
	@$(BIN)/pytest -m long --fuzz-seconds 3600 tests/server

check: setup ## Check format, style, types, layers and declared dependencies
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/pyright --warnings
	@$(BIN)/lint-imports
	@$(BIN)/deptry --no-ansi src
	@$(BIN)/deptry --no-ansi --exclude '\.venv' --ignore DEP002,DEP004 tests scripts bench

format: setup ## Format the code
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

messages: setup ## Bring the catalogs of translated texts up to date
	@$(BIN)/python scripts/update_translations.py

bench: setup bench/rival/node_modules/.ready ## Measure saves and reads beside the noop and beside rivals; ten minutes
	@scripts/system-packages wrk=wrk
	@$(UV) sync --frozen --quiet --inexact --group bench
	@$(BIN)/python bench/bench.py --all

tests/provider/node_modules/.ready: tests/provider/package.json tests/provider/package-lock.json
	@tests/provider/build
	@touch $@

bench/rival/node_modules/.ready: bench/rival/package.json bench/rival/package-lock.json
	@bench/rival/build
	@touch $@

clean: ## Remove what was installed and made here
	@rm -rf .venv .tools bench/rival/node_modules tests/provider/node_modules .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage* artifacts
