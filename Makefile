# The rooms of this house and what one can do in them. Bare `make` lists the targets.
#
# Variables: FUZZTIME (10s), CYCLES (500), CASES (100000), SEED (random), BENCHFLAGS (--quick for a smoke),
# TESTFLAGS (more flags for go test), VERSION (what git says).

export CGO_ENABLED := 0

FUZZTIME   ?= 10s
CYCLES     ?= 500
CASES      ?= 100000
SEED       ?= 0
BENCHFLAGS ?=
TESTFLAGS  ?=
VERSION    ?=

LDFLAGS := -s -w $(if $(VERSION),-X main.release=$(VERSION))
TARGETS := amd64 arm64 arm
export GOARM := 7

.PHONY: help demo test race check vet modernise cross fuzz crash timecheck fleet broken bench docs build clean mosquitto strace

help: ## print this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

demo: ## fleet, broker, engine and results in one process; Ctrl-C ends it
	go build -o bin/edged ./cmd/edged
	bin/edged demo

test: mosquitto strace ## all tests, with real files and a real mosquitto; under 5 minutes on 2 cores
	go test -timeout 240s -parallel 4 $(TESTFLAGS) ./...

race: export CGO_ENABLED := 1
race: mosquitto ## all tests under the race detector; needs a C compiler
	go test -race -timeout 20m -parallel 4 $(TESTFLAGS) ./...

check: vet cross test ## what a change must pass: format, vet, all builds, tests

vet: ## formatting and go vet, with and without the broker
	@out="$$(gofmt -l .)"; test -z "$$out" || { echo "not formatted, run gofmt -w:"; echo "$$out"; exit 1; }
	go vet ./...
	go vet -tags nobroker ./...

modernise: ## show what go fix would write in a newer way; advice only
	go fix -diff ./...

cross: ## static builds for amd64, arm64 and arm v7, without the broker too; tests compile on arm
	for arch in $(TARGETS); do GOOS=linux GOARCH=$$arch go build -trimpath -o /dev/null ./cmd/edged || exit 1; done
	go build -trimpath -tags nobroker -o /dev/null ./cmd/edged
	GOOS=linux GOARCH=arm go vet ./...

fuzz: ## every fuzz function for FUZZTIME
	scripts/fuzz $(FUZZTIME)

crash: mosquitto ## kill -9 campaigns with CYCLES kills each and a printed SEED; hours
	go test ./internal/campaign -run 'Crash|Links|Lives' -v -timeout 3h -args -cycles $(CYCLES) -seed $(SEED)

timecheck: ## CASES random cases of windows and time against the oracle, from SEED on
	go test ./internal/timecheck -v -timeout 5h -args -cases $(CASES) $(if $(filter-out 0,$(SEED)),-seed $(SEED))

fleet: mosquitto strace ## 20 gateways as processes through rollouts; commands and trials through kills, floods and a hostile channel
	go test ./fleet/command -run 'HostileChannel|KilledAtEachStep' -v -timeout 30m -args -deliveries 20000 -script 60 $(if $(filter-out 0,$(SEED)),-seed $(SEED))
	go test ./cmd/edged -run 'TestRolloutCampaign|TestManagedKills|TestManagedFlood' -v -timeout 30m -args -fleet.gateways=20 -agent.kills=100 -agent.flood=20000
	go test ./cmd/edged -run TestBadRollouts -v -timeout 30m -args -fleet.gateways=20
	go test ./cmd/edged -run 'TestKilledInEachPhase|TestKilledAtEachWrite' -v -timeout 30m -args -phases.writes -phases.twice

broken: mosquitto ## plant defects into the daemon's source, one by one, and see the campaigns find them
	go test ./internal/campaign -run TestBrokenDaemonsFail -v -timeout 1h -args -broken

bench: ## edged beside a stock subscriber, over a real mosquitto on this machine
	go run ./internal/bench $(BENCHFLAGS)

docs: ## write the generated pages anew
	go test ./configs -run Reference -rewrite
	go test ./cmd/edged -run DetectPage -rewrite

build: ## static binaries for amd64, arm64 and arm v7 in ./bin
	for arch in $(TARGETS); do GOOS=linux GOARCH=$$arch go build -trimpath -ldflags '$(LDFLAGS)' -o bin/edged-linux-$$arch ./cmd/edged || exit 1; done

package: ## reproducible Debian packages for amd64, arm64 and armhf in ./bin
	scripts/package

packagetest: ## builds the packages twice, compares, looks into them, installs and purges one in a throw-away root
	scripts/package-test

emulate: ## runs the arm64 and arm v7 binaries and their demo under qemu-user
	scripts/qemu-smoke

.PHONY: package packagetest package-test emulate
package-test: packagetest

clean: ## remove what build left
	rm -rf bin edged-data

strace:
	@command -v strace >/dev/null || \
	  printf '%s\n' '!! strace is not installed. SKIPPED: gateways killed at each durable write.' \
	  '!! Install it with scripts/install-test-deps (Debian: apt-get install strace).'

mosquitto:
	@PATH="$$PATH:/usr/sbin" command -v mosquitto >/dev/null || \
	  printf '%s\n' '!! mosquitto is not installed. SKIPPED: everything that needs a real broker -' \
	  '!! the MQTT session tests, edged run end to end, and all fault campaigns.' \
	  '!! Install it with scripts/install-test-deps (Debian: apt-get install mosquitto).'
