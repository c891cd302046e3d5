# A part of scripts/setup: Redis or Valkey for the field's benchmark, which measures Socket.IO's Redis streams adapter.
#
# Owns:     .cache/redis/redis-server.
# Order:    what PATH has comes first.
# Refuses:  to install it: its package starts a service. It is unpacked, and only the libraries that it needs are installed.
# Prints:   the line for the shell that names what was unpacked (REDIS_SERVER).
redis=$here/.cache/redis

# The server is in the package of the tools, where its name is a link to another one.
unpack_redis() {
    as=$(apt_rights) || return 1
    say 'Unpacking redis (apt-get)'
    apt-cache show redis-tools >/dev/null 2>&1 || "$as" apt-get update -qq >&2
    # shellcheck disable=SC2046
    apt_install "$as" $(apt-cache depends redis-tools | awk '$1 == "Depends:" && $2 ~ /^lib/ { print $2 }') || return 1
    rm -rf "$redis/unpack"
    mkdir -p "$redis/unpack"
    (cd "$redis/unpack" && apt-get download -qq redis-tools && dpkg -x ./*.deb .) >/dev/null 2>&1 || return 1
    mv "$redis/unpack/usr/bin/redis-check-rdb" "$redis/redis-server"
    rm -rf "$redis/unpack"
}

ensure_redis() {
    if [ -n "${REDIS_SERVER:-}" ] || has redis-server; then return; fi
    if has valkey-server; then
        export_path REDIS_SERVER "$(command -v valkey-server)"
        return
    fi
    [ -x "$redis/redis-server" ] || unpack_redis || die 'Redis is missing and can not be fetched here: install redis-server or valkey-server'
    "$redis/redis-server" --version >/dev/null || die "$redis/redis-server does not run on this system: install redis-server"
    export_path REDIS_SERVER "$redis/redis-server"
}
