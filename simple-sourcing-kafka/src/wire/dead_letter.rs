use super::{RECORD_OVERHEAD, bytes_of};
use crate::record::{Headers, Record};

/// A dead letter: the record with its own headers, followed by where it was and why it failed.
pub(crate) struct DeadLetter<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Headers,
}

impl<'a> DeadLetter<'a> {
    /// Makes a dead letter for a topic that accepts so many bytes. If the record is too long, only its position is
    /// kept: without that, the partition could not continue.
    pub(crate) fn of(record: &'a impl Record, cause: &str, bytes_max: usize) -> Self {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let header_bytes: usize = record.headers().map(|header| bytes_of(&header)).sum();
        let bytes = length(record.key()) + length(record.value()) + header_bytes;
        let fits = bytes + RECORD_OVERHEAD <= bytes_max;
        let mut headers = Headers::default();
        if fits {
            record.headers().for_each(|header| headers.push(header));
        }
        let left_out =
            || format!("{bytes} bytes of key, value and headers, over the `max.message.bytes` of this topic");
        let headers = headers
            .with("dead_letter_topic", record.topic())
            .with("dead_letter_partition", u64::from(record.partition()))
            .with("dead_letter_offset", format_args!("{}", record.offset()))
            .with("dead_letter_cause", cause)
            .with_some("dead_letter_left_out", (!fits).then(left_out).as_deref());
        let (key, value) = (record.key().filter(|_| fits), record.value().filter(|_| fits));
        DeadLetter { key, value, headers }
    }
}
