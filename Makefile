# `make test` installs what the tests need and runs all of them; `make lint` checks form.

.PHONY: help demo test test-boot test-boot-pair test-kubeadm test-cluster test-cluster-closed lint bench dist docs test-deps standin standins

help:
	@echo 'make demo      bake four nodes from the built-in sample base, offline but for crates'
	@echo 'make test      install what the tests need (apt), run all tests'
	@echo 'make test-boot  the tests that boot images in QEMU, alone'
	@echo '                (STANDIN=11 or 13: the oldest or the newest system instead of Debian 12; so for test-cluster, too)'
	@echo 'make test-boot-pair  two Raspberry Pis at once, a Pi 3, and one with the boot partition of Ubuntu 26.04, which takes longest and is in none of the others'
	@echo 'make test-kubeadm  make a real kubeadm (Debian 12) and have it read what is baked; no part of make test'
	@echo 'make test-cluster  compile Kubernetes for arm64 and form a real cluster of two emulated machines; most of an hour'
	@echo 'make test-cluster-closed  the same in a network with no way out, and through years of its life; more than an hour'
	@echo 'make standin   make the image that the tests boot, where it is not kept yet (needs root); STANDIN=11 or 13: another'
	@echo 'make standins  make all three of them'
	@echo 'make lint      formatting, clippy, rustdoc, shellcheck, words, the changelog, the dependencies'
	@echo 'make dist      a static program for this machine, packed as an archive and as a .deb, in target/dist'
	@echo 'make docs      the documentation as a book, in target/book, and every link of it followed'
	@echo 'make bench     pibake beside xz, cp and loop mounts (BENCH=later for a part; docs/performance.md)'

demo:
	cargo run --locked -- build --base sample --nodes 4 -o images

test-deps:
	@tests/install-packages
	@tests/install-qemu
	@tests/install-spdx

# the release of Debian that stands in for Ubuntu: 11, 12 or 13 (tests/standin)
STANDIN = 12
standin: test-deps
	@tests/standin/build.sh $(STANDIN) >/dev/null

standins: test-deps
	@for age in 12 13 11; do tests/standin/build.sh $$age >/dev/null || exit 1; done

# What boots no image comes first: the stand-in may still be in the making meanwhile (.ci/run).
test: test-deps
	cargo test --locked --no-run
	cargo test --locked --lib --bins --test it
	cargo test --locked --doc
	@$(MAKE) --no-print-directory standin
	cargo test --locked --test main_job --test root --test boot

# of 12 all of them, and of the others what boots those
BOOTS_11 = oldest_system
BOOTS_13 = newest_system
test-boot: test-deps standin
	cargo test --locked --test boot -- $(BOOTS_$(STANDIN))

test-boot-pair: test-deps
	@for age in 12 13; do tests/standin/build.sh $$age >/dev/null || exit 1; done
	cargo test --locked --test boot -- --ignored pis::

test-kubeadm:
	@tests/install-packages tests/kubeadm/packages.txt
	@tests/kubeadm/build.sh >/dev/null
	cargo test --locked --test kubeadm

# CLUSTER=name for one of the tests, which forms the cluster first
test-cluster: CLUSTER = open::
test-cluster-closed: CLUSTER = closed::
test-cluster test-cluster-closed: test-deps standin
	@tests/install-packages tests/real_cluster/packages.txt
	@tests/real_cluster/build.sh >/dev/null
	STANDIN=$(STANDIN) cargo test --locked --test real_cluster -- $(CLUSTER)

lint:
	@tests/install-packages
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --test kubeadm --test real_cluster -- -D warnings # no part of --all-targets, since of no plain `cargo test`
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --lib --quiet
	tests/lint/shell
	tests/lint/words
	tests/lint/changelog
	tests/lint/dependencies

# the parts to run, `--rounds=N`, `--json`
BENCH =
bench:
	cargo bench --locked --bench whole -- $(BENCH)

# x86_64-unknown-linux-musl, aarch64-unknown-linux-musl: for another machine than this one
TARGETS =
dist:
	packaging/dist $(TARGETS)

docs:
	docs/book/make
