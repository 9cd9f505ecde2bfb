# Runs one PostgreSQL server for tests/src/postgres/process.rs: started by each line of standard input, for the first time or after
# it has ended. When that input ends, which it does when the test process closes it or is gone, however it went, the server is
# stopped and the directory removed.
#
#   sh run-server.sh DIRECTORY BIN PORT [USER]
#
# BIN holds initdb and postgres, which refuse to run as root: USER is who they run as then. Made in the directory, for the
# test process to read:
#   pid           of the server
#   exit          what the server (or initdb before it) ended with, once it has ended
#   console.log   what it printed
directory=$1
bin=$2
port=$3
user=$4
cd "$directory" || exit

# Standard input moves to 3, out of the server's reach. Nothing here may hold on to the test process's output: whoever reads
# that would wait for this script.
exec 3<&0 </dev/null >console.log 2>&1

as_user() {
    if [ -n "$user" ]; then
        exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$bin/$@" 3<&-
    else
        exec "$bin/$@" 3<&-
    fi
}

initialize() {
    (as_user initdb -D data --username=postgres --auth=trust --no-sync --encoding=UTF8 --no-locale --no-instructions) || return
    # The one with a password.
    {
        echo 'host all guarded 127.0.0.1/32 scram-sha-256'
        echo 'host all all 127.0.0.1/32 trust'
    } >data/pg_hba.conf
}

[ -z "$user" ] || chown "$user" .
if initialize; then
    while read -r _ <&3; do
        rm -f exit pid
        {
            # Nothing here has to survive the machine, and a deadlock is found at once.
            as_user postgres -D data -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
                -c fsync=off -c max_connections=200 -c shared_buffers=32MB -c deadlock_timeout=50ms &
            echo "$!" >pid
            wait "$!"
            echo $? >exit
        } &
        until [ -s pid ]; do sleep 0.01; done
    done
    # At once: as if it had crashed. Its id may be another's by now if the server ended by itself.
    [ -e exit ] || ! [ -e pid ] || kill -QUIT "$(cat pid)"
else
    echo $? >exit
    # The directory stays as long as the test process may want to read in it.
    while read -r _ <&3; do :; done
fi
wait
cd / && rm -rf "$directory"
