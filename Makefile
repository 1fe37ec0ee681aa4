# `make demo` and `make test` each do everything on a fresh Debian 12, as root.
PRESET ?= release
JOBS ?= $(shell nproc)
PYTHON := /usr/bin/python3

.PHONY: all deps build test demo bench coverage lint format clean
all: build

deps:            ## install what is missing, with apt
	@tools/install_deps

build: deps      ## build/release/bin: outguard, outguardd, outguard-sensor
	@cmake --preset $(PRESET) > build-configure.log 2>&1 || { cat build-configure.log; exit 1; }
	@rm -f build-configure.log
	@cmake --build --preset $(PRESET) --parallel $(JOBS)

test: build      ## unit, fuzz, style and system tests; the last line counts
	@$(PYTHON) tests/run.py

demo:            ## boot a guest with ten honest processes and three bad ones, and end the bad ones
	@[ "$$(id -u)" = 0 ] || { echo "make demo: needs root: it boots a VM with a network of its own and guards it" >&2; exit 1; }
	@tools/install_deps
	@$(PYTHON) lab/demo.py --build

bench: build     ## figures against the budgets, with a peer beside where one can run
	@$(PYTHON) bench/run.py

coverage: deps   ## lines and branches of guard, journal and desk that the unit tests take
	@$(PYTHON) tests/coverage.py --missing

lint: deps       ## clang-format and clang-tidy; warnings are errors
	@tools/lint

format:
	@git ls-files '*.cpp' '*.h' | xargs clang-format -i

clean:
	rm -rf build
