# Works with Python >= 3.11, a C compiler and make; all else is installed into $(VENV).
PYTHON ?= python3
VENV ?= .venv
FREETHREADED ?= python3.14t

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint build csrc-test pytest coverage conformance interop fuzz csrc-fuzz \
	python-fuzz tsan wheel asan freethreaded soak bench bench-servers bench-full bench-publish bench-micro \
	bench-instructions clean

export PIP_DISABLE_PIP_VERSION_CHECK := 1

py := $(VENV)/bin/python
ft_venv := $(VENV)-freethreaded
ft_py := $(ft_venv)/bin/python
native := setup.py $(wildcard csrc/*.[ch] src/wsfast/*/*.pyx src/wsfast/*/*.px[di] src/wsfast/*/*.h)
say = @printf '\n==> %s\n'

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-20s%s\n", $$1, $$2 }'
	@echo
	@echo 'Variables: PYTHON=$(PYTHON) (the interpreter), VENV=$(VENV) (where things are installed),'
	@echo 'PYTEST_ARGS (e.g. "tests/codec -x"), CASES (or e.g. "6.4.*,7.1.6"),'
	@echo 'FREETHREADED=$(FREETHREADED) (the interpreter for that target), FUZZ_TIME (in seconds)'

demo: $(VENV)/stamp-installed ## Echo over ws:// and wss:// against an embedded server
	$(py) -m wsfast demo

test: lint pytest ## Everything CI runs: lint, then pytest, which runs the C tests too

lint: $(VENV)/stamp-dev $(VENV)/stamp-installed ## Style, types, stubs, layers
	$(say) 'ruff'
	$(py) -m ruff check
	$(py) -m ruff format --check
	$(say) 'mypy'
	$(py) -m mypy --strict src
	$(py) -m mypy.stubtest --mypy-config-file pyproject.toml wsfast.codec \
		wsfast.aio._endpoint wsfast.system._cipher wsfast.threads._sender wsfast.threads._receiver
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
measured = --ignore=tests/benchmarks --ignore=tests/codec --ignore=tests/conformance \
	--ignore=tests/csrc --ignore=tests/interop --ignore=tests/packaging --ignore=tests/soak
coverage: $(VENV)/stamp-dev $(VENV)/stamp-installed ## Whether the Python tests reach every branch
	$(say) 'pytest, measured'
	$(py) -m coverage erase
	$(py) -m coverage run -m pytest $(measured)
	$(py) -m coverage combine --quiet
	$(py) -m coverage report

interop: $(VENV)/stamp-dev $(VENV)/stamp-installed ## Compression with other libraries, in every combination (minutes)
	INTEROP=every $(py) -m pytest tests/interop/test_compression.py \
		tests/interop/test_compressed_messages.py --log-cli-level=INFO

FUZZ_TIME ?= 60
fuzz: csrc-fuzz python-fuzz ## Each fuzz target, in C and in Python, for FUZZ_TIME seconds (needs clang)

csrc-fuzz:
	$(say) 'csrc/fuzz, with libFuzzer'
	$(MAKE) -C csrc fuzz FUZZ_TIME=$(FUZZ_TIME)

python-fuzz: $(VENV)/stamp-dev $(VENV)/stamp-installed
	$(say) 'tests/fuzz, with atheris'
	$(py) -m pip install --group fuzz
	$(py) tests/fuzz/run_all.py $(FUZZ_TIME)

tsan: ## What threads share in C, under ThreadSanitizer
	$(say) 'ThreadSanitizer'
	$(MAKE) -C csrc tsan

wheel: $(VENV)/stamp-dev ## dist/: the sdist, and a wheel built from it
	$(py) -m build

# packaging and csrc make builds of their own, the latter with sanitizers; the conformance suite is
# a program in Python 2, which nothing can be loaded into; the deflate bombs are measured to 64 KiB,
# which the sanitizer's own allocator exceeds; benchmarks say nothing there. As other tests measure
# memory too, what is freed is kept back for 1 MiB only. Leaks are not looked for, since the
# interpreter keeps memory until it ends; tests/codec looks for ours.
asan: $(VENV)/stamp-dev ## The Python tests on an extension built with ASan and UBSan (Linux)
	$(say) 'building with sanitizers'
	WSFAST_SANITIZE=address,undefined $(py) setup.py --quiet build --build-base build/asan \
		--build-lib build/asan/lib
	$(say) 'pytest, with sanitizers'
	PYTHONPATH=$(CURDIR)/build/asan/lib PYTHONMALLOC=malloc \
		ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=1 \
		LD_PRELOAD="$$($${CC:-cc} -print-file-name=libasan.so)" \
		$(py) -m pytest -m 'not packaging' --ignore=tests/csrc --ignore=tests/conformance \
		--ignore=tests/hardening/test_deflate_bomb.py --ignore=tests/benchmarks $(PYTEST_ARGS)

# The GIL must stay off by itself: nothing here says that it should. On CPython 3.13t, which has no
# trustme, $(py) makes the certificates.
freethreaded: $(VENV)/stamp-dev $(ft_venv)/stamp ## The Python tests without a GIL, on FREETHREADED=
	$(say) 'pytest, free-threaded'
	PIP_ONLY_BINARY=:all: TRUSTME_PYTHON=$(CURDIR)/$(py) \
		PYTHONPATH="$$($(ft_py) -c 'import trustme' 2>/dev/null || echo $(CURDIR)/tests/freethreaded)" \
		$(ft_py) -m pytest $(PYTEST_ARGS)

SOAK_ARGS ?=
CROWD_ARGS ?=
soak: $(VENV)/stamp-dev $(VENV)/stamp-installed ## Leaks and hangs, for long (Linux): SOAK_ARGS="--help", CROWD_ARGS="--help"
	$(say) 'soak'
	PYTHONPATH=tests/hardening $(py) tests/soak/soak.py $(SOAK_ARGS)
	$(say) 'crowds on asyncio'
	PYTHONPATH=tests/hardening $(py) tests/soak/soak_crowd.py $(CROWD_ARGS)

BENCH_ARGS ?=
bench: $(VENV)/stamp-bench ## Whole programs beside the peers' (minutes): BENCH_ARGS="--help"
	$(say) 'benchmarks/compare, the short set'
	$(py) benchmarks/compare/run.py --json build/benchmarks/short.json \
		--plots build/benchmarks/short $(BENCH_ARGS)

bench-servers: $(VENV)/stamp-bench ## The same of servers (minutes)
	$(say) 'benchmarks/compare, the short set of servers'
	$(py) benchmarks/compare/servers.py --json build/benchmarks/servers-short.json \
		--plots build/benchmarks/servers-short $(BENCH_ARGS)

bench-full: $(VENV)/stamp-bench ## Both, every scenario (hours)
	$(say) 'benchmarks/compare'
	$(py) benchmarks/compare/run.py --full --repeat 5 --json build/benchmarks/full.json \
		--plots build/benchmarks/full $(BENCH_ARGS)
	$(say) 'benchmarks/compare, servers'
	$(py) benchmarks/compare/servers.py --full --repeat 5 --json build/benchmarks/servers.json \
		--plots build/benchmarks/servers $(BENCH_ARGS)

RUN ?= build/benchmarks/full.json
bench-publish: $(VENV)/stamp-bench ## Put the figures of a run into docs/: RUN=build/benchmarks/short.json
	$(py) benchmarks/compare/publish.py $(RUN)

MICRO_ARGS ?=
bench-micro: $(VENV)/stamp-dev $(VENV)/stamp-installed ## Single operations beside the peers': MICRO_ARGS="-k mask --time 0.05"
	$(py) -m pip install --quiet --group bench-micro
	$(say) 'benchmarks/micro'
	$(py) benchmarks/micro/ratios.py $(MICRO_ARGS)

bench-instructions: $(VENV)/stamp-installed ## Instructions per message (Linux, valgrind); UPDATE=1 makes them the figures
	$(say) 'benchmarks/instructions'
	$(py) benchmarks/instructions/run.py $(if $(UPDATE),--update)

clean: ## Remove what was built and $(VENV)
	-$(MAKE) -C csrc clean
	rm -rf $(VENV) $(ft_venv) build dist wheelhouse src/*.egg-info src/wsfast/*/_*.c
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

$(VENV)/stamp-bench: $(VENV)/stamp-dev $(VENV)/stamp-installed
	$(say) 'installing what is measured beside wsfast'
	$(py) -m pip install --quiet --group bench-compare
	@touch $@

$(VENV)/stamp-installed: $(VENV)/stamp-venv $(native)
	$(say) 'building wsfast'
	$(py) -m pip install --no-build-isolation --editable '.[cli]'
	@touch $@

# Wheels only: some sources do not build for a free-threaded Python, where an older wheel may do.
$(ft_venv)/stamp: pyproject.toml $(native)
	$(say) 'creating $(ft_venv)'
	$(FREETHREADED) -m venv $(ft_venv)
	@$(ft_py) -c 'import sysconfig; assert sysconfig.get_config_var("Py_GIL_DISABLED")' || { \
		echo 'error: $(FREETHREADED) is not a free-threaded Python; name one: FREETHREADED=...' >&2; \
		exit 1; }
	$(ft_py) -m pip install --upgrade 'pip>=25.1'
	$(ft_py) -m pip install --only-binary :all: --group build --group freethreaded --group wheels
	@for each in 'trustme>=1.2' 'numpy>=1.26' 'zlib-ng>=1.0'; do \
		$(ft_py) -m pip install --only-binary :all: "$$each" || echo "$$each: not for this Python"; \
	done
	$(ft_py) -m pip install --no-build-isolation --editable .
	@touch $@
