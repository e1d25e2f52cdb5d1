# shellcheck shell=bash
# common.sh: what scripts/ and bench/run share; sourced, not run.
#
# They work in a throw-away folder: a copy of the sources, built by the user
# postgres (PostgreSQL refuses to run as root), beside a copy of the installed
# PostgreSQL that the extension is installed into.  PostgreSQL finds its files
# relative to its own programs, so the copy is complete, and the system's own
# installation and clusters are never touched.

set -euo pipefail
export LC_ALL=C
umask 022

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Root installs packages and becomes the user postgres.
if [ "$(id -u)" != 0 ]; then
	exec sudo --preserve-env=HOME,XDG_CACHE_HOME,TMPDIR,PG_MAJOR,DEBIAN_MIRROR "$0" "$@"
fi

# Runs a command as the user postgres, in the work folder.
as_postgres() {
	(cd "$work_dir" && setpriv --reuid postgres --regid postgres --init-groups \
		env HOME="$work_dir" TMPDIR="$work_dir" USER=postgres PATH="$pg_root$pg_bindir:$PATH" "$@")
}

# Installs Debian packages, those that are missing.
need_packages() {
	local missing=() package
	for package in "$@"; do
		if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
			missing+=("$package")
		fi
	done
	if [ ${#missing[@]} -eq 0 ]; then return; fi

	echo "Installing ${missing[*]}"
	env DEBIAN_FRONTEND=noninteractive apt-get -qq update
	keep_clusters_away
	keep_services_away
	env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends \
		"${missing[@]}" >/dev/null
	undo_system_changes
	keep_services_disabled "${missing[@]}"
}

# Debian creates and starts a cluster with the first server package; nobody
# asked for one here.
keep_clusters_away() {
	local folder=/etc/postgresql-common/createcluster.d
	if [ ! -d "$folder" ]; then
		mkdir -p "$folder"
		cleanup_folders+=("$folder")
	fi
	echo 'create_main_cluster = false' >"$folder/aep-no-main-cluster.conf"
	cleanup_files+=("$folder/aep-no-main-cluster.conf")
}

# Debian starts a service with its package; nobody asked for one here.
keep_services_away() {
	local policy=/usr/sbin/policy-rc.d
	if [ -e "$policy" ]; then return; fi
	cleanup_files+=("$policy")
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}

# Nor at the next boot: those that have just been installed.
keep_services_disabled() {
	local package service
	for package in "$@"; do
		case $package in
			pgbouncer) service=pgbouncer ;;
			nginx-light) service=nginx ;;
			*) continue ;;
		esac
		if command -v systemctl >/dev/null; then
			systemctl disable --quiet "$service" >/dev/null 2>&1 || true
		fi
		update-rc.d "$service" disable >/dev/null 2>&1 || true
	done
}

# The major version: the one asked for with PG_MAJOR, else the newest that is
# installed with its development files, else the distribution's.
choose_postgresql() {
	if [ -z "${PG_MAJOR:-}" ]; then
		# without any PostgreSQL there is no such folder; before 15 it is not supported
		PG_MAJOR=$({ find /usr/lib/postgresql -path '*/lib/pgxs/src/makefiles/pgxs.mk' 2>/dev/null ||
			true; } | cut -d/ -f5 | awk '$1 >= 15' | sort -n | tail -n 1)
	fi
	if [ -z "$PG_MAJOR" ]; then
		apt-get -qq update
		PG_MAJOR=$(apt-cache depends postgresql | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' |
			head -n 1)
	fi
	pg_bindir=/usr/lib/postgresql/$PG_MAJOR/bin
}

# What building and running the extension needs, and the packages given.
# shellcheck disable=SC2120 # which may be none
install_build_packages() {
	choose_postgresql
	need_packages gcc make pkg-config openssl python3 ca-certificates util-linux \
		libcurl4-openssl-dev libssl-dev libcjson-dev \
		"postgresql-$PG_MAJOR" "postgresql-server-dev-$PG_MAJOR" "$@"
}

# Makes the throw-away folder; it goes away however the script ends.
make_work_dir() {
	work_dir=$(mktemp -d "${TMPDIR:-/tmp}/aep.XXXXXX")
	pg_root=$work_dir/root
	# only what belongs to the sources: no build products of another server
	mkdir "$work_dir/aep"
	(cd "$source_dir" && tar -cf - --exclude=.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' \
		--exclude='*.inc' --exclude=tmp_check --exclude=results --exclude=build .) |
		tar -xf - -C "$work_dir/aep"
	mkdir -p "$pg_root/usr/lib/postgresql" "$pg_root/usr/share/postgresql"
	cp -a "/usr/lib/postgresql/$PG_MAJOR" "$pg_root/usr/lib/postgresql/"
	cp -a "/usr/share/postgresql/$PG_MAJOR" "$pg_root/usr/share/postgresql/"
	chown -R postgres: "$work_dir"
	chmod 755 "$work_dir"
}

# Builds the sources and installs them into the copy of PostgreSQL.
# Arguments: variables for make.
# shellcheck disable=SC2120 # which may be none
build_and_install() {
	as_postgres make -s -C aep PG_CONFIG="$pg_bindir/pg_config" "$@"
	as_postgres make -s -C aep PG_CONFIG="$pg_bindir/pg_config" DESTDIR="$pg_root" install "$@"
}

# Starts a cluster that only its Unix socket leads to, so no port is taken.
start_postgresql() {
	export PGHOST=$work_dir PGUSER=postgres PGDATABASE=postgres PGPORT=5432
	as_postgres initdb -D data -U postgres -A trust -E UTF8 --no-sync >"$work_dir/initdb.log"
	as_postgres pg_ctl -D data -l "$work_dir/server.log" -w -s start \
		-o "-c listen_addresses='' -c unix_socket_directories='$work_dir' -c fsync=off"
}

cleanup_files=()
cleanup_folders=() # if they are empty
work_dir=

undo_system_changes() {
	if [ ${#cleanup_files[@]} -gt 0 ]; then rm -f "${cleanup_files[@]}"; fi
	if [ ${#cleanup_folders[@]} -gt 0 ]; then
		rmdir --ignore-fail-on-non-empty "${cleanup_folders[@]}" 2>/dev/null || true
	fi
	cleanup_files=()
	cleanup_folders=()
}

# Neither a signal nor a failure ends it half-way.
cleanup() {
	local lock
	trap '' INT TERM HUP
	set +e
	undo_system_changes
	if [ -n "$work_dir" ]; then
		if [ -f "$work_dir/fake/ready.json" ]; then
			as_postgres python3 aep/test/flow_service.py stop --dir "$work_dir/fake" >/dev/null || true
		fi
		# ours, and those of tests that were cut off
		for lock in "$work_dir"/data/postmaster.pid \
			"$work_dir"/aep/tmp_check/*/pgdata/postmaster.pid; do
			if [ -f "$lock" ]; then
				as_postgres pg_ctl -D "${lock%/*}" -m immediate -s stop
			fi
		done
		rm -rf "$work_dir"
	fi
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
