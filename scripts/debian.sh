# shellcheck shell=sh
# How scripts fetch from a suite of Debian, on any machine that has apt. To be read with `.` by a script whose `dir` names the
# directory where apt keeps its files, `suite` the suite and `name` the script.

fail() { echo "$name: $*" >&2; exit 1; }
for tool in apt-get dpkg; do
	command -v "$tool" > /dev/null || fail "$tool is missing; what is fetched comes from Debian"
done
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keys" ] || fail "$keys is missing; install the package debian-archive-keyring"
# The mirror is the one that apt uses here, or deb.debian.org where apt knows no Debian mirror.
# shellcheck disable=SC2016
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2> /dev/null |
	grep '/debian/*$' | grep -v security | head -n 1)
[ -n "$mirror" ] || mirror=http://deb.debian.org/debian

apt() {
	apt-get -qq -oDir::Etc::sourcelist="$dir/apt/sources.list" -oDir::Etc::sourceparts=/dev/null \
		-oDir::State::lists="$dir/apt/lists" -oDir::State::status=/dev/null \
		-oDir::Cache="$dir/apt" -oAcquire::Languages=none -oAPT::Sandbox::User= \
		-oAcquire::Retries=3 "$@"
}

# read_lists TYPE: what the suite has, binary packages (deb) or sources (deb-src).
read_lists() {
	mkdir -p "$dir/apt/lists/partial" "$dir/apt/archives/partial"
	echo "$1 [signed-by=$keys] $mirror $suite main" > "$dir/apt/sources.list"
	apt update || fail "could not read the package list of $suite from $mirror"
}
