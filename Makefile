# fieldassay: `make run` runs the main job, `make test` proves it. `make help` lists the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# An environment holds its own path and that of its Python: moved, copied or without it, it is no use.
STALE  := $(shell test ! -s $(READY) || { test "$$(cat $(READY))" = "$$(pwd -P)" && $(BIN)/python -c ''; } 2>/dev/null || echo stale)

# The ports the firmware runs on, by their sys.platform: the simulator's, Pico 2 W, ESP32-S3.
PORTS    := linux rp2 esp32
# Files of other ports are no part of a run.
BOARDS_linux := sim
BOARDS_rp2   := wired wifi pico2w
BOARDS_esp32 := wired wifi esp32s3
FIRMWARE = $(filter-out device/boards/%,$(wildcard device/*.py device/*/*.py)) \
	device/boards/__init__.py $(BOARDS_$(1):%=device/boards/%.py)

.PHONY: stale help setup run test demo chaos lint types native-check library fuzz mutants bench firmware docs clean
.DEFAULT_GOAL := help

help:            ## This list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: $(READY)  ## Environment with everything, and the C kernel

$(READY): pyproject.toml setup.py constraints.txt $(wildcard native/fa_*.c native/fa_*.h) native/ffi_build.py $(STALE)
	@$(PYTHON) .ci/check_machine.py
	@test -z "$(STALE)" && $(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@rm -f host/fieldassay/_kernel*.so
	@echo "Installing into $(VENV) (about a minute the first time) …"
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[sim,dev]' \
		|| { echo "fieldassay cannot be set up: pip says why above. It needs a package index: look at network, proxy (HTTPS_PROXY) or mirror (PIP_INDEX_URL), and type make again." >&2; exit 1; }
	@pwd -P > $(READY)

library: $(READY)  ## Fetch (once) and convert the reference spectra
	@$(BIN)/fieldassay library build

run: library     ## Broker, host, one simulated unit and the page, until Ctrl-C
	@exec $(BIN)/fieldassay run

demo: library    ## Twelve and more scans through the whole chain: truth against verdict
	@exec $(BIN)/fieldassay-sim demo

test: library    ## All tests; those that need a missing program skip, saying so
	@$(BIN)/python -m pytest

chaos: library   ## Kill broker, host and unit at random for a while; count what survived (CHAOS_SEEDS="1 2 3")
	@FIELDASSAY_LONG=1 $(BIN)/python -m pytest tests/system/test_chaos.py -s

lint: $(READY)   ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY) $(PORTS:%=typings/%/.ready)  ## mypy: host, simulator and wire strictly; the firmware once per port by its stubs
	@$(BIN)/mypy
	@$(foreach port,$(PORTS),MYPYPATH=device:typings/$(port) $(BIN)/mypy --config-file device/mypy.ini \
		--custom-typeshed-dir typings/$(port) --cache-dir .mypy_cache/$(port) --platform $(port) $(call FIRMWARE,$(port)) &&) true

# MicroPython's stubs shadow CPython's, so they stay out of the environment; those of two ports clash, so each has a folder.
STUBS_linux := micropython-unix-stubs
STUBS_rp2   := micropython-rp2-rpi-pico2-w-stubs
STUBS_esp32 := micropython-esp32-esp32-generic-s3-stubs
typings/%/.ready: constraints.txt $(READY)
	@rm -rf $(@D)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(@D) \
		$(STUBS_$*)==1.29.0.post1 micropython-stdlib-stubs==1.29.0.post2
	@touch $@

native-check: $(READY)  ## The C kernel under warnings-as-errors, ASan and UBSan
	@$(BIN)/python -m pytest tests/native

fuzz: $(READY)   ## libFuzzer on every entry point of the kernel for a while (FUZZ_SECONDS=60 each; needs clang)
	@set -e; for source in native/fuzz/fuzz_*.c; do \
		name=$$(basename $$source .c); mkdir -p build/fuzz/$$name; \
		clang -std=c11 -O2 -g -ffp-contract=off -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Inative \
			$$source native/fa_*.c -lm -o build/fuzz/$$name.run; \
		echo "$$name, $${FUZZ_SECONDS:-60} seconds"; \
		( cd build/fuzz && ./$$name.run -max_total_time=$${FUZZ_SECONDS:-60} -max_len=1000 -timeout=60 -verbosity=0 -print_final_stats=1 $$name ); \
	done

mutants: $(READY)  ## Change each guard of the laser once and count what no test notices
	@$(BIN)/python tests/device/laser_mutants.py

bench: library   ## Speed against the peers as ratios within one run; writes build/bench.json and the page in docs/
	@$(BIN)/python -m benchmarks --publish

# OUT, KEY (private key file) and SEQUENCE (above every earlier release) may be given.
OUT      ?= build/firmware
SEQUENCE ?= 1
firmware: $(READY)  ## Firmware bundles for every board into build/firmware (SEQUENCE=, KEY= to sign them)
	@mkdir -p $(OUT)
	@set -e; version=$$(sed -n 's/^VERSION = "\(.*\)"/\1/p' device/firmware.py); for pair in pico2w:armv7emsp esp32s3:xtensawin sim:x64; do \
		$(BIN)/fieldassay release build --firmware device --version $$version --sequence $(SEQUENCE) \
			--hardware $${pair%%:*} --mpy $${pair##*:} $(if $(KEY),--key $(KEY)) --out $(OUT)/fieldassay-$$version-$${pair%%:*}.fafw; \
	done

docs: $(READY)   ## Write the generated reference pages
	@$(BIN)/python docs/build_cli_reference.py

clean:           ## Remove the environment and everything built
	rm -rf $(VENV) build *.egg-info host/fieldassay/_kernel*.so native/_build
