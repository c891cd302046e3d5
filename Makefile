# The tasks of development; `make help` lists them. Options go through ARGS: make run ARGS='--port 4000'.

.DEFAULT_GOAL := help
.PHONY: help run doctor client demo inspector pages watch test test-all faults soak fuzz check bench audit

# What scripts/setup prints is for the shell: where a Postgres is that the server would not find by itself.
setup = out=$$(scripts/setup $(1)) && eval "$$out"

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: pages ## Start the server with the dashboard, and a Postgres of its own unless DATABASE_URL says otherwise
	@$(call setup,rust postgres) && cargo run --locked --release -- serve $(ARGS)

doctor: pages ## Say what is wrong with the database, and how to mend it: the embedded one, unless DATABASE_URL says otherwise
	@$(call setup,rust postgres) && cargo run --locked --release --quiet -- doctor $(ARGS)

client: client/dist/index.js ## Build the client kit alone

demo: node demo/dist/index.html ## Build the client kit and the dashboard that the server shows at /

inspector: node inspector/dist/index.html ## Build the page that the admin listener shows at /

pages: demo inspector

.PHONY: node
node:
	@scripts/setup node

client/dist/index.js: $(shell find client -path client/node_modules -prune -o -path client/dist -prune -o -path client/test -prune -o -type f -print) package-lock.json | node
	@npm run --silent build --workspace client

demo/dist/index.html: client/dist/index.js $(shell find demo -path demo/node_modules -prune -o -path demo/dist -prune -o -type f -print) | node
	@npm run --silent build --workspace demo

inspector/dist/index.html: $(shell find inspector -path inspector/node_modules -prune -o -path inspector/dist -prune -o -type f -print) package-lock.json | node
	@npm run --silent build --workspace inspector

watch: node ## Print a conversation's events: make watch ROOM=42 SERVER=http://127.0.0.1:3001
	@node tests/interop/watch.mjs $(or $(ROOM),42) $(SERVER)

test: pages ## Run every test (ARGS is handed to the test runner)
	@$(call setup,rust postgres browser pooler guide) && scripts/test $(ARGS)

test-all: test ## Run every test, then those of the database on Postgres 14 to 18
	@$(call setup,rust) && scripts/test-majors

faults: pages ## Run the tests of faults with other servers on the database: make faults SERVERS=3 RELAY=1
	@$(call setup,rust postgres pooler relay) && FAULTS_SERVERS=$(or $(SERVERS),3) FAULTS_RELAY=$(RELAY) scripts/test faults::

soak: node ## Break things at random and count what is lost: make soak MINUTES=20 SEED=1 SERVERS=2 RELAY=0
	@$(call setup,rust postgres pooler relay) && SOAK_MINUTES=$(or $(MINUTES),20) SOAK_SEED=$(SEED) SOAK_SERVERS=$(SERVERS) SOAK_RELAY=$(RELAY) \
		cargo test --locked --quiet --test it -- --exact soak::whatever_breaks_nothing_is_lost --nocapture

fuzz: ## Throw what strangers might send at the code that reads it: make fuzz INPUTS=1500000 SEED=1
	@FUZZ_INPUTS=$(or $(INPUTS),1500000) FUZZ_SEED=$(SEED) cargo test --locked --quiet --release --lib -- fuzz:: --nocapture

check: node ## Format, lints, docs and types, warnings denied
	cargo fmt --check
	cargo clippy --locked --quiet --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --quiet --no-deps --document-private-items
	npm run --silent check --workspace client

bench: ## Measure ours and its peers on this machine and print the tables; make bench ARGS=field, or ARGS=--smoke for counts alone
	@$(call setup,rust postgres) && bench/run $(ARGS)

audit: ## Licences, advisories and bans of the dependencies (needs cargo-deny and the network)
	cargo deny --locked check
