# `make test` installs what the tests need and runs all of them; `make lint` checks form.

.PHONY: help demo test lint test-deps

help:
	@echo 'make demo   bake four nodes from the built-in sample base, offline but for crates'
	@echo 'make test   install what the tests need (apt), run all tests'
	@echo 'make lint   formatting and clippy'

demo:
	cargo run --locked -- build --base sample --nodes 4 -o images

test-deps:
	@tests/install-packages

test: test-deps
	cargo test --locked

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
