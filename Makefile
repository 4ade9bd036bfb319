# One command each: `make demo` shows it, `make test` proves it.
PYTHON ?= python3
JOBS   ?= auto
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
FUZZ   := $(VENV)/.fuzz
SCAN   := .venv-scanner

.DEFAULT_GOAL := help
.PHONY: help install scanner demo test lint types unit install-test fuzz fuzz-long chaos bench docs audit sbom release no-key lock clean

help:
	@echo "make demo   a whole chain on this machine, from notification to directory"
	@echo "make test   lint, floors, types and every test"
	@echo "make install-test  docs/install.md step by step in a clean Debian 12; needs root, debootstrap and the network"
	@echo "make fuzz   every reader of hostile input for a minute (docs/fuzzing.md); make fuzz-long for an hour, before a release"
	@echo "make scanner  the TLS scanner that make test runs"
	@echo "make chaos  every fault at length: hundreds of kills under load, overload; CHAOS='--kills 1000 --json FILE' for more"
	@echo "make bench  messages per second, CPU and memory beside their goals, as a table; BENCH=--help for what it takes"
	@echo "make audit  known vulnerabilities of the locked dependencies; needs the network"
	@echo "make sbom   what a release consists of, as build/sbom.json (CycloneDX)"
	@echo "make docs   the documentation as a site, in build/site"
	@echo "make release KEY=FILE  what users download, from a tag, signed, in dist (docs/releasing.md)"
	@echo "make lock   renew requirements.lock after a change in pyproject.toml"

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# in an environment of its own, since it wants an older cryptography than the adapter has
scanner: $(SCAN)/.installed

$(SCAN)/.installed: tests/tls/scanner.lock
	$(PYTHON) -m venv $(SCAN)
	$(SCAN)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

demo: $(STAMP)
	$(BIN)/stam-adapter demo

test: lint types unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/reuse lint --quiet

types: $(STAMP)
	$(BIN)/mypy
	$(BIN)/mypy --strict examples/sink/src

# a file of tests runs in one process, since what it needs (a server, a world) is made once for all of it
# and the many processes that tests start compile nothing that another did
unit: export PYTHONDONTWRITEBYTECODE =
unit: export PYTHONPYCACHEPREFIX = $(CURDIR)/$(VENV)/bytecode
unit: $(STAMP) $(SCAN)/.installed
	$(BIN)/pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

# The Debian is kept in build/, so that only the first time takes long.
install-test: $(STAMP)
	STAM_ADAPTER_INSTALL=1 $(BIN)/pytest tests/install

# atheris is for these alone, and has wheels for Linux only
$(FUZZ): $(STAMP) requirements-fuzz.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-fuzz.lock
	@touch $@

fuzz: $(FUZZ)
	$(BIN)/python -m fuzz --seconds 60

fuzz-long: $(FUZZ)
	$(BIN)/python -m fuzz --seconds 3600

chaos: $(STAMP)
	STAM_ADAPTER_CHAOS=1 $(BIN)/pytest tests/faults tests/e2e/test_e2e_sinks_troubles.py tests/e2e/test_e2e_sinks_kills.py tests/store/test_store_previous_release.py tests/daemon/test_daemon_many.py
	$(BIN)/python -m tests.chaos $(CHAOS)

bench: $(STAMP)
	$(BIN)/python -m bench $(BENCH)

# The notice that is left out is about the future of the tool, on each run of it.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Not part of `make test`: an advisory of today must not fail a change that has nothing to do with it, nor a machine without
# network. Strict, since a dependency that could not be looked up is not one without vulnerabilities.
audit: $(STAMP)
	$(BIN)/pip-audit --strict --progress-spinner off --require-hashes --disable-pip -r requirements-run.lock

sbom: $(STAMP)
	mkdir -p build
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-format JSON \
	    --output-file build/sbom.json requirements-run.lock

release: $(if $(KEY),,no-key) test docs
	$(BIN)/python -m release --key "$(KEY)"

no-key:
	@echo "name the key to sign with: make release KEY=~/.ssh/stam-adapter-release (docs/releasing.md)" >&2; exit 1

COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
	--no-emit-trusted-host --no-emit-find-links --no-emit-options --no-header

lock: $(STAMP)
	$(BIN)/python -m pip install --quiet pip-tools
	$(COMPILE) --extra dev --output-file requirements.lock pyproject.toml
	$(COMPILE) --no-annotate --build-deps-for wheel --constraint requirements.lock \
	    --output-file requirements-run.lock pyproject.toml
	$(COMPILE) --no-annotate --extra fuzz --constraint requirements.lock --output-file requirements-fuzz.lock pyproject.toml
	$(COMPILE) --output-file tests/tls/scanner.lock tests/tls/scanner.in

clean:
	rm -rf $(VENV) $(SCAN) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .fuzz
