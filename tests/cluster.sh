#!/bin/sh
# tests/cluster.sh <dir>: the Postgres cluster that one run of the tests shares, and the guard that holds it.
#
# Owns:       the cluster from start to removal. It runs until no process has held <dir>/lock for 3 s.
# Refuses:    to be durable. fsync is off and the data goes to memory where there is room: never for real data.
# Guarantees: <dir>/url exists only while the cluster answers, or until this process was killed with -9. It outlives
#             the SIGKILL of any test. Whoever waits for the shared lock never meets a cluster that is being stopped.
# Relies on:  its caller, who
#             1. takes a shared flock on <dir>/lock and keeps it for as long as it uses the cluster;
#             2. takes an exclusive flock on <dir>/start, so that one caller at a time does 3 and 4;
#             3. asks whether a guard lives: <dir>/guard can't be flocked exclusively. If it lives, <dir>/url is or
#                will be there; if not, removes <dir>/url and starts this script in a process group of its own;
#             4. waits for <dir>/url, or for this script to exit non-zero with the reason in <dir>/log.
#             <dir>/start is the callers' alone. A second guard for the same folder exits 0.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
dir=${1:?usage: tests/cluster.sh <dir>}
mkdir -p "$dir" && cd "$dir" && dir=$(pwd) || exit 1

# Exclusive flock on file descriptor $1, without waiting.
try_lock() {
    if command -v flock >/dev/null; then
        flock -n -x "$1"
    else
        perl -e 'open(my $f, "+<&=", $ARGV[0]) or exit 2; exit(flock($f, 6) ? 0 : 1)' "$1"
    fi
}
unlock() {
    if command -v flock >/dev/null; then
        flock -u "$1"
    else
        perl -e 'open(my $f, "+<&=", $ARGV[0]) or exit 2; exit(flock($f, 8) ? 0 : 1)' "$1"
    fi
}

exec 8>>guard 9>>lock
# A caller that only asks holds this lock for a moment.
tries=0
until try_lock 8; do
    tries=$((tries + 1))
    if [ "$tries" -eq 10 ]; then exit 0; fi
    sleep 0.05
done
: >log
exec </dev/null >>log 2>&1
trap '' HUP INT PIPE

# What a guard that was killed left behind.
rm -f url
if [ -f root ]; then
    old=$(cat root)
    if pid=$(head -n 1 "$old/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null; then
        tries=0
        while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 50 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
    fi
    case $old in */rowcast-test.*) rm -rf "$old" ;; esac
    rm -f root
fi

bindir=$("$here/scripts/find-postgres") || {
    echo 'No Postgres of a major from 14 to 18 was found. Run scripts/setup postgres, or set ROWCAST_PG_BINDIR.'
    exit 1
}

base=${TMPDIR:-/tmp}
free_kib=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
if [ -w /dev/shm ] && [ "${free_kib:-0}" -ge 1048576 ]; then
    base=/dev/shm
fi
root=$(mktemp -d "$base/rowcast-test.XXXXXX") || exit 1
printf '%s\n' "$root" >root

# Postgres refuses to run as root, and initdb to run as a user without a passwd entry.
user=
if [ "$(id -u)" = 0 ]; then
    user=nobody
    if id postgres >/dev/null 2>&1; then user=postgres; fi
    chown "$user" "$root"
fi
as_user() {
    if [ -z "$user" ]; then
        exec "$@"
    elif setpriv --reuid "$user" --clear-groups true 2>/dev/null; then
        exec setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"
    else
        # shellcheck disable=SC2016 # expanded by the inner shell
        exec su -s /bin/sh "$user" -c 'exec "$0" "$@"' -- "$@"
    fi
}

for name in $(env | sed -n 's/^\(PG[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
cd "$root" || exit 1

postgres=
remove() {
    rm -f "$dir/url"
    if [ -n "$postgres" ] && kill -INT "$postgres" 2>/dev/null; then
        tries=0
        while kill -0 "$postgres" 2>/dev/null; do
            sleep 0.05
            tries=$((tries + 1))
            if [ "$tries" -eq 100 ]; then kill -QUIT "$postgres"; fi
            if [ "$tries" -eq 200 ]; then kill -KILL "$postgres"; fi
        done
    fi
    cd / && rm -rf "$root" "$dir/root"
}
trap 'remove; exit 1' TERM QUIT

(as_user "$bindir/initdb" -D "$root/data" -U postgres -E UTF8 --locale=C -A trust -N 8>&- 9>&-) >"$dir/initdb.log" 2>&1 || {
    cat "$dir/initdb.log"
    remove
    exit 1
}
rm -f "$dir/initdb.log"
(
    as_user "$bindir/postgres" -D "$root/data" -k "$root" -c listen_addresses= -c unix_socket_permissions=0700 \
        -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c wal_level=minimal -c max_wal_senders=0 \
        -c max_wal_size=256MB -c max_connections=400 -c max_prepared_transactions=10 -c port=5432 -c jit=off \
        -c dynamic_shared_memory_type=mmap 8>&- 9>&-
) &
postgres=$!

# The last line of postmaster.pid says when connections are taken.
tries=0
until grep -q '^ready' data/postmaster.pid 2>/dev/null; do
    sleep 0.05
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ] || ! kill -0 "$postgres" 2>/dev/null; then
        echo 'The test cluster did not come up.'
        remove
        exit 1
    fi
done
# With the port and "no TLS", since PGPORT and PGSSLMODE would fill them in.
printf 'postgres://postgres@localhost:5432/postgres?host=%s&sslmode=disable\n' "$root" >"$dir/url.new"
mv "$dir/url.new" "$dir/url"
# Where su had to start it, the child is su and the postmaster is su's.
postgres=$(head -n 1 data/postmaster.pid)

# Asking four times a second may miss a test that was shorter; it then waits for the next cluster, as the header says.
idle=0
while [ "$idle" -lt 12 ]; do
    sleep 0.25 8>&- 9>&-
    if ! kill -0 "$postgres" 2>/dev/null; then
        echo 'Postgres ended by itself.'
        break
    fi
    if try_lock 9; then
        idle=$((idle + 1))
        if [ "$idle" -lt 12 ]; then unlock 9; fi
    else
        idle=0
    fi
done
remove
# The guard's lock goes first: whoever gets the other one must find no guard.
exec 8>&-
exec 9>&-
