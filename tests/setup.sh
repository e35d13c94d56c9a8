#!/bin/sh
# SPDX-License-Identifier: MIT
# setup.sh -- install what a target needs and this Debian machine lacks.
#
#   tests/setup.sh [--check] GROUP...
#
# Groups: build run test lint fuzz bench deb.
#
# Says what it is about to do before it does it; silent when all is there.
# --check only says what is missing, and fails when something is.
set -eu

packages() {
	case $1 in
	build) echo gcc libc6-dev make libev-dev libinih-dev libdw-dev \
		libncurses-dev libsystemd-dev ;;
	run) packages build; echo redis-tools ;;
	test) packages run; packages deb; echo libcmocka-dev python3 \
		python3-pytest python3-redis util-linux iproute2 g++ gdb \
		strace man-db ;;
	lint) packages build; echo g++ python3 clang-14 clang-format-14 cppcheck ;;
	fuzz) packages build; echo clang-14 libclang-rt-14-dev ;;
	bench) packages test; echo redis-server g++ libjemalloc2 libmimalloc2.0 \
		libboost-dev libpmemobj-dev ;;
	deb) packages build; echo build-essential debhelper lintian pkg-config \
		scdoc systemd ;;
	*) echo "setup.sh: no group called '$1'" >&2; exit 64 ;;
	esac
}

missing() {
	# ${db:Status-Abbrev} is "ii " for what is installed and configured.
	have=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' 2>/dev/null |
		sed -n 's/^ii //p')
	for group; do packages "$group"; done | tr ' ' '\n' | sort -u |
		while read -r package; do
			echo "$have" | grep -qxF -- "$package" ||
				echo "$package"
		done
}

check=
if [ "${1:-}" = --check ]; then
	check=yes
	shift
fi
for group; do packages "$group" >/dev/null; done

if ! command -v dpkg-query >/dev/null; then
	echo "setup.sh: not a Debian system: install by hand what these are" \
		"called here:" $(for group; do packages "$group"; done) >&2
	[ -z "$check" ] || exit 1
	exit 0
fi

lacking=$(missing "$@" | tr '\n' ' ')
lacking=${lacking% }
[ -n "$lacking" ] || exit 0

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
install="$sudo${sudo:+ }apt-get install -y --no-install-recommends $lacking"
if [ -n "$check" ]; then
	echo "missing Debian packages: $lacking" >&2
	echo "to install them: $install" >&2
	exit 1
fi

echo "refork needs Debian packages that are not installed; running:"
echo "    $sudo${sudo:+ }apt-get update"
echo "    $install"
if [ -n "$sudo" ] && ! command -v sudo >/dev/null; then
	echo "setup.sh: not root, and there is no sudo: run these two" \
		"commands as root, then make again" >&2
	exit 77
fi

# In run level 1 no package script starts a service by the old way; under
# systemd a redis-server that came with this is stopped again below.
as_root() {
	$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 "$@"
}
as_root apt-get update -q
as_root apt-get install -q -y --no-install-recommends $lacking
case " $lacking " in
*" redis-server "*)
	[ ! -d /run/systemd/system ] ||
		$sudo systemctl disable --now redis-server.service || : ;;
esac
