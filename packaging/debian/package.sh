# What the scripts of the package share.

# own USER GROUP MODE PATH: unless the administrator has an opinion.
own() {
	[ -e "$4" ] || return 0
	if ! dpkg-statoverride --list "$4" > /dev/null; then
		chown "$1:$2" "$4"
		chmod "$3" "$4"
	fi
}

# When Debian's chrony was replaced and not purged, its removal script is still there. Purging it would delete
# /etc/chrony, /var/lib/chrony and the user _chrony, which are in use by this package now. So the script is put aside for
# as long as this package is installed. dpkg itself knows that the files in /etc have changed hands.
kept=/var/lib/truechimer/chrony.postrm

adopt() {
	[ "$(dpkg-query --show --showformat '${db:Status-Status}' chrony 2> /dev/null)" = config-files ] || return 0
	script=$(dpkg-query --control-path chrony postrm 2> /dev/null) || return 0
	[ -n "$script" ] || return 0
	mkdir -p "${kept%/*}"
	# Where it belongs is in the second file: only dpkg knows.
	echo "$script" > "$kept.path"
	mv "$script" "$kept"
}

# Puts it back.
release() {
	[ -e "$kept" ] || return 0
	script=$(cat "$kept.path")
	status=$(dpkg-query --show --showformat '${db:Status-Status}' chrony 2> /dev/null) || status=
	if [ "$status" = config-files ] && [ ! -e "$script" ]; then
		mv "$kept" "$script"
	fi
	rm -f "$kept" "$kept.path"
	rmdir "${kept%/*}" 2> /dev/null || true
}
