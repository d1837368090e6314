# `make test` installs what the tests need and runs all of them; `make lint` checks form.

.PHONY: help test lint test-deps

help:
	@echo 'make test   install what the tests need (apt), run all tests'
	@echo 'make lint   formatting and clippy'

test-deps:
	@tests/install-packages

test: test-deps
	cargo test --locked

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
