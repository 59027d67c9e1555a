# Cairn's tasks. `make` alone builds; `make help` lists them.

GO ?= go
# Extra build tags of the test builds: invariants turns on the expensive checks.
TAGS ?= invariants
SEED ?=
SEEDS ?= 200
# Seeds of `make test`; about one second of CPU each.
CI_SEEDS ?= 200
# Further seeds of `make test-long`: some twenty minutes on two cores.
LONG_SEEDS ?= 1000
# The first of SEEDS.
FIRST ?= 1
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS = -X github.com/cairndb/cairn/internal/version.build=$(VERSION)

# Packages whose tests also run under the race detector in CI: those with
# goroutines of their own whose tests stay short under it. `make race` runs all.
RACE = ./hlc/... ./gossip/... ./internal/rpc/... ./internal/workers ./kv/concurrency/... ./kv/intents ./kv/mvcc \
	./kv/batcheval ./rangecache/... ./txn/... ./schema/... ./pgwire/...

# One processor for each test binary under the race detector: in a bubble of
# testing/synctest, goroutines that run timers at the same time share one context
# of the detector, which then crashes (golang/go#78156, Go 1.26). What is a race
# follows from the order of events, not from what ran at the same time; binaries
# of several packages still run side by side.
RACE_FLAGS = -race -cpu 1

# Tests of kv/store that move tens of megabytes: each byte is checked several
# times over in Pebble's race build, which takes minutes.
RACE_SKIP = TestFollowerCatchesUpBySnapshot|TestSnapshotCarriesDurableLocks|TestCrashesLoseNoAcknowledgedWrite

.PHONY: build
build: ## build bin/cairn
	$(GO) build -ldflags "$(LDFLAGS)" -o bin/cairn ./cmd/cairn

.PHONY: demo
demo: build ## start a three-node cluster in one process and print how to reach it
	bin/cairn demo

.PHONY: deps
deps: # what the tests need from Debian, if it is not there
	@need=; \
	for c in spin:spin psql:postgresql-client protoc:protobuf-compiler; do \
		command -v $${c%%:*} >/dev/null 2>&1 || need="$$need $${c##*:}"; \
	done; \
	ls /usr/lib/postgresql/*/bin/pgbench >/dev/null 2>&1 || need="$$need postgresql-contrib"; \
	[ -z "$$need" ] || { \
		case $$need in *contrib*) $(NO_POSTGRES_SERVICE);; esac; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -y -qq $$need >/dev/null; }

# Tests start PostgreSQL's server themselves: its package is not to, unless this
# machine has it configured already.
NO_POSTGRES_SERVICE = [ -e /etc/postgresql-common/createcluster.conf ] || { mkdir -p /etc/postgresql-common && \
	echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf; }

.PHONY: test
test: deps lint ## all tests that fit into CI
	$(GO) test -tags $(TAGS) -timeout 20m $$($(GO) list ./... | grep -v -e /acceptance -e /internal/simulation)
	$(GO) test $(RACE_FLAGS) -tags $(TAGS) -timeout 20m -skip '$(RACE_SKIP)' ./kv/store $(RACE)
	$(GO) test -tags $(TAGS) -timeout 30m ./internal/simulation -args -seeds $(CI_SEEDS)
	$(GO) test -p 1 -timeout 30m ./acceptance/...

.PHONY: race
race: ## everything under the race detector
	$(GO) test $(RACE_FLAGS) -tags $(TAGS) -timeout 60m ./...

.PHONY: lint
lint: ## gofmt, vet, import directions, fresh generated code
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) test ./internal/lint

.PHONY: generate
generate: ## write generated code anew
	$(GO) generate ./...

.PHONY: fuzz
fuzz: ## fuzz each decoder for a minute
	@for f in $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
		for t in $$(grep -ho '^func Fuzz[A-Za-z0-9]*' $$f/*_test.go | sed 's/func //'); do \
			$(GO) test -run '^$$' -fuzz "^$$t$$" -fuzztime 60s ./$$f || exit 1; done; done

.PHONY: bench
bench: ## benchmarks of the hot paths
	$(GO) test -run '^$$' -bench . -benchmem ./hlc ./internal/rpc ./kv/... ./txn ./sql/... ./internal/node

.PHONY: simulate
simulate: ## simulated clusters under faults, SEEDS from FIRST on; SEED=n replays one
	$(GO) test -tags $(TAGS) -timeout 60m -v ./internal/simulation -args $(if $(SEED),-seed $(SEED),-first $(FIRST) -seeds $(SEEDS))

# The matrix of `make acceptance`: how long each nemesis strikes.
MATRIX_FOR ?= 20s
# What the nodes of the nemesis upgrade run at first: a commit, or nothing for
# this source under another name and without the newest cluster version.
OLD ?=

.PHONY: acceptance
acceptance: build bin/cairn-old ## real processes under faults: all tests, then the matrix; a page in reports/
	$(GO) test -p 1 -timeout 60m ./acceptance/... -args $(ACCEPTANCE_ARGS); tests=$$?; \
	bin/cairn verify --matrix --for $(MATRIX_FOR) --old-binary bin/cairn-old --report reports $(if $(SEED),--seed $(SEED)) && exit $$tests

.PHONY: bin/cairn-old
bin/cairn-old: # the build that upgrades begin with
ifeq ($(OLD),)
	$(GO) build -ldflags "$(LDFLAGS)-before -X github.com/cairndb/cairn/internal/version.latest=1" -o bin/cairn-old ./cmd/cairn
else
	rm -rf bin/old-source && mkdir -p bin/old-source && git archive $(OLD) | tar -x -C bin/old-source
	cd bin/old-source && $(GO) build -ldflags "-X github.com/cairndb/cairn/internal/version.build=$$(git describe --tags --always $(OLD))" \
		-o ../cairn-old ./cmd/cairn
	rm -rf bin/old-source
endif

.PHONY: chaos
chaos: build ## hurt a cluster of real processes while clients use it; a page in reports/
	bin/cairn verify --report reports

.PHONY: verify
verify: ## the same with a test build, which CAIRN_BREAK puts mistakes back into; VERIFY_ARGS are passed on
	$(GO) build -tags trouble -ldflags "$(LDFLAGS)" -o bin/cairn-trouble ./cmd/cairn
	bin/cairn-trouble verify --report reports $(VERIFY_ARGS)

.PHONY: test-long
test-long: test race simulate-hours ddl-matrix tools ## CI's tests, the race detector on everything, seeds after CI's
	$(MAKE) simulate FIRST=$$(($(CI_SEEDS) + 1)) SEEDS=$(LONG_SEEDS)

# Rounds of `make ddl-matrix`; each takes about an hour of CPU.
ROUNDS ?= 1

.PHONY: ddl-matrix
ddl-matrix: ## every schema change, and every pair of them, under load with jobs that fail and nodes that die and pause
	CAIRN_TEST_SEEDS=$(ROUNDS) $(GO) test -tags $(TAGS) -timeout 240m ./sql -run 'TestChangesUnderLoadWithFailures|TestPairsOfChanges'
	$(GO) test -timeout 60m ./acceptance -run TestARewriteGoesOnThoughItsNodeIsPaused -args -long

.PHONY: tools
tools: ## mappers and migration tools of Go and, with npm, of node, unmodified, against a real process
	$(GO) test -timeout 30m ./acceptance -run 'TestToolsOfGoWorkUnmodified|TestToolsOfNodeWorkUnmodified' -args -long

WORKLOADS := register bank list-append mutex kv list-append-committed list-append-snapshot list-append-strict

.PHONY: simulate-hours
simulate-hours: ## an hour of a simulated cluster under faults for each of WORKLOADS
	for w in $(WORKLOADS); do $(GO) test -tags $(TAGS) -timeout 60m ./internal/simulation -run 'TestSimulation$$' \
		-args -workload $$w -seeds 12 -safety 5m || exit; done

.PHONY: lineage
lineage: ## compare faults that go for the lineage of outcomes with random ones; writes docs/lineage.svg (an hour of CPU)
	$(GO) test -timeout 120m -v ./internal/simulation -run 'TestAims$$' -args -plot $(CURDIR)/docs/lineage.svg -plot-seeds 30 -safety 20s

.PHONY: help
help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 14
