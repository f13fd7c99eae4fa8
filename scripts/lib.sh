# shellcheck shell=sh
# What the scripts share. To be read with `. scripts/lib.sh` from the root of the tree.

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:$HOME/.cargo/bin
export PATH

step() { printf '\n==> %s\n' "$*"; }
fail() { echo "error: $*" >&2; exit 1; }

# Runs a command as root.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo > /dev/null; then
		sudo "$@"
	else
		fail "this needs root or sudo: $*"
	fi
}

# need PROGRAM:PACKAGE... installs the packages whose program (or file, with its path) is missing.
# None of the packages that the scripts name touches a time daemon.
need() {
	packages=
	for pair in "$@"; do
		program=${pair%%:*}
		case $program in
			/*) [ -e "$program" ] || packages="$packages ${pair#*:}" ;;
			*) command -v "$program" > /dev/null || packages="$packages ${pair#*:}" ;;
		esac
	done
	[ -n "$packages" ] || return 0
	command -v apt-get > /dev/null || fail "missing:$packages (no apt-get here, install the like of these packages)"
	step "installing$packages"
	as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get -qq update
	# shellcheck disable=SC2086
	as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l \
		apt-get -qq -y --no-install-recommends install $packages > /dev/null
}

# Checks for a Rust that is new enough, and for the C linker that it calls.
need_rust() {
	need cc:gcc /usr/include/stdlib.h:libc6-dev
	wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
	how="get it with:  curl --proto '=https' -sSf https://sh.rustup.rs | sh   (see https://rustup.rs)"
	command -v cargo > /dev/null || fail "Rust is missing; $how"
	have=$(rustc --version | sed 's/^rustc \([0-9.]*\).*/\1/')
	oldest=$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)
	[ "$oldest" = "$wanted" ] || fail "Rust $have is too old, $wanted or newer is needed; $how   (or: rustup update stable)"
}

# Directory of built files.
# shellcheck disable=SC2034
target=${CARGO_TARGET_DIR:-target}
