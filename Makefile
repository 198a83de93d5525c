# What people type; .ci/run calls the same targets.

SHELL := bash
.SHELLFLAGS := -o pipefail -c
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FLAGS := -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
TOOLS := bin/tools

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/rung, one static binary
	CGO_ENABLED=0 $(GO) build $(FLAGS) -o bin/rung ./cmd/rung

.PHONY: demo
demo: build ## watch a release climb and come back down
	bin/rung demo $(DEMO)

.PHONY: test
test: needs ## everything that needs only Go, git and ssh-keygen
	$(GO) test $(TESTFLAGS) $(or $(PACKAGES),./...)

.PHONY: needs
needs:
	@command -v git >/dev/null || { echo "git is missing: install it, the far end of the tests is stock git" >&2; exit 1; }
	@command -v ssh-keygen >/dev/null || { echo "ssh-keygen is missing: install the OpenSSH client" >&2; exit 1; }

.PHONY: race
race: needs ## the same under the race detector
	$(GO) test -race ./internal/...

.PHONY: bench
bench: build ## print the figures: calls, pushes, bytes, memory, size
	$(GO) run ./e2e/bench -binary bin/rung

.PHONY: simulate
simulate: ## run seeds: make simulate SEEDS=1000 START=1
	RUNG_SEEDS=$(or $(SEEDS),1000) RUNG_SEED=$(or $(START),1) $(GO) test -count=1 -timeout 60m -run TestSimulation -v ./e2e/simulation | grep -vE '^ *(=== |--- PASS: .*/)'

.PHONY: conformance
conformance: needs ## hold the emulator, and what rung sends, to GitHub's own descriptions
	@command -v npm >/dev/null || { echo "npm is missing: install it, GitHub's descriptions are npm packages" >&2; exit 1; }
	npm install --prefix e2e/conformance --no-package-lock --ignore-scripts --no-audit --no-fund --silent
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; $(GO) test -count=1 -v -tags conformance -timeout 20m ./e2e >"$$log" 2>&1; status=$$?; \
	  grep -E '^(conformance|an exception|ok|FAIL|--- FAIL| +--- FAIL|panic| +[0-9]+× )|_test\.go:|FAIL:' "$$log"; \
	  [ $$status -eq 0 ] || grep -A70 'FAIL: testdata' "$$log" | cut -c1-500; exit $$status

.PHONY: browser
browser: needs ## drive the pages in a real Chromium; SCREENS=DIR keeps pictures of them
	@command -v npm >/dev/null || { echo "npm is missing: install it, what drives Chromium is an npm package" >&2; exit 1; }
	@[ -x "$${CHROMIUM:=/usr/bin/chromium}" ] || { echo "$$CHROMIUM is missing: install chromium, or name one in CHROMIUM" >&2; exit 1; }
	npm install --prefix e2e/browser --no-package-lock --ignore-scripts --no-audit --no-fund --silent
	RUNG_SCREENS=$(abspath $(SCREENS)) $(GO) test -count=1 -tags browser -timeout 20m ./e2e/browser

.PHONY: newcomer
newcomer: needs ## play the README's way to the first promotion, and count its commands and decisions
	$(GO) test -count=1 -run 'TestNewcomer$$' -v ./e2e/docs | grep -vE '^ *(=== |--- PASS: .*/)'

.PHONY: alerts
alerts: ## have Prometheus' own tool check the alerts and play their cases
	@command -v promtool >/dev/null || { echo "promtool is missing: install prometheus" >&2; exit 1; }
	RUNG_PROMTOOL=1 $(GO) test -count=1 -run TestAlerts ./internal/metrics

.PHONY: kills
kills: needs ## kill rung before and after every write, with and without its data
	RUNG_KILL_ALL=1 $(GO) test -count=1 -timeout 45m -run 'EveryWrite' -v ./e2e/kill | grep -vE '^ *(=== |--- PASS: .*/)'

.PHONY: upgrade
upgrade: needs ## let the version before and this one work in turn; CORPUS=FILE keeps what the one before wrote
	RUNG_UPGRADE=1 RUNG_CORPUS=$(abspath $(CORPUS)) $(GO) test -count=1 -timeout 10m -v ./e2e/upgrade | grep -vE '^ *(=== |--- PASS: .*/)'

.PHONY: mutate
mutate: needs ## 10,000 flipped bits and 10,000 edited fields in a repository: rung verify finds each
	RUNG_MUTATIONS=$(or $(MUTATIONS),10000) $(GO) test -count=1 -v -timeout 80m -run 'TestFlips|TestFlippedPack|TestFieldEdits' ./internal/audit | grep -vE '^ *(=== |--- PASS: .*/)'

.PHONY: fuzz-short
fuzz-short: ## fuzz each door for some seconds
	@set -e; for package in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(or $(FUZZTIME),5s) $$package; \
	  done; done

.PHONY: lint
lint: $(TOOLS)/golangci-lint $(TOOLS)/gofumpt ## gofumpt and golangci-lint
	@unformatted=$$($(TOOLS)/gofumpt -l cmd internal e2e *.go); [ -z "$$unformatted" ] || { echo "not formatted with gofumpt:"; echo "$$unformatted"; exit 1; }
	$(GO) vet -tags conformance,browser ./...
	$(TOOLS)/golangci-lint run ./...

$(TOOLS)/%: .ci/tools/go.mod .ci/tools/go.sum
	@mkdir -p $(TOOLS)
	$(GO) -C .ci/tools build -o $(CURDIR)/$@ $(if $(filter gofumpt,$*),mvdan.cc/gofumpt,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)

.PHONY: generate
generate: ## write the generated documents anew
	$(GO) test ./internal/decide ./internal/gate/policy ./internal/pipeline ./internal/settings ./internal/metrics ./internal/api ./internal/audit ./internal/audit/report ./internal/doctor ./cmd/rung -update

.PHONY: image
image: ## build the container image
	docker build --build-arg VERSION=$(VERSION) -t rung:$(VERSION) .

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
