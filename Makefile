# The front door: "make help" lists what there is. CMake does the building; scripts/ does the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

JOBS ?= $(shell nproc)
SECONDS ?= 600
FUZZ_SECONDS ?= 20
PEER ?= banyan
export ENGINE CPUS MEMORY GUEST APPEND FUZZ_SECONDS

.PHONY: all run test bench micro resources smp modes startup exits block switch-bench power-cut suite fuzz conformance stress systems install-test guests \
	format lint clean help

all: build/release/build.ninja  ## Build build/release/banyan (installs what is missing)
	@cmake --build build/release -j $(JOBS)

run: all  ## Boot a guest to its shell here; ENGINE=auto CPUS=1 MEMORY=512M GUEST=shell|debian APPEND="..."
	@scripts/install-packages.sh guest
	@scripts/run.sh build/release/banyan

test: all  ## Run every test
	@scripts/install-packages.sh test guest
	@scripts/guests/prepare.sh shell share vsock storage debian drivers mach uefi-shell u-boot
	@ctest --test-dir build/release --no-tests=error --output-on-failure --timeout 120 -j 2

bench: micro suite  ## Compare boot, instructions and a suite of programs with QEMU's TCG; RUNS=3

micro: all  ## Compare boot and instructions only; RUNS=3 CLOCK=wall|cpu
	@scripts/install-packages.sh bench guest
	@scripts/guests/prepare.sh shell
	@python3 bench/bench.py --banyan build/release/banyan --guests "$${BANYAN_GUESTS:-build/guests}"

smp: all  ## Measure scaling to two CPUs and what an idle guest costs; RUNS=3 CLOCK=wall|cpu
	@scripts/install-packages.sh guest
	@scripts/guests/prepare.sh shell suite
	@python3 bench/smp.py --banyan build/release/banyan --guests "$${BANYAN_GUESTS:-build/guests}"

modes: all  ## Measure real mode, 16-bit, 32-bit and 64-bit code; RUNS=3 CLOCK=wall|cpu
	@scripts/install-packages.sh bench test
	@python3 bench/modes.py --banyan build/release/banyan

startup: all  ## Compare the start of a guest under KVM with QEMU's microvm and q35; RUNS=3
	@scripts/install-packages.sh bench guest test
	@scripts/guests/prepare.sh shell
	@python3 bench/kvm/startup.py

block: all  ## Compare what requests to disks cost with QEMU's block layer; RUNS=3
	@scripts/install-packages.sh bench test
	@python3 bench/block/block.py

switch-bench: all  ## Measure what a network's switch carries, beside a socketpair and memcpy; RUNS=3
	@python3 bench/net/switch.py --banyan build/release/banyan

resources: all  ## Measure how exactly shares, limits and reservations are kept; CONTROL=throttle|cgroup
	@scripts/install-packages.sh guest
	@scripts/guests/prepare.sh shell
	@python3 bench/resources/resources.py --banyan build/release/banyan --guests "$${BANYAN_GUESTS:-build/guests}" \
	  --control "$${CONTROL:-throttle}"

power-cut: all  ## Cut the power of qcow2 images at every write of 10,000 random requests; OPERATIONS=10000 SEED=N
	@scripts/install-packages.sh test
	@scripts/power-cut.sh build/release

exits: all  ## Compare exits to user space with a bare KVM loop's; RUNS=3
	@scripts/install-packages.sh bench guest test
	@scripts/guests/prepare.sh shell
	@python3 bench/kvm/exits.py

suite: all  ## Compare the suite of programs with TCG and native; RUNS=3 ONLY=NAME,... ENGINE= CLOCK=wall|cpu
	@scripts/install-packages.sh bench guest
	@scripts/guests/prepare.sh suite
	@python3 bench/suite.py --banyan build/release/banyan --guests "$${BANYAN_GUESTS:-build/guests}"

fuzz:  ## Run each fuzz target for FUZZ_SECONDS=20
	@scripts/install-packages.sh build fuzz
	@cmake --preset fuzz
	@cmake --build build/fuzz -j $(JOBS)
	@scripts/fuzz.sh build/fuzz

conformance: all  ## Run stress-ng's and openssl's own checks in a guest (takes long)
	@scripts/install-packages.sh guest tools
	@scripts/guests/prepare.sh tools
	@scripts/conformance.sh build/release/banyan

stress: all  ## Run stress-ng --verify on two CPUs of a guest; SECONDS=600 CPUS=2 ENGINE=auto
	@scripts/install-packages.sh guest tools
	@scripts/guests/prepare.sh tools
	@SECONDS_IN_ALL=$(SECONDS) scripts/stress.sh build/release/banyan

systems: all  ## Boot every system of the table in README.md by firmware (takes long); PEER=qemu for the same under QEMU
	@scripts/install-packages.sh test guest
	@BANYAN_PEER=$(PEER) ctest --test-dir build/release -C systems -L systems --no-tests=error --output-on-failure -j 2

install-test: all  ## Install Debian without a question, by UEFI, and boot it (takes very long); PEER=qemu
	@scripts/install-packages.sh test guest
	@scripts/guests/prepare.sh install
	@BANYAN_PEER=$(PEER) python3 tests/boot/install_test.py

guests:  ## Prepare every guest
	@scripts/install-packages.sh guest tools
	@scripts/guests/prepare.sh shell storage debian tools suite drivers bootable rescue memtest ipxe mach invaders syslinux refind \
		uefi-shell u-boot xen installer install

format:  ## Format the C++ sources
	@scripts/install-packages.sh lint
	@git ls-files -z --cached --others --exclude-standard '*.cpp' '*.hpp' | xargs -0 -r clang-format -i

lint:  ## Check format, C++ and shell scripts
	@scripts/install-packages.sh build lint
	@scripts/lint.sh

clean:  ## Remove what was built; prepared guests stay (they are in build/guests)
	@find build -mindepth 1 -maxdepth 1 ! -name guests -exec rm -rf {} + 2>/dev/null || true

help:  ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# CMake runs again by itself when its files change: this is for the first time.
build/release/build.ninja: CMakePresets.json scripts/packages.txt
	@scripts/install-packages.sh build
	@cmake --preset release >&2
	@touch $@
