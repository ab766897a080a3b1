# `make` alone lists the targets, from the text after `##`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo run start debug logs stop test chaos fuzz bench lint fmt doc openapi picture install-tools check-tools clean

CARGO ?= cargo
# Of chaos, and of all targets of fuzz together.
MINUTES ?= 10

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## start a hub and a probe, measure this machine, show results (ARGS="--help" for more)
	@echo "building; the first time this takes some minutes"
	@$(CARGO) build --workspace --bins --locked
	@exec $(CARGO) run --quiet --locked --bin demo -- $(ARGS)

run: ## start the hub alone: port 5000, data in ./data, settings from .env_server if there
	@$(CARGO) build --workspace --bins --locked
	@if [ -f .env_server ]; then set -a; . ./.env_server; set +a; fi; exec $(CARGO) run --quiet --locked --bin pladmed -- serve

start: ## build and start a platform in Docker, wait until it is healthy, say where it is (HUBS=2 HTTPS_PORT=443)
	@docker/start

debug: ## the same, then follow the logs
	@docker/start
	@exec docker/compose logs --follow --tail 100

logs: ## follow the logs of the platform in Docker (ARGS="hub" for one service)
	@exec docker/compose logs --follow --tail 200 $(ARGS)

stop: ## stop the platform in Docker; data stays
	@docker/compose stop

test: install-tools ## install what the tests need, then run all of them
	@echo "==> building the programs that the tests start"
	$(CARGO) build --workspace --bins --locked
	@echo "==> running the tests"
	$(CARGO) test --workspace --locked
	@echo "==> running the unit tests that need mongod or redis-server"
	@missing=(); skip=(); \
	command -v mongod >/dev/null || [ -x .tools/mongod/mongod ] || { missing+=(mongod); skip+=(--skip mongo); }; \
	command -v redis-server >/dev/null || { missing+=(redis-server); skip+=(--skip redis); }; \
	if [ "$${#missing[@]}" -gt 0 ] && [ "$${CI:-}" = true ]; then \
		echo "error: missing: $${missing[*]}; in CI the tests that need them must run" >&2; exit 1; \
	fi; \
	for one in "$${missing[@]}"; do \
		echo "skipped: those that need $$one, which is missing (see the warning of install-tools)"; \
	done; \
	$(CARGO) test --workspace --locked --lib -- --ignored "$${skip[@]}"

chaos: ## break three hubs, Redis and MongoDB under load for a while (MINUTES=10; PLADMED_SEED=… repeats a run)
	@echo "building the programs that the test starts"
	@$(CARGO) build --workspace --bins --locked
	PLADMED_CHAOS_MINUTES=$(MINUTES) $(CARGO) test --workspace --locked --test chaos -- platform --nocapture

fuzz: ## give changed inputs to all parsers for a while (MINUTES=10; TARGET=warts for one; PLADMED_SEED=… repeats a run)
	@echo "building the unit tests, which the targets are part of"
	PLADMED_FUZZ_MINUTES=$(MINUTES) PLADMED_FUZZ_TARGET=$(TARGET) PLADMED_FUZZ_INPUT=$(abspath $(INPUT)) \
		$(CARGO) test --workspace --locked --lib --no-fail-fast -- fuzz:: --nocapture --test-threads 1

bench: install-tools ## measure a hub beside what can be reached without one, in some fifteen minutes (ARGS="--help" for more)
	@echo "building a release; the first time this takes some minutes"
	@$(CARGO) build --release --locked -p pladmed -p pladmed-probe -p tests --bin pladmed --bin pladmed-probe --bin bench
	@exec "$${CARGO_TARGET_DIR:-target}/release/bench" $(ARGS)

lint: ## check format, clippy and dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	.ci/deny

fmt: ## format the code
	$(CARGO) fmt --all

doc: ## build the code's documentation, private items too; warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked

openapi: ## print the description of the HTTP API
	@$(CARGO) run --quiet --locked --bin pladmed -- openapi

picture: ## draw docs/architecture.svg from docs/architecture.dot (needs graphviz)
	dot -Tsvg docs/architecture.dot -o docs/architecture.svg

install-tools: ## install what tests and benchmarks need: scamper, dig, ip, mongod, redis-server, openssl, promtool, wrk, Chromium, Schemathesis, python-socketio
	@.ci/install-tools

check-tools: ## show which tools and rights this machine has for measuring
	@$(CARGO) run --quiet --locked --bin pladmed-probe -- check

clean: ## delete what was built and the test tools; data stays
	$(CARGO) clean
	rm -rf .tools
