# Works with Python >= 3.11, a C compiler and make; all else is installed into $(VENV).
PYTHON ?= python3
VENV ?= .venv

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint build csrc-test pytest coverage conformance wheel sanitize soak clean

export PIP_DISABLE_PIP_VERSION_CHECK := 1

py := $(VENV)/bin/python
native := setup.py $(wildcard csrc/*.[ch] src/wsfast/codec/*.pyx src/wsfast/codec/*.pxd)
say = @printf '\n==> %s\n'

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-20s%s\n", $$1, $$2 }'
	@echo
	@echo 'Variables: PYTHON=$(PYTHON) (the interpreter), VENV=$(VENV) (where things are installed),'
	@echo 'PYTEST_ARGS (e.g. "tests/codec -x"), CASES (or e.g. "6.4.*,7.1.6")'

demo: $(VENV)/stamp-installed ## Echo over ws:// and wss:// against an embedded server
	$(py) -m wsfast demo

test: lint pytest ## Everything CI runs: lint, then pytest, which runs the C tests too

lint: $(VENV)/stamp-dev $(VENV)/stamp-installed ## Style, types, stubs, layers
	$(say) 'ruff'
	$(py) -m ruff check
	$(py) -m ruff format --check
	$(say) 'mypy'
	$(py) -m mypy --strict src
	$(py) -m mypy.stubtest --mypy-config-file pyproject.toml wsfast.codec
	$(say) 'import-linter'
	$(VENV)/bin/lint-imports --no-logo

build: $(VENV)/stamp-installed ## Build the extension in place (an editable install)

csrc-test: ## The tests of the C code
	$(say) 'C tests'
	$(MAKE) -C csrc test

pytest: $(VENV)/stamp-dev $(VENV)/stamp-installed ## The Python tests; choose some by PYTEST_ARGS
	$(say) 'pytest'
	$(py) -m pytest $(PYTEST_ARGS)

CASES ?= all
conformance: $(VENV)/stamp-installed ## The conformance suite; choose cases by CASES=quick, most, all
	$(say) 'Autobahn|Testsuite'
	$(py) tests/conformance/run.py --cases '$(CASES)'

# What is left out runs C or programs of others, and takes its time.
measured = --ignore=tests/codec --ignore=tests/conformance --ignore=tests/csrc \
	--ignore=tests/interop --ignore=tests/packaging --ignore=tests/soak
coverage: $(VENV)/stamp-dev $(VENV)/stamp-installed ## Whether the Python tests reach every branch
	$(say) 'pytest, measured'
	$(py) -m coverage erase
	$(py) -m coverage run -m pytest $(measured)
	$(py) -m coverage combine --quiet
	$(py) -m coverage report

wheel: $(VENV)/stamp-dev ## dist/: the sdist, and a wheel built from it
	$(py) -m build

sanitize: $(VENV)/stamp-dev ## tests/codec on an extension built with ASan and UBSan (Linux)
	$(say) 'building with sanitizers'
	WSFAST_SANITIZE=address,undefined $(py) setup.py --quiet build --build-base build/sanitize \
		--build-lib build/sanitize/lib
	$(say) 'pytest tests/codec'
	PYTHONPATH=build/sanitize/lib PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 \
		LD_PRELOAD="$$($${CC:-cc} -print-file-name=libasan.so)" $(py) -m pytest tests/codec

SOAK_ARGS ?=
soak: $(VENV)/stamp-dev $(VENV)/stamp-installed ## Leaks and hangs, for long (Linux): SOAK_ARGS="--help"
	$(say) 'soak'
	PYTHONPATH=tests/hardening $(py) tests/soak/soak.py $(SOAK_ARGS)

clean: ## Remove what was built and $(VENV)
	-$(MAKE) -C csrc clean
	rm -rf $(VENV) build dist wheelhouse src/*.egg-info src/wsfast/codec/_codec.c
	find src -name '*.so' -delete

# --group needs pip 25.1, newer than what the venv module of Python 3.11 brings.
$(VENV)/stamp-venv: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { \
		echo 'error: $(PYTHON) is not in PATH. Install Python >= 3.11 (Debian, Ubuntu: apt-get' \
			'install python3 python3-venv python3-dev) or name one: make PYTHON=...' >&2; exit 1; }
	@$(PYTHON) .ci/preflight.py
	$(say) 'creating $(VENV)'
	$(PYTHON) -m venv $(VENV)
	$(py) -m pip install --upgrade 'pip>=25.1'
	$(py) -m pip install --group build
	@touch $@

$(VENV)/stamp-dev: $(VENV)/stamp-venv
	$(say) 'installing what the tests and linters need'
	$(py) -m pip install --group dev
	@touch $@

$(VENV)/stamp-installed: $(VENV)/stamp-venv $(native)
	$(say) 'building wsfast'
	$(py) -m pip install --no-build-isolation --editable '.[cli]'
	@touch $@
