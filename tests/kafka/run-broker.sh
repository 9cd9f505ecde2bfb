# Runs one Kafka node for tests/src/broker/process.rs: started by each line of standard input, for the first time or after it has
# ended. When that input ends, which it does when the test process closes it or is gone, however it went, the JVM is
# killed and the directory removed.
#
#   sh run-broker.sh DIRECTORY JARS CLUSTER_ID [OPTION]...
#
# DIRECTORY holds server.properties and log4j2.properties; the options are for the formatting of its data. Made in it, for
# the test process to read:
#   pid           of the JVM
#   exit          what the JVM (or the formatting before it) ended with, once it has ended
#   console.log   what it printed; its log is server.log, as log4j2.properties says
directory=$1
jars=$2
cluster_id=$3
shift 3
cd "$directory" || exit

# Standard input moves to 3, out of the JVM's reach. Nothing here may hold on to the test process's
# output: whoever reads that would wait for this script.
exec 3<&0 </dev/null >console.log 2>&1

# Quick to start rather than fast at its peak: a test run is over before the better compiler pays. It unpacks libraries, and
# leaves them behind when it is killed.
kafka() {
    exec java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.io.tmpdir=. \
        -Dlog4j2.configurationFile=log4j2.properties -cp "$jars/*" "$@" 3<&-
}

if (kafka kafka.tools.StorageTool format -t "$cluster_id" -c server.properties "$@"); then
    while read -r _ <&3; do
        rm -f exit pid
        {
            kafka kafka.Kafka server.properties &
            echo "$!" >pid
            wait "$!"
            echo $? >exit
        } &
        until [ -s pid ]; do sleep 0.01; done
    done
    # Its id may be another's by now if the JVM ended by itself.
    [ -e exit ] || ! [ -e pid ] || kill -KILL "$(cat pid)"
else
    echo $? >exit
    # The directory stays as long as the test process may want to read in it.
    while read -r _ <&3; do :; done
fi
wait
cd / && rm -rf "$directory"
