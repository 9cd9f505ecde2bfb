# Runs one Kafka node for tests/src/broker.rs until standard input ends, which it does when the test
# process closes it or is gone, however it went. Then the JVM is killed and the directory removed.
#
#   sh run-broker.sh DIRECTORY JARS CLUSTER_ID
#
# DIRECTORY holds server.properties and log4j2.properties. Made in it, for the test process to read:
#   pid           of the JVM
#   exit          what the JVM (or the formatting before it) ended with, once it has ended
#   console.log   what it printed; its log is server.log, as log4j2.properties says
cd "$1" || exit
jars=$2
cluster_id=$3

# Standard input moves to 3, out of the JVM's reach. Nothing here may hold on to the test process's
# output: whoever reads that would wait for this script.
exec 3<&0 </dev/null >console.log 2>&1

# Quick to start rather than fast at its peak: a test run is over before the better compiler pays.
kafka() {
    exec java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
        -Dlog4j2.configurationFile=log4j2.properties -cp "$jars/*" "$@" 3<&-
}

(kafka kafka.tools.StorageTool format -t "$cluster_id" -c server.properties) && {
    kafka kafka.Kafka server.properties &
    jvm=$!
    echo "$jvm" >pid
    {
        read -r _ <&3
        # Its id may be another's by now if the JVM ended by itself.
        [ -e exit ] || kill -KILL "$jvm"
    } &
    wait "$jvm"
}
echo $? >exit

# The directory stays as long as the test process may want to read in it.
read -r _ <&3
cd / && rm -rf "$1"
