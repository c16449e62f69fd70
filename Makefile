# Needs Go, make and git. The binaries are static; only the race detector needs
# a C compiler. What needs more says so.

export CGO_ENABLED = 0

GO       ?= go
FUZZTIME ?= 10s
SHARED   ?= $(or $(PVEHA_SHARED),../shared)

COMMANDS     := $(wildcard */cmd/*)
TESTER       := bin/pve-ha-tester
TAGS         := vm browser e2e deb
LINT_VERSION := v2.15.0
LINT         := bin/tools/golangci-lint-$(LINT_VERSION)
NFPM_VERSION := v2.45.2
NFPM         := bin/tools/nfpm-$(NFPM_VERSION)

.PHONY: build
build: ## build every command into bin/ (the default)
	$(GO) build -trimpath -o bin/ $(addprefix ./,$(COMMANDS))

.PHONY: demo
demo: build ## play a cluster through a failover; SEED=n and SCENARIO=path choose which
	$(TESTER) demo $(if $(SEED),--seed $(SEED)) $(DEMOFLAGS) $(SCENARIO)

.PHONY: test
test: ## vet and run every test; TESTFLAGS=-v shows each
	$(GO) vet -tags '$(TAGS)' ./...
	$(GO) test $(TESTFLAGS) ./...

.PHONY: race
race: export CGO_ENABLED = 1
race: ## run every test under the race detector (needs gcc)
	$(GO) test -race $(TESTFLAGS) ./...

.PHONY: vm
vm: ## try watchdog-mux on a real kernel in virtual machines (needs Debian and qemu-system-x86)
	watchdogmux/vmtest/kernel.sh bin/vm
	PVEHA_VM_KERNEL=$(CURDIR)/bin/vm $(GO) test -count=1 -timeout 20m -tags vm -ldflags '-s -w' $(TESTFLAGS) ./watchdogmux/vmtest

.PHONY: browser
browser: ## try the simulator as a person would (needs chromium)
	$(GO) test -count=1 -timeout 10m -tags browser $(TESTFLAGS) ./compat/playground/... ./compat/cmd/pve-ha-simulator

.PHONY: e2e
e2e: build ## try the daemons on clusters of containers with systemd (needs root, Debian, mmdebstrap and iproute2)
	compat/e2e/bed/root.sh bin/e2e
	PVEHA_E2E_ROOT=$(CURDIR)/bin/e2e PVEHA_E2E_BIN=$(CURDIR)/bin \
		$(GO) test -count=1 -timeout 25m -parallel 16 -tags e2e $(TESTFLAGS) ./compat/e2e

.PHONY: deb
deb: $(NFPM) ## build the Debian packages into dist/
	GO=$(GO) NFPM=$(NFPM) packaging/build.sh amd64 arm64

.PHONY: package-test
package-test: $(NFPM) ## install the package on nodes of containers with systemd (needs what e2e needs)
	compat/e2e/bed/root.sh bin/e2e
	PVEHA_E2E_ROOT=$(CURDIR)/bin/e2e NFPM=$(CURDIR)/$(NFPM) \
		$(GO) test -count=1 -timeout 15m -parallel 8 -tags deb $(TESTFLAGS) ./packaging

$(NFPM):
	GOBIN=$(CURDIR)/bin/tools $(GO) install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)
	mv bin/tools/nfpm $@

.PHONY: lint
lint: $(LINT) ## run the linters and check the formatting
	$(LINT) run

.PHONY: fmt
fmt: $(LINT) ## format the code
	$(LINT) fmt

$(LINT):
	GOBIN=$(CURDIR)/bin/tools $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv bin/tools/golangci-lint $@

.PHONY: bench
bench: ## run the benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## run each fuzz target of the module for FUZZTIME (10s)
	GO=$(GO) fuzz/run.sh $(FUZZTIME)

.PHONY: scenarios
scenarios: build ## compare every recorded scenario with what we do
	$(TESTER) check scenarios compat/testdata $(wildcard $(SHARED)/golden/upstream/scenarios $(SHARED)/golden/replay)

.PHONY: formats
formats: build ## compare every recorded configuration file with what we read and write
	$(TESTER) check formats $(wildcard compat/testdata/formats/*.jsonl $(SHARED)/golden/formats/*.jsonl)

.PHONY: cli
cli: build ## replay every recorded call of the ha-manager command
	$(TESTER) check cli $(wildcard compat/testdata/cli/*.jsonl $(SHARED)/golden/cli/*.jsonl)

.PHONY: clean
clean: ## remove what was built, the tools in bin/tools too
	rm -rf bin dist

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
