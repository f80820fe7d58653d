PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
# What is installed so far: what running needs, what the tests need, what checks and formats the code.
RUN = $(VENV)/installed-run
TEST = $(VENV)/installed-test
DEV = $(VENV)/installed-dev
# More processes than cores, since many tests wait: for a disk, a server, a browser.
PYTEST = $(BIN)/python -m pytest -n 5 --dist worksteal
# Else each process that a test starts compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test test-fast fuzz kill soak failover coverage lint format types docs pre-commit bench bench-rivals wheel constraints sbom clean

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' Makefile

run: $(RUN)  ## Install into .venv what running needs, and serve on http://127.0.0.1:52311.
	$(BIN)/deploymetrics serve

test: $(TEST)  ## Install what the tests need, and pass all of them.
	$(PYTEST)

test-fast: $(TEST)  ## Pass the tests that start no processes and take no seconds.
	$(PYTEST) -n 2 -m 'not slow'

fuzz: $(TEST)  ## Look for inputs that are answered wrongly, for some minutes; tests/corpus keeps those that were found.
	FUZZ=5000 $(PYTEST) --timeout 0 tests/formats tests/http/test_fuzzed_headers.py
	FUZZ=100 $(PYTEST) --timeout 0 tests/api/test_schemathesis.py

kill: $(TEST)  ## Kill servers for longer, on each file system; as root also on xfs and btrfs.
	KILLS=300 OPERATIONS=20000 $(BIN)/python -m pytest --timeout 0 -rP tests/storage/test_kill.py tests/storage/test_linearizability.py

soak: $(TEST)  ## Let a server live through reloads, kills and broken disks for MINUTES=5; as root on a small disk of its own.
	$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),5)

failover: $(TEST)  ## Let servers and databases fail for some minutes; needs postgresql-15, patroni and etcd-server.
	$(BIN)/python -m benchmarks.failover

coverage: $(TEST)  ## Pass all tests and show the lines that none ran, in processes that they start too.
	$(PYTEST) --cov

lint: $(DEV)  ## Find mistakes, and imports, docstrings and a format that are out of order.
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet

format: $(DEV)  ## Mend what lint can mend, and format the code.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(DEV)  ## Check the types of the package, and of what makes the documentation.
	$(BIN)/mypy

docs: $(DEV)  ## Build the documentation into docs/build; what is not right in it fails.
	$(BIN)/python -m sphinx -W --keep-going -q -j auto docs docs/build

pre-commit: $(DEV)  ## Have git lint and format what is committed.
	$(BIN)/pre-commit install

bench: $(TEST)  ## Measure the server beside a bare one and its peers; needs wrk (Debian: apt-get install wrk).
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.lists
	$(BIN)/python -m benchmarks.strangers

bench-rivals: $(TEST)  ## Install the servers that the benchmark compares with, as root.
	apt-get install --yes wrk etcd-server prometheus-pushgateway
	$(BIN)/python -m pip install --quiet kinto waitress

wheel: $(RUN)  ## Build the package into dist, for machines without a checkout.
	rm -rf dist build/lib
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

constraints: $(DEV)  ## Choose anew which versions are deployed, with their hashes, in deploy/constraints.txt.
	CUSTOM_COMPILE_COMMAND='make constraints' $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --upgrade \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --extra bigfix --extra granian --extra postgresql --output-file deploy/constraints.txt setup.cfg

sbom: $(DEV) wheel  ## Install what is deployed into build/deployed, and list all of it in build/sbom.json (CycloneDX).
	$(PYTHON) -m venv --clear build/deployed
	build/deployed/bin/python -m pip install --quiet --require-hashes --requirement deploy/constraints.txt
	build/deployed/bin/python -m pip install --quiet --no-deps dist/*.whl
	build/deployed/bin/python -m pip uninstall --quiet --yes pip setuptools
	$(BIN)/cyclonedx-py environment --output-reproducible --output-file build/sbom.json build/deployed

$(RUN): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(TEST): $(RUN)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

$(DEV): $(TEST)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:  ## Remove what was installed and built.
	rm -rf $(VENV) build dist docs/build *.egg-info
