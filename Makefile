# Everything is in scripts/; each target fetches what it needs on Debian 12, Ubuntu and the like.

.PHONY: help build demo test lint soak image deb rpm clean

help:
	@echo "make demo    a server and a client on loopback, nothing of this machine is changed"
	@echo "make test    everything that must pass: lint, tests, chrony beside ours, container (minutes)"
	@echo "make lint    format, clippy, documentation, licences"
	@echo "make soak    the long forms of some tests (an hour)"
	@echo "make image   the container image"
	@echo "make deb     target/packages/truechimer_*.deb and its source package"
	@echo "make rpm     target/packages/truechimer-*.rpm"
	@echo "make build   target/release/chronyd and chronyc"

build:
	cargo build --locked --release --bins -p truechimer -p truechimer-chronyc

demo:
	scripts/demo

test:
	scripts/test

lint:
	scripts/lint

soak:
	scripts/soak

image:
	scripts/image

deb:
	scripts/package-deb $(or $(CARGO_TARGET_DIR),target)/packages

rpm:
	scripts/package-rpm $(or $(CARGO_TARGET_DIR),target)/packages

clean:
	cargo clean
