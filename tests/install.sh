#!/bin/sh
# SPDX-License-Identifier: MIT
# install.sh -- put files where a table says, or take them away again.
#
#   install.sh install|uninstall|installed-files <TABLE
#
# The table is INSTALLED in install.mk, which explains it. $DESTDIR stands
# before every path, $PLACES is what `text` is edited with. `installed-files`
# lists the paths. A pattern may match nothing (no scdoc: no manual). What
# others have put into our directories is left alone.
set -eu

umask 022

put() { # HOW FILE PATH
	mkdir -p "$DESTDIR${3%/*}"
	case $1 in
	text)
		sed "$PLACES" "$2" >"$DESTDIR$3.new"
		chmod 644 "$DESTDIR$3.new"
		mv -f "$DESTDIR$3.new" "$DESTDIR$3" ;;
	conf)
		[ -e "$DESTDIR$3" ] || install -m 644 "$2" "$DESTDIR$3" ;;
	link)
		ln -sfn "$2" "$DESTDIR$3" ;;
	*)
		# A new file: what runs keeps the old one.
		install -m "$1" "$2" "$DESTDIR$3.new"
		mv -f "$DESTDIR$3.new" "$DESTDIR$3" ;;
	esac
}

take_away() { # HOW FILE PATH
	if [ "$1" = conf ] && [ -e "$DESTDIR$3" ] &&
		! cmp -s "$2" "$DESTDIR$3"; then
		echo "left, because it was changed: $DESTDIR$3"
		return
	fi
	rm -f "$DESTDIR$3"
	# Directories of ours that are empty now, and no others.
	dir=${3%/*}
	while [ "$dir" != "${dir#*/refork}" ] &&
		rmdir "$DESTDIR$dir" 2>/dev/null; do
		dir=${dir%/*}
	done
}

while read -r how files to; do
	for file in $files; do
		[ "$file" = "${file%\**}" ] || continue
		path=$to
		[ "$to" = "${to%/}" ] || path=$to${file##*/}
		case $1 in
		install) put "$how" "$file" "$path" ;;
		uninstall) take_away "$how" "$file" "$path" ;;
		installed-files) echo "$path" ;;
		esac
	done
done
