use simple_sourcing::{Position, port};

use super::{RECORD_OVERHEAD, bytes_of};
use crate::record::{Headers, Record};

const TOPIC: &str = "dead_letter_topic";
const PARTITION: &str = "dead_letter_partition";
const OFFSET: &str = "dead_letter_offset";
const CAUSE: &str = "dead_letter_cause";
const LEFT_OUT: &str = "dead_letter_left_out";

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
            .with(TOPIC, record.topic())
            .with(PARTITION, u64::from(record.partition()))
            .with(OFFSET, format_args!("{}", record.offset()))
            .with(CAUSE, cause)
            .with_some(LEFT_OUT, (!fits).then(left_out).as_deref());
        let (key, value) = (record.key().filter(|_| fits), record.value().filter(|_| fits));
        DeadLetter { key, value, headers }
    }
}

/// Reads a record of a dead letter topic.
pub(crate) fn read_dead_letter(record: &impl Record) -> Result<port::DeadLetter, String> {
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    for header in record.headers() {
        headers.push((header.key.to_owned(), header.value.unwrap_or_default().to_vec()));
    }
    // Ours are the last: the record may be a dead letter that somebody has sent again.
    let mut own = |name: &str| {
        let place = headers.iter().rposition(|(key, _)| key == name)?;
        String::from_utf8(headers.remove(place).1).ok()
    };
    let left_out = own(LEFT_OUT);
    let (cause, offset, partition, _) = (own(CAUSE), own(OFFSET), own(PARTITION), own(TOPIC));
    let missing = |name| format!("its header `{name}` is missing or not a number");
    let command_position = Position {
        partition: partition.and_then(|text| text.parse().ok()).ok_or_else(|| missing(PARTITION))?,
        offset: offset.and_then(|text| text.parse().ok()).ok_or_else(|| missing(OFFSET))?,
    };
    let cause = cause.ok_or_else(|| format!("its header `{CAUSE}` is missing or not text"))?;
    let cause = match left_out {
        Some(left_out) => format!("{cause} (left out: {left_out})"),
        None => cause,
    };
    let mut letter = port::DeadLetter::new(record.position(), command_position, cause);
    (letter.key, letter.value) = (record.key().map(<[u8]>::to_vec), record.value().map(<[u8]>::to_vec));
    letter.headers = headers;
    Ok(letter)
}

#[cfg(test)]
mod tests {
    use simple_sourcing::Timestamp;

    use super::*;
    use crate::record::OwnedRecord;

    fn command() -> OwnedRecord {
        OwnedRecord {
            topic: "account-command_request".into(),
            partition: 2,
            offset: 17,
            key: Some(b"alice".to_vec()),
            value: Some(b"{}".to_vec()),
            time: Timestamp::from_millis(0),
            headers: Headers::default().with("ce_id", "seven").with("mine", "x"),
        }
    }

    /// The dead letter of a record, at this offset.
    fn kept(record: &OwnedRecord, offset: i64, bytes_max: usize) -> OwnedRecord {
        let DeadLetter { key, value, headers } = DeadLetter::of(record, "it panicked", bytes_max);
        let (key, value) = (key.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec));
        OwnedRecord { topic: "account-dead_letter".into(), offset, key, value, headers, ..record.clone() }
    }

    #[test]
    fn a_dead_letter_is_read_as_it_was_put_aside() {
        let letter = read_dead_letter(&kept(&command(), 4, 1_000_000)).expect("it is one");
        let mut expected = port::DeadLetter::new(
            Position { partition: 2, offset: 4 },
            Position { partition: 2, offset: 17 },
            "it panicked",
        );
        (expected.key, expected.value) = (Some(b"alice".to_vec()), Some(b"{}".to_vec()));
        expected.headers = vec![("ce_id".into(), b"seven".to_vec()), ("mine".into(), b"x".to_vec())];
        assert_eq!(letter, expected);
    }

    #[test]
    fn one_that_was_too_long_says_so() {
        let letter = read_dead_letter(&kept(&command(), 4, 10)).expect("it is one");
        assert_eq!((&letter.key, &letter.value, letter.headers.len()), (&None, &None, 0));
        assert!(letter.cause.starts_with("it panicked (left out: ") && letter.cause.contains("max.message.bytes"));
    }

    #[test]
    fn one_that_was_sent_again_keeps_what_it_came_with() {
        let again = OwnedRecord { topic: "account-command_request".into(), ..kept(&command(), 99, 1_000_000) };
        let letter = read_dead_letter(&kept(&again, 5, 1_000_000)).expect("it is one");
        assert_eq!(letter.command_position, Position { partition: 2, offset: 99 });
        assert!(letter.headers.contains(&("dead_letter_offset".into(), b"17".to_vec())));
    }

    #[test]
    fn what_somebody_else_has_written_is_none() {
        let error = read_dead_letter(&command()).expect_err("it has no place").to_string();
        assert!(error.contains("dead_letter_partition"), "{error}");
    }
}
