#!/bin/sh
# SPDX-License-Identifier: MIT
# make_deb.sh -- Debian packages of the project as it stands.
#
#   make_deb.sh DIR
#
# They are built in DIR from a copy of what the project consists of, without
# the tests, and of nothing else. Nothing is done when DIR has them, of these
# very files.
set -eu

out=$1
cd "$(dirname "$0")/.."

# Without git (an archive of a release): whatever was not built.
project_files() {
	if [ -e .git ]; then
		git -c safe.directory='*' ls-files --cached --others \
			--exclude-standard
	else
		find . -type f -not -path './build*' -printf '%P\n'
	fi | grep -v '^tests/.*/' | LC_ALL=C sort | while read -r file; do
		[ ! -e "$file" ] || echo "$file"
	done
}

stamp=$(project_files | xargs sha256sum | sha256sum)
if [ "$stamp" != "$(cat "$out/.stamp" 2>/dev/null)" ]; then
	rm -rf "$out"
	mkdir -p "$out/refork"
	project_files | tar -c -T - | tar -x -C "$out/refork"
	(cd "$out/refork" && exec dpkg-buildpackage -b -us -uc \
		-j"$(nproc)" >../log 2>&1) || {
		tail -n 30 "$out/log"
		echo "dpkg-buildpackage failed; all it said: $out/log"
		exit 1
	} >&2
	rm -rf "$out/refork"
	echo "$stamp" >"$out/.stamp"
fi
ls "$out"/*.deb
