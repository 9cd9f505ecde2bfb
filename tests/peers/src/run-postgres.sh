# Runs one PostgreSQL server for postgres.rs, until standard input ends. The operating system sees to that when the
# benchmark is gone, however it went. Then the server is stopped and its directory removed.
#
#   sh run-postgres.sh DIRECTORY
#
# Prints `ready` when the server takes connections at its socket in DIRECTORY, or else why there is none.
cd "$1" || exit

# Debian keeps the server's programs off the PATH, in a directory for each version.
PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)

# PostgreSQL refuses to run as root, and its package makes a user for it.
if [ "$(id -u)" = 0 ]; then
    chown postgres . 2>/dev/null
    unprivileged() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
else
    unprivileged() { "$@"; }
fi

start() {
    unprivileged initdb --pgdata=data --username=postgres --auth=trust --encoding=UTF8 --locale=C &&
        unprivileged pg_ctl start --wait --pgdata=data --log=server.log --options="-p 5432 -k '$PWD' -c listen_addresses="
}

if ! command -v initdb >/dev/null; then
    echo "PostgreSQL is not installed. Install it (Debian: package postgresql), or name a server in"
    echo "SIMPLE_SOURCING_POSTGRES, as in postgres://user:password@localhost/postgres."
elif start >start.log 2>&1 </dev/null; then
    echo ready
    # Until it ends.
    cat >/dev/null
    unprivileged pg_ctl stop --wait --pgdata=data --mode=immediate >/dev/null 2>&1
else
    echo "PostgreSQL does not start:"
    cat start.log server.log 2>/dev/null | tail -n 20
fi
cd / && rm -rf "$1"
