# A part of scripts/setup: PgBouncer 1.24 for a Debian that is older than it (12 has 1.18).
#
# Owns:     pgbouncer-1.24 beside the unpacked Postgres binaries: the program of Debian 13, the libraries that it was
#           built with and their loader, so that nothing of the system is changed; `run` starts it.
# Prints:   the line for the shell that names it to the tests (PGBOUNCER).
suite=trixie

# apt-get for that suite alone, with lists and state of its own in folder $1.
apt_of_suite() {
    folder=$1
    shift
    apt-get -qq -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts="$folder/parts" \
        -o Dir::State::lists="$folder/lists" -o Dir::State::status="$folder/status" -o Dir::Cache="$folder/cache" \
        -o APT::Sandbox::User= "$@"
}

# Debian's address is the one that this system has already.
unpack_suite() {
    has apt-get || return 1
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT) $(CREATED_BY)' |
        awk '$2 == "main" && $3 == "Packages" { print $1; exit }')
    [ -n "$mirror" ] || return 1
    mkdir -p "$1/parts" "$1/lists/partial" "$1/cache/archives/partial" "$1/debs"
    : >"$1/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$1/sources.list"
    apt_of_suite "$1" update >&2 || return 1
    (
        cd "$1/debs"
        apt_of_suite .. download pgbouncer libc6 libgcc-s1 libcares2 libevent-2.1-7t64 libpam0g libssl3t64 \
            libsystemd0 libaudit1 libcap-ng0 libcap2 libzstd1 zlib1g >&2
        for deb in *.deb; do dpkg -x "$deb" "$1/root"; done
    )
}

ensure_pooler_1_24() {
    home=$here/.cache/pgbouncer-1.24
    if [ "$(id -u)" = 0 ]; then home=/var/cache/rowcast/pgbouncer-1.24; fi
    if [ ! -x "$home/run" ]; then
        say 'Unpacking pgbouncer 1.24 of Debian 13 (apt-get)'
        (umask 022 && mkdir -p "$(dirname "$home")")
        unpacked=$(mktemp -d "$home.XXXXXX")
        trap 'rm -rf "$unpacked"' EXIT
        unpack_suite "$unpacked" || die 'PgBouncer 1.24 could not be fetched: name one by PGBOUNCER'
        loader=$(cd "$unpacked/root" && find usr/lib -name 'ld-linux-*.so.*' | head -n 1)
        mkdir "$unpacked/pgbouncer"
        mv "$unpacked/root/usr" "$unpacked/pgbouncer/usr"
        # shellcheck disable=SC2016
        printf '#!/bin/sh\nhere=$(dirname "$0")\nexec "$here/%s" --library-path "$here/%s" "$here/usr/sbin/pgbouncer" "$@"\n' \
            "$loader" "$(dirname "$loader")" >"$unpacked/pgbouncer/run"
        chmod -R a+rX "$unpacked/pgbouncer"
        chmod a+x "$unpacked/pgbouncer/run"
        # Whoever was first wins; theirs is the same.
        mv -T "$unpacked/pgbouncer" "$home" 2>/dev/null || [ -x "$home/run" ]
        rm -rf "$unpacked"
        trap - EXIT
    fi
    "$home/run" --version >/dev/null || die "$home/run does not run on this system: name another by PGBOUNCER"
    export_path PGBOUNCER "$home/run"
}
