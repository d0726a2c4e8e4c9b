# Every goal is one line that calls a script; the scripts say what they do in their first lines.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help demo build package test cluster-test core lint format certify fuzz peers bench clean

help: ## lists the goals
	@awk -F ': ## ' '/^[a-z-]+: ## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## sets up, builds, serves the built-in model cut in two and asks it a question (ONCE=1 PORT=7534 ASK="…")
	@Scripts/demo.sh

build: ## builds .build/release/skein, setting up what is missing
	@Scripts/build.sh product

package: ## packs what was built for machines without Swift: .build/package/skein-….tar.gz
	@Scripts/setup.sh package
	@Scripts/build.sh product
	@Scripts/package.sh

test: ## sets up as far as needed and runs every test; what CI runs
	@Scripts/test.sh

cluster-test: ## four nodes in network namespaces: join, split, kill, part, restart (Linux, root)
	@Scripts/setup.sh tests
	@Scripts/build.sh product
	@Scripts/cluster-test.sh

core: ## tests of the pure targets, without dependencies: the loop to work in (FILTER=WireTests)
	@Scripts/test.sh core

lint: ## checks the format of the Swift sources
	@Scripts/test.sh lint

format: ## formats the Swift sources
	@swift format --in-place --recursive --parallel Package.swift Sources Tests Fuzz

certify: ## staged against unstaged over many architectures; writes docs/certified-families.md
	@Scripts/build.sh product
	@Scripts/certify.sh

fuzz: ## reading, cutting and planning hostile models under libFuzzer (FUZZ_SECONDS=30)
	@Scripts/fuzz.sh

peers: ## builds llama-server and llama-bench from the pinned source, for benches; prints their folder
	@Scripts/setup.sh
	@Scripts/llama.sh peers
	@echo "$$(Scripts/llama.sh path)/bin"

bench: ## builds and shows how skein bench is asked
	@Scripts/build.sh product
	@.build/release/skein bench --help

clean: ## deletes what was built here; the engine stays in the cache
	@rm -rf .build
	@echo "deleted .build; the engine is still in $$(dirname "$$(Scripts/llama.sh path)")"
