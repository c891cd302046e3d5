# A part of scripts/setup: what docs/INTEGRATION.md shows, so that its tests can run it.
#
# Owns:     .cache/guide: bin (nginx, caddy, prometheus, promtool, nats-server), python (a venv), next and tables (npm packages of tests/guide-next
#           and tests/guide-tables).
# Order:    what PATH has comes first; the tests look in the same order.
# Refuses:  to install nginx, Caddy, Prometheus or NATS: their packages start a service. They are unpacked.
guide=$here/.cache/guide

# The first of $2... that is a package with program $1 in it.
unpack_from_apt() {
    program=$1
    shift
    for package in "$@"; do
        rm -rf "$guide/unpack"
        mkdir -p "$guide/unpack" "$guide/bin"
        (cd "$guide/unpack" && apt-get download -qq "$package" && dpkg -x ./*.deb .) >/dev/null 2>&1 || continue
        found=$(find "$guide/unpack/usr" -path "*bin/$program" -type f)
        if [ -n "$found" ]; then
            mv "$found" "$guide/bin/$program"
            rm -rf "$guide/unpack"
            return
        fi
    done
    rm -rf "$guide/unpack"
    return 1
}

# Program $1, which says its version to $2, from one of the packages $3...
ensure_program() {
    program=$1
    word=$2
    shift 2
    if ! has "$program" && has apt-get; then
        say "Fetching $program (apt-get)"
        # Without its lists apt knows no package.
        unpack_from_apt "$program" "$@" ||
            { as=$(apt_rights) && "$as" apt-get update -qq >&2 && unpack_from_apt "$program" "$@"; } || true
    fi
    has "$program" || die "$program is missing and can't be fetched here: install it"
    "$program" "$word" >/dev/null 2>&1 || die "$(command -v "$program") does not run on this system: install $program"
}

knows() { "$1" -c 'import cryptography, django, jwt, psycopg, requests, socketio, websocket' 2>/dev/null; }

ensure_python() {
    if knows python3 || knows "$guide/python/bin/python3"; then return; fi
    say 'Installing psycopg, socketio, PyJWT and Django for Python (pip)'
    if ! python3 -m venv --clear "$guide/python" >/dev/null 2>&1; then
        as=$(apt_rights) || die 'Python 3 with venv is missing and may not be installed: install it'
        apt_install "$as" python3-venv 2>/dev/null ||
            { "$as" apt-get update -qq >&2 && apt_install "$as" python3-venv; }
        python3 -m venv --clear "$guide/python" >&2
    fi
    "$guide/python/bin/python3" -m pip install --quiet --disable-pip-version-check \
        'psycopg[binary]>=3.2,<4' 'python-socketio[client]>=5.11,<6' 'PyJWT[crypto]>=2.10,<3' \
        'Django>=5.2,<5.3' >&2 ||
        die 'psycopg, python-socketio, PyJWT and Django could not be installed (pip)'
}

# The npm packages of folder tests/guide-$1, which are $2.
ensure_packages() {
    ensure_npm 'The guide'
    from=tests/guide-$1
    to=$guide/$1
    if cmp -s "$from/package-lock.json" "$to/done"; then return; fi
    say "Installing $2 for the guide (npm)"
    rm -rf "$to"
    mkdir -p "$to"
    cp "$from/package.json" "$from/package-lock.json" "$to"
    # Not `npm ci`: it refuses a lock file that lacks another platform's optional package.
    (cd "$to" && npm install --no-audit --no-fund --loglevel=error >&2) ||
        die "the packages of $from could not be installed (npm)"
    cp "$from/package-lock.json" "$to/done"
}

ensure_guide() {
    PATH=$PATH:/usr/sbin:/sbin:$guide/bin
    ensure_program nginx -v nginx nginx-core nginx-light
    ensure_program caddy version caddy
    ensure_program prometheus --version prometheus
    ensure_program promtool --version prometheus
    ensure_program nats-server --version nats-server
    for program in openssl curl; do
        has $program && continue
        as=$(apt_rights) || die "$program is missing and may not be installed: install it"
        say "Installing $program (apt-get)"
        apt_install "$as" $program 2>/dev/null || { "$as" apt-get update -qq >&2 && apt_install "$as" $program; }
    done
    ensure_python
    ensure_packages next Next.js
    ensure_packages tables 'knex, Sequelize and TypeORM'
}

ensure_relay() {
    PATH=$PATH:/usr/sbin:/sbin:$guide/bin
    ensure_program nats-server --version nats-server
}

# PgBouncer's package starts a service, so it is unpacked, and only the libraries that it needs are installed.
ensure_pooler() {
    if has pgbouncer || [ -x /usr/sbin/pgbouncer ] || [ -x "$guide/bin/pgbouncer" ]; then return; fi
    as=$(apt_rights) || die 'PgBouncer is missing and may not be installed: install it'
    say 'Unpacking pgbouncer (apt-get)'
    apt-cache show pgbouncer >/dev/null 2>&1 || "$as" apt-get update -qq >&2
    # shellcheck disable=SC2046
    apt_install "$as" $(apt-cache depends pgbouncer | awk '$1 == "Depends:" && $2 ~ /^lib/ { print $2 }')
    unpack_from_apt pgbouncer pgbouncer || die 'PgBouncer could not be fetched: install it'
}
