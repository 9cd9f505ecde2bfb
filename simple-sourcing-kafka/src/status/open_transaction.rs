use std::{fmt, time::Duration};

/// A transaction that somebody has begun and does not end. Readers can't see the records behind its first one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OpenTransaction {
    /// The topic it has written to.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// Its first record, at which readers wait.
    pub offset: i64,
    /// How long readers have been waiting there, as far as this process knows.
    pub open_for: Duration,
    pub(crate) bootstrap_servers: String,
}

impl fmt::Display for OpenTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OpenTransaction { topic, partition, offset, open_for, bootstrap_servers: servers } = self;
        write!(
            f,
            "a transaction of somebody else is open in topic `{topic}`, partition {partition}, since offset {offset}, \
             for {} s by now, and readers can't get past it. To see whose it is, run `kafka-transactions.sh \
             --bootstrap-server {servers} describe-producers --topic {topic} --partition {partition}` and look for \
             CurrentTransactionStartOffset {offset}. Have that producer end its transaction, or abort it with \
             `kafka-transactions.sh --bootstrap-server {servers} abort --topic {topic} --partition {partition} \
             --start-offset {offset}`",
            open_for.as_secs()
        )
    }
}
