# make run: install into .venv and serve on http://127.0.0.1:52311; make test: install and pass all tests.
PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/installed

.PHONY: run test kill lint bench bench-rivals clean

run: $(INSTALLED)
	$(BIN)/deploymetrics serve

test: $(INSTALLED) lint
	$(BIN)/python -m pytest

# The tests that kill processes, on each file system, for longer; as root also on xfs and btrfs.
kill: $(INSTALLED)
	KILLS=300 OPERATIONS=20000 $(BIN)/python -m pytest -rP tests/storage/test_kill.py tests/storage/test_linearizability.py

lint: $(INSTALLED)
	$(BIN)/python -m flake8

# Needs wrk (Debian: apt-get install wrk).
bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

# The servers that the benchmark compares with, as root.
bench-rivals: $(INSTALLED)
	apt-get install --yes wrk prometheus-pushgateway
	$(BIN)/python -m pip install --quiet kinto waitress

$(INSTALLED): setup.cfg setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
