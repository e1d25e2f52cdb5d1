# matrix-root.sh: throw-away Debian roots; sourced by scripts/check-matrix,
# after common.sh.  Works as root, in the folder $cache.
#
# A root of a kind is debootstrap's minimal system and the packages of that
# kind.  Making one takes minutes, so it is kept as a tar archive, and each use
# unpacks a new one.

# The Debian mirror that this machine uses itself; DEBIAN_MIRROR overrides it.
find_mirror() {
	# shellcheck disable=SC2016 # apt's variables, not the shell's
	mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' |
		sed -n 's/^Debian //p' | head -n 1)}
	if [ -z "$mirror" ]; then
		echo "apt uses no Debian mirror here: name one with DEBIAN_MIRROR" >&2
		return 1
	fi
}

# in_root COMMAND...: as root in $root.  Mounts and processes live in namespaces
# of the command's own: they end with it, however it ends, so that removing the
# root can never reach outside it.
in_root() {
	enter_root "" "$@"
}

# in_root_offline USER COMMAND...: the same as that user and without a network,
# so no test can miss one or collide with a port of the machine's.  A dummy
# interface, where the kernel has it, lets tests see an address that is not
# loopback.
in_root_offline() {
	local user=$1
	shift
	enter_root --net runuser -u "$user" -- "$@"
}

enter_root() {
	local net=$1
	shift
	# shellcheck disable=SC2016,SC2086 # expanded by the inner shell; one option or none
	unshare --mount --pid --ipc $net --fork --kill-child bash -c '
		set -e
		root=$1 net=$2
		shift 2
		mount -t proc proc "$root/proc"
		mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
		mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
		if [ -n "$net" ]; then
			ip link set lo up
			ip link add dummy0 type dummy 2>/dev/null && ip link set dummy0 up &&
				ip address add 192.0.2.1/24 dev dummy0 || true
		fi
		exec chroot "$root" env -i PATH="/usr/sbin:/usr/bin:/sbin:/bin" LC_ALL=C.UTF-8 HOME=/tmp \
			DEBIAN_FRONTEND=noninteractive "$@"' bash "$root" "$net" "$@"
}

# new_root SUITE KIND PACKAGE...: sets $root to a new root with the packages.
# With $older_suite, from there those that the suite does not have any more; with
# ${early[SUITE]}, from there those of PostgreSQL $major.
new_root() {
	local suite=$1 kind=$2 archive
	shift 2
	archive=$cache/$suite-$kind-$(echo "$*" | cksum | cut -d ' ' -f 1).tar.zst
	remove_root
	root=$(mktemp -d "$work_dir/root.XXXXXX")
	chmod 755 "$root"
	if [ -f "$archive" ]; then
		unpack_root "$archive"
		return
	fi
	rm -f "$cache/$suite-$kind"-*.tar.zst # of another list of packages
	unpack_base "$suite" && add_suite "${older_suite:-}" &&
		add_early_postgresql "${early[$suite]:-}" && install_in_root "$@" && keep_root "$archive"
}

unpack_root() {
	tar -C "$root" -I zstd -xf "$1" && cp -L /etc/resolv.conf "$root/etc/resolv.conf"
}

remove_root() {
	if [ -n "${root:-}" ]; then rm -rf --one-file-system "$root"; fi
	root=
}

keep_root() {
	tar -C "$root" -I "zstd -T0" -cf "$1.new" . && mv "$1.new" "$1"
}

# The minimal system of a suite.
unpack_base() {
	local suite=$1 archive=$cache/$1-base.tar.zst script=/usr/share/debootstrap/scripts/$1
	if [ -f "$archive" ]; then
		unpack_root "$archive"
		return
	fi
	# a suite that is younger than this debootstrap is bootstrapped as sid is
	if [ ! -e "$script" ]; then script=${script%/*}/sid; fi
	# it mounts things in the root by itself
	unshare --mount --pid --fork --kill-child \
		debootstrap --variant=minbase "$suite" "$root" "$mirror" "$script" || return
	rm -f "$root"/var/cache/apt/archives/*.deb
	# the root is thrown away: no need to wait for the disk, nor for a daemon
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	# testing's index is valid for a week only, and a mirror may keep it longer;
	# it is signed all the same
	echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/mirror"
	echo 'APT::Install-Recommends "false";' >"$root/etc/apt/apt.conf.d/minimal"
	mkdir -p "$root/etc/postgresql-common/createcluster.d"
	echo 'create_main_cluster = false' \
		>"$root/etc/postgresql-common/createcluster.d/no-main-cluster.conf"
	keep_root "$archive"
}

# apt takes the newer of two packages of a name.
add_suite() {
	if [ -z "$1" ]; then return; fi
	echo "deb $mirror $1 main" >"$root/etc/apt/sources.list.d/$1.list"
}

# PostgreSQL $major, and nothing else, from a suite whose packages apt installs
# only when told to; what Debian's scripts take for supported is that version.
add_early_postgresql() {
	if [ -z "$1" ]; then return; fi
	add_suite "$1"
	printf '%s\n' "Package: src:postgresql-$major" "Pin: release a=$1" "Pin-Priority: 990" \
		>"$root/etc/apt/preferences.d/$1"
	echo "$major" >"$root/etc/postgresql-common/supported_versions"
}

install_in_root() {
	in_root apt-get -q update && in_root apt-get -qy install "$@" && in_root apt-get clean
}

# unpack_in_root USER ARCHIVE: a zip file, as a user of the root, into /build
unpack_in_root() {
	if [ "$1" != postgres ]; then in_root useradd --create-home "$1" || return; fi
	mkdir "$root/build" && unzip -q "$2" -d "$root/build" && in_root chown -R "$1:" /build
}
