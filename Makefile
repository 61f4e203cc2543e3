# Ackbox. `make` alone lists what can be made.
#
# The two commands below are built, not `go run`, so that signals reach them
# and their exit status is kept.
SERVICES = .bin/services
TESTALL = .bin/testall
NEWER = .bin/newer

# Linters of a version of our own: a module outside go.work (see tools/go.mod).
LINT = $(CURDIR)/.bin/golangci-lint
VULN = $(CURDIR)/.bin/govulncheck

# VULNDB is where `make vuln` reads what is known: a URL, or file:// and a folder.
VULNDB ?= https://vuln.go.dev

# ARGS goes to `go test`, PKGS limits the packages:
#	make test ARGS='-run TestEnqueue -v' PKGS=./outbox/...
ARGS ?=
PKGS ?=

# SEED replays a torture run's schedule (0 draws one), MINUTES is how long faults
# come, FAULTS limits them to those whose names contain it, CLUSTER=1 has three
# nodes of RabbitMQ:
#	make torture SEED=7 MINUTES=10 FAULTS=broker CLUSTER=1
SEED ?= 0
MINUTES ?= 3
FAULTS ?=
CLUSTER ?=

# PACE is how many times faster `make deploys` restarts workers, and how many times
# shorter its long jobs are:
#	make deploys SEED=7 MINUTES=3 PACE=10
PACE ?= 1

# PICTURES=1 has `make browser` write what it sees into docs/images:
#	make browser PICTURES=1 ARGS='-run Screens'
PICTURES ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: commands ## Run all tests of all modules, with their own PostgreSQL and RabbitMQ
	@$(SERVICES) run -- $(TESTALL) $(ARGS) -- $(PKGS)

.PHONY: test-newer
test-newer: commands ## Run what needs servers inside Debian's next release: root, Linux
	@$(NEWER) -- $(SERVICES) run -- $(TESTALL) $(ARGS) -- $(or $(PKGS),./internal/integration/... ./internal/testenv/...)

.PHONY: torture
torture: commands ## Break everything at random for MINUTES, then balance the books
	@$(SERVICES) install
	@cd internal/integration && go build -o $(CURDIR)/.bin/ ./cmd/torture
	@.bin/torture -seed '$(SEED)' -minutes '$(MINUTES)' -only '$(FAULTS)' $(if $(CLUSTER),-cluster)

.PHONY: deploys
deploys: commands ## Restart workers for MINUTES, then compare what was charged with what failed
	@$(SERVICES) install
	@cd internal/integration && go build -o $(CURDIR)/.bin/ ./cmd/deploys
	@.bin/deploys -seed '$(SEED)' -minutes '$(MINUTES)' -pace '$(PACE)'

.PHONY: browser
browser: commands ## Use the dashboard as operators do, in Chromium; PICTURES=1 takes those of docs
	@ACKBOX_TEST_PICTURES='$(if $(PICTURES),$(CURDIR)/docs/images)' $(SERVICES) run -- $(TESTALL) $(ARGS) -- ./internal/browser/...

.PHONY: soak
soak: ## Ten minutes of network faults alone: the live heap must stay flat
	@$(MAKE) --no-print-directory torture MINUTES=10 FAULTS=network

.PHONY: mutants
mutants: commands ## Break each invariant on purpose: a test must notice
	@cd internal/integration && go build -o $(CURDIR)/.bin/ ./cmd/mutants
	@$(SERVICES) run -- .bin/mutants

.PHONY: bench
bench: ## Measure beside the limit, River and Watermill, on the servers of services-up
	@cd bench && GOWORK=off go run . $(ARGS)

.PHONY: services-up
services-up: commands ## Start PostgreSQL and RabbitMQ, print the variables to export
	@$(SERVICES) up

.PHONY: services-down
services-down: commands ## Stop what services-up started
	@$(SERVICES) down

.PHONY: lint
lint: $(LINT) commands ## Run the linters over every module
	@.bin/eachmodule $(LINT) run --allow-parallel-runners ./...

# Not a part of test or lint: its answer changes without a change of ours, and
# it needs the network.
.PHONY: vuln
vuln: $(VULN) commands ## Look for known vulnerabilities in what we use (needs vuln.go.dev)
	@.bin/eachmodule $(VULN) -db '$(VULNDB)' ./... || { \
		echo 'make vuln: failed: either vulnerabilities are listed above (exit status 3),' >&2; \
		echo 'or the database at $(VULNDB) cannot be read (exit status 1): nothing was checked then.' >&2; exit 1; }

.PHONY: fmt
fmt: $(LINT) commands ## Format every module's Go files
	@.bin/eachmodule $(LINT) fmt ./...

.PHONY: quickstart
quickstart: ## Run the smallest example: no server, no configuration
	@go run ./examples/quickstart

.PHONY: commands
commands:
	@mkdir -p .bin
	@go build -o .bin/ ./internal/testenv/cmd/...

$(LINT): tools/go.mod tools/go.sum
	@mkdir -p .bin
	@echo 'building golangci-lint (a minute or two, once)'
	@cd tools && GOWORK=off go build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(VULN): tools/go.mod tools/go.sum
	@mkdir -p .bin
	@cd tools && GOWORK=off go build -o $@ golang.org/x/vuln/cmd/govulncheck
